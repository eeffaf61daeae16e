"""Detectors of mmdet's model zoo with a few channels, three classes."""

import contextlib
import copy
import functools

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

CLASSES = 3
SIZE = 64

_RESNET = dict(
    backbone=dict(depth=18, base_channels=4, frozen_stages=-1, init_cfg=None),
    neck=dict(in_channels=[4, 8, 16, 32], out_channels=8),
)
_RPN = dict(in_channels=8, feat_channels=8)
_EXTRACTOR = dict(out_channels=8)
_BOX = dict(in_channels=8, fc_out_channels=16, num_classes=CLASSES)
_MASK = dict(
    in_channels=8, conv_out_channels=8, num_convs=1, num_classes=CLASSES
)
_TWO_STAGE = dict(
    **_RESNET,
    rpn_head=_RPN,
    test_cfg=dict(
        rpn=dict(max_per_img=30), rcnn=dict(score_thr=0.1, max_per_img=20)
    ),
)
_DENSE = dict(num_classes=CLASSES, in_channels=8, feat_channels=8)
_ONE_STAGE = dict(
    **_RESNET, bbox_head=_DENSE, test_cfg=dict(score_thr=0.1, nms_pre=50)
)
_NORM = dict(type='BN')


def _csp(head, neck=None, **backbone):
    return dict(
        backbone=dict(
            deepen_factor=0.167, widen_factor=0.125, init_cfg=None, **backbone
        ),
        neck=dict(
            in_channels=[32, 64, 128],
            out_channels=16,
            num_csp_blocks=1,
            **(neck or {}),
        ),
        bbox_head=dict(
            num_classes=CLASSES, in_channels=16, feat_channels=16, **head
        ),
    )


# Name -> config of mmdet, and what is changed.
_ZOO = {
    'faster_rcnn': (
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        dict(
            _TWO_STAGE,
            roi_head=dict(bbox_roi_extractor=_EXTRACTOR, bbox_head=_BOX),
        ),
    ),
    'rpn': (
        'rpn/rpn_r50_fpn_1x_coco.py',
        dict(_RESNET, rpn_head=_RPN, test_cfg=dict(rpn=dict(max_per_img=30))),
    ),
    'double_head': (
        'double_heads/dh-faster-rcnn_r50_fpn_1x_coco.py',
        dict(
            _TWO_STAGE,
            roi_head=dict(
                bbox_roi_extractor=_EXTRACTOR,
                bbox_head=dict(_BOX, num_convs=1, conv_out_channels=8),
            ),
        ),
    ),
    'mask_rcnn': (
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        dict(
            _TWO_STAGE,
            roi_head=dict(
                bbox_roi_extractor=_EXTRACTOR,
                bbox_head=_BOX,
                mask_roi_extractor=_EXTRACTOR,
                mask_head=_MASK,
            ),
        ),
    ),
    'cascade_mask_rcnn': (
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
        dict(
            _TWO_STAGE,
            roi_head=dict(
                bbox_roi_extractor=_EXTRACTOR,
                bbox_head=[_BOX] * 3,
                mask_roi_extractor=_EXTRACTOR,
                mask_head=_MASK,
            ),
        ),
    ),
    'yolox': ('yolox/yolox_tiny_8xb8-300e_coco.py', _csp({})),
    'rtmdet': (
        'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        _csp(
            dict(norm_cfg=_NORM, exp_on_reg=True),
            dict(norm_cfg=_NORM),
            norm_cfg=_NORM,
        ),
    ),
    'retinanet': ('retinanet/retinanet_r50_fpn_1x_coco.py', _ONE_STAGE),
    'fcos': (
        'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        dict(_ONE_STAGE, bbox_head=dict(_DENSE, norm_cfg=None)),
    ),
    'atss': (
        'atss/atss_r50_fpn_1x_coco.py',
        dict(_ONE_STAGE, bbox_head=dict(_DENSE, norm_cfg=None)),
    ),
    'gfl': (
        'gfl/gfl_r50_fpn_1x_coco.py',
        dict(_ONE_STAGE, bbox_head=dict(_DENSE, norm_cfg=None)),
    ),
    'tood': (
        'tood/tood_r50_fpn_1x_coco.py',
        dict(_ONE_STAGE, bbox_head=dict(_DENSE, norm_cfg=None)),
    ),
    'vfnet': (
        'vfnet/vfnet_r50_fpn_1x_coco.py',
        dict(_ONE_STAGE, bbox_head=dict(_DENSE, norm_cfg=None)),
    ),
    'yolov3': (
        'yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py',
        dict(
            backbone=dict(init_cfg=None),
            bbox_head=dict(num_classes=CLASSES),
            test_cfg=dict(score_thr=0.3),
        ),
    ),
}
TWO_STAGE = ['faster_rcnn', 'double_head', 'mask_rcnn', 'cascade_mask_rcnn']
ONE_STAGE = ['yolox', 'rtmdet', 'retinanet', 'fcos', 'atss']
OTHER_ONE_STAGE = ['gfl', 'vfnet', 'tood']


