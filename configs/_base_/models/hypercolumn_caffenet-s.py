# hypercolumn_caffenet.py on the narrow CaffeNet of the generated rooms, whose
# activations are near 1: nothing to scale.
_base_ = './fast_rcnn_caffenet-s.py'

model = dict(
    backbone=dict(
        geometry='rgb',
        out_features=('conv5', 'pool2', 'conv4'),
        frozen_stages=5,
    ),
    roi_head=dict(
        type='mmxdistill.HypercolumnRoIHead',
        mask_head=dict(
            type='mmxdistill.HypercolumnMaskHead',
            num_classes=5,
            fc7_channels=256,
            maps=dict(
                pool2=dict(in_channels=64, kernel_size=3, scale=1.0),
                conv4=dict(in_channels=96, kernel_size=1, scale=1.0),
            ),
        ),
    ),
    train_cfg=dict(rcnn=dict(_delete_=True, num=5, pos_iou_thr=0.7)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.4)),
)
