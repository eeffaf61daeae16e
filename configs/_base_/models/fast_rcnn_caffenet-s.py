# CaffeNet at a third of its width, for the small images of the generated
# rooms. The narrow layers want a filler that keeps the scale of the signal.
_base_ = './fast_rcnn_caffenet.py'

model = dict(
    backbone=dict(
        channels=(32, 64, 96, 96, 64),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=dict(
            in_channels=64,
            fc_channels=256,
            num_classes=5,
            loss_cls=dict(loss_weight=1.0),
            loss_bbox=dict(loss_weight=1.0),
            init_cfg=[
                dict(type='Kaiming', layer='Linear'),
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
            ],
        ),
    ),
)