def _merge(base, change):
    """Like mmengine, but into lists as well."""
    if isinstance(change, list):
        return [_merge(b, c) for b, c in zip(base, change, strict=True)]
    if not isinstance(change, dict) or not isinstance(base, dict):
        return copy.deepcopy(change)
    return ConfigDict(
        base,
        **{key: _merge(base.get(key), value) for key, value in change.items()},
    )


@functools.cache
def _read(name):
    path, change = _ZOO[name]
    return _merge(resolve_network(f'mmdet::{path}').model, change)


def config(name, **change):
    """A detector's config."""
    return _merge(copy.deepcopy(_read(name)), change)


def randomize(model, seed=0):
    """Weights with which the detections differ from box to box."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            fan = parameter[0].numel()
            parameter.data.normal_(0, fan**-0.5, generator=generator)
        elif name.endswith('bias'):
            parameter.data.normal_(0, 0.1, generator=generator)
    return model.eval()


def fused(streams, seeds=None, **kwargs):
    """Random streams ``name -> config``, and their fusion.

    Args:
        streams: Configs by name.
        seeds: Of the weights; equal ones give equal streams.
        kwargs: Of the fusion.
    """
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            streams={name: dict(model=cfg) for name, cfg in streams.items()},
            data_preprocessor=dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities={name: name for name in streams},
                pad_size_divisor=32,
            ),
            **kwargs,
        )
    )
    seeds = seeds or range(len(streams))
    for stream, seed in zip(model.streams.values(), seeds, strict=True):
        randomize(stream, seed)
    return model.eval()


@functools.cache
def pair(name):
    """Two streams ``a`` and ``b`` of a kind, for all tests: see `changed`."""
    return fused(dict(a=config(name), b=config(name)))


@contextlib.contextmanager
def changed(model, weights=None, box_weights=None, absent=(), same=False):
    """Set what a fusion's config sets, for a while.

    Args:
        model: The fusion.
        weights: See the fusion.
        box_weights: See the fusion.
        absent: See the fusion.
        same: Whether the second stream is the first once more.
    """
    before = model.weights, model.absent, model.streams['b']
    model.weights = model.make_weights(weights, box_weights)
    model.absent = absent
    if same:
        model.streams['b'] = model.streams['a']
    yield model
    model.weights, model.absent, model.streams['b'] = before


def samples(n=2, proposals=False, seed=0, **meta):
    """Samples of images of 64 x 64 pixels, of originals twice as large."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for i in range(n):
        sample = DetDataSample(
            metainfo=dict(
                img_path=f'{i}.jpg',
                img_shape=(SIZE, SIZE),
                ori_shape=(2 * SIZE, 2 * SIZE),
                pad_shape=(SIZE, SIZE),
                batch_input_shape=(SIZE, SIZE),
                scale_factor=(0.5, 0.5),
                **meta,
            )
        )
        if proposals:
            low = torch.rand(9, 2, generator=generator) * 40
            size = torch.rand(9, 2, generator=generator) * 14 + 10
            sample.proposals = InstanceData(
                bboxes=torch.cat([low, low + size], 1)
            )
        found.append(sample)
    return found


def image(n=2, seed=0):
    """A batch of one modality."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, SIZE, SIZE, generator=generator)


def assert_same(found, expected, exact=True):
    """Compare detections of batches."""
    for sample, other in zip(found, expected, strict=True):
        f, e = sample.pred_instances, other.pred_instances
        assert len(f) == len(e) > 0
        assert set(f.keys()) == set(e.keys())
        for key in f.keys():
            limits = dict(rtol=0, atol=0) if exact else {}
            torch.testing.assert_close(f[key], e[key], **limits)
