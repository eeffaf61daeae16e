# Fast R-CNN with SqueezeNet v1.1 from ImageNet (converted by
# tools/model_converters/caffe_to_mm.py).
_base_ = './fast_rcnn_caffenet.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmxdistill.SqueezeNet',
        version='1.1',
        out_features=('fire9',),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/squeezenet_v1.1.pth',
            prefix='backbone.',
        ),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=512),
        bbox_head=dict(
            in_channels=512,
            fc_channels=512,
            loss_cls=dict(loss_weight=1.0),
            loss_bbox=dict(loss_weight=1.0),
        ),
    ),
)
