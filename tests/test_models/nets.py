"""Small networks that several tests build."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData


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


def region_detector(modality='rgb', **rcnn):
    """Hyper-columns on that detector; settings of ``test_cfg.rcnn``."""
    cfg = fast_rcnn(modality)
    cfg.backbone = backbone(
        out_features=('conv5', 'pool2', 'conv4'), frozen_stages=5
    )
    cfg.roi_head.update(
        type='mmxdistill.HypercolumnRoIHead',
        mask_head=dict(
            type='mmxdistill.HypercolumnMaskHead',
            num_classes=3,
            maps=dict(
                pool2=dict(in_channels=8, kernel_size=3, scale=0.5),
                conv4=dict(in_channels=12, kernel_size=1, scale=0.1),
            ),
            fc7_channels=16,
            mask_size=10,
            grid_size=2,
        ),
    )
    cfg.train_cfg = dict(rcnn=dict(num=5, pos_iou_thr=0.7))
    nms = dict(type='nms', iou_threshold=0.3)
    cfg.test_cfg = dict(rcnn=dict(max_per_class=6, nms=nms, **rcnn))
    return cfg


def region_sample(scale=2.0, **meta):
    """Two objects of classes 0 and 2 in an image of 48 x 64 pixels."""
    masks = np.zeros((2, 48, 64), np.uint8)
    masks[0, 4:24, 6:30] = 1
    masks[1, 20:40, 34:62] = 1
    found = DetDataSample(
        metainfo=dict(
            img_path='a.png',
            ori_shape=(48, 64),
            img_shape=(int(48 * scale), int(64 * scale)),
            scale_factor=(scale, scale),
            **meta,
        )
    )
    boxes = torch.tensor([[6, 4, 29, 23], [34, 20, 61, 39.0]])
    found.gt_instances = InstanceData(
        bboxes=boxes,
        labels=torch.tensor([0, 2]),
        masks=BitmapMasks(masks, 48, 64),
    )
    near = boxes + torch.tensor([1, -1, 0, 2.0])  # IoU of 0.8 or more
    far = boxes * 0.5
    found.proposals = InstanceData(bboxes=torch.cat([near, far]) * scale)
    return found
