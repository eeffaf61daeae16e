"""Small networks that several tests build."""

from mmengine.config import ConfigDict


def backbone(geometry='rgb', **kwargs):
    """CaffeNet with 8..16 channels."""
    return dict(
        type='mmxdistill.CaffeNet',
        geometry=geometry,
        channels=(8, 8, 12, 12, 8),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
        **kwargs,
    )


def preprocessor(*names):
    """Two or more modalities of three channels."""
    return dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities={name: dict(mean=[100.0] * 3) for name in names},
        pad_size_divisor=32,
    )


def fast_rcnn(modality='rgb', geometry='rgb', num_classes=3, **head):
    """Fast R-CNN on that backbone."""
    return ConfigDict(
        type='FastRCNN',
        data_preprocessor=preprocessor(modality),
        backbone=backbone(geometry),
        roi_head=dict(
            type='StandardRoIHead',
            bbox_roi_extractor=dict(
                type='mmxdistill.SingleRoIExtractor',
                roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=3),
                out_channels=8,
                featmap_strides=[16],
            ),
            bbox_head={
                **dict(
                    type='mmxdistill.FastRCNNBBoxHead',
                    in_channels=8,
                    roi_feat_size=3,
                    fc_channels=16,
                    num_classes=num_classes,
                    bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
                    loss_bbox=dict(type='SmoothL1Loss'),
                ),
                **head,
            },
        ),
        train_cfg=dict(
            rcnn=dict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=0.5,
                    neg_iou_thr=0.5,
                    min_pos_iou=0.5,
                    match_low_quality=False,
                ),
                sampler=dict(
                    type='RandomSampler',
                    num=16,
                    pos_fraction=0.25,
                    add_gt_as_proposals=True,
                ),
                pos_weight=-1,
            )
        ),
        test_cfg=dict(
            rcnn=dict(
                score_thr=0.0,
                nms=dict(type='nms', iou_threshold=0.3),
                max_per_img=20,
            )
        ),
    )
