# Fast R-CNN with the CaffeNet of the paper, as the authors' Caffe computes it.
# The data preprocessor is that of the data set; leaves choose geometry and
# classes. docs/fast_rcnn.md tells how to
# go back to mmdet's usual parts.
model = dict(
    type='FastRCNN',
    backbone=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    roi_head=dict(
        type='mmxdistill.DedupRoIHead',
        bbox_roi_extractor=dict(
            type='mmxdistill.SingleRoIExtractor',
            roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=6),
            out_channels=256,
            featmap_strides=[16],
        ),
        bbox_head=dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=256,
            fc_channels=4096,
            num_classes=19,
            bbox_coder=dict(type='mmxdistill.CaffeBBoxCoder'),
            loss_cls=dict(
                type='mmxdistill.CaffeCrossEntropyLoss', loss_weight=0.5
            ),
            loss_bbox=dict(
                type='mmxdistill.CaffeSmoothL1Loss', loss_weight=0.5
            ),
        ),
    ),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(
                type='mmxdistill.CaffeMaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                iou_calculator=dict(type='mmxdistill.CaffeBboxOverlaps2D'),
            ),
            sampler=dict(
                type='mmxdistill.CaffeRoISampler', num=64, pos_fraction=0.25
            ),
            pos_weight=-1,
            debug=False,
        )
    ),
    test_cfg=dict(
        rcnn=dict(max_per_class=100, nms=dict(type='nms', iou_threshold=0.3))
    ),
)
