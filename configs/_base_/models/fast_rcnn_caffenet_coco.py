# Fast R-CNN for COCO: background from an overlap of 0.1 on, conv1 frozen, no
# dropout.
_base_ = './fast_rcnn_caffenet.py'

model = dict(
    backbone=dict(frozen_stages=1),
    roi_head=dict(
        bbox_head=dict(
            num_classes=80,
            dropout=0.0,
            loss_cls=dict(loss_weight=1.0),
            loss_bbox=dict(loss_weight=1.0),
        )
    ),
    train_cfg=dict(
        rcnn=dict(assigner=dict(neg_iou_thr=(0.1, 0.5), ignore_iof_thr=0.7))
    ),
)
