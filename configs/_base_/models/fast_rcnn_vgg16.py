# Fast R-CNN with VGG16, as released: no layer is frozen.
_base_ = './fast_rcnn_caffenet.py'

model = dict(
    backbone=dict(
        _delete_=True, type='mmxdistill.VGG16', out_features=('conv5_3',)
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(output_size=7), out_channels=512
        ),
        bbox_head=dict(in_channels=512, roi_feat_size=7),
    ),
)
