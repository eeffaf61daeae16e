# VGG16 at an eighth of its width, for the small images of the generated rooms.
_base_ = './fast_rcnn_caffenet-s.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmxdistill.VGG16',
        channels=(8, 16, 32, 64, 64),
        out_features=('conv5_3',),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(roi_layer=dict(output_size=7)),
        bbox_head=dict(roi_feat_size=7),
    ),
)
