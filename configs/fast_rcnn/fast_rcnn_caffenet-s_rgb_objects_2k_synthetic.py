# The teacher of 1C's twin. Like ImageNet's AlexNet it has learned to name
# objects, not to find them: no background, no boxes. Unlike those of ImageNet,
# the objects are those of the target.
_base_ = './fast_rcnn_caffenet-s_rgb_2k_synthetic.py'

model = dict(
    roi_head=dict(bbox_head=dict(loss_bbox=dict(loss_weight=0.0))),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(neg_iou_thr=0.0),
            sampler=dict(num=16, pos_fraction=1.0),
        )
    ),
)
