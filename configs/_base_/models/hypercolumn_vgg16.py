# As hypercolumn_caffenet.py, on VGG16: pool3 and pool4.
_base_ = './fast_rcnn_vgg16.py'

model = dict(
    backbone=dict(out_features=('conv5_3', 'pool3', 'pool4'), frozen_stages=5),
    roi_head=dict(
        type='mmxdistill.HypercolumnRoIHead',
        mask_head=dict(
            type='mmxdistill.HypercolumnMaskHead',
            num_classes=19,
            fc7_channels=4096,
            maps=dict(
                pool3=dict(in_channels=256, kernel_size=3, scale=0.0027),
                pool4=dict(in_channels=512, kernel_size=1, scale=0.063),
            ),
        ),
    ),
    train_cfg=dict(rcnn=dict(_delete_=True, num=5, pos_iou_thr=0.7)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.4)),
)
