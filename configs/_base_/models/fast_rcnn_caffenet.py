# Fast R-CNN with the CaffeNet of the paper. Leaves choose modality, geometry
# and classes.
model = dict(
    type='FastRCNN',
    data_preprocessor=dict(type='mmxdistill.MultiModalDataPreprocessor'),
    backbone=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    roi_head=dict(
        type='StandardRoIHead',
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
            bbox_coder=dict(
                type='DeltaXYWHBBoxCoder',
                target_means=[0.0, 0.0, 0.0, 0.0],
                target_stds=[0.1, 0.1, 0.2, 0.2],
            ),
            loss_cls=dict(type='CrossEntropyLoss', loss_weight=0.5),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=0.5),
        ),
    ),
    train_cfg=dict(
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=64,
                pos_fraction=0.25,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
            debug=False,
        )
    ),
    test_cfg=dict(
        rcnn=dict(
            score_thr=0.01,
            nms=dict(type='nms', iou_threshold=0.3),
            max_per_img=100,
        )
    ),
)
