# Regions by hyper-columns on a trained Fast R-CNN with the CaffeNet of the
# paper (SDS): fc7 of the boxes, pool2 and conv4 of the image. All but the mask
# head is frozen; load_from gives the detector. In the SDS networks the HHA
# stream has the geometry of the RGB stream, too.
_base_ = './fast_rcnn_caffenet.py'

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
            num_classes=19,
            fc7_channels=4096,
            maps=dict(
                pool2=dict(in_channels=256, kernel_size=3, scale=0.0074),
                conv4=dict(in_channels=384, kernel_size=1, scale=0.0909),
            ),
        ),
    ),
    train_cfg=dict(rcnn=dict(_delete_=True, num=5, pos_iou_thr=0.7)),
    test_cfg=dict(rcnn=dict(mask_thr_binary=0.4)),
)
