"""How long the full-size recipes take, by their arithmetic."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn

from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS
from mmxdistill.studies.configs import load_config

__all__ = ['PUBLISHED', 'backbone_macs', 'expected_hours', 'iteration_macs']

# The only time that is published: 2.5 hours for 100K iterations, on a K40.
PUBLISHED = (
    'supervision_transfer/st_caffenet_caffenet_hha_pool5_100k_nyud2.py',
    2.5,
)
# Forward, gradients of the weights, gradients of the input.
_LEARNS = 3
_ASPECT = 4 / 3  # of the images of all data sets, roughly
_PROBE = 224  # pixels; convolutions grow with the area
_STAGES = 5


def expected_hours(config: str) -> float:
    """Project the time of a training from the one that is published.

    It is in proportion to the multiplications of convolutions and fully
    connected layers, so it is that of the paper's GPU if loading the images
    does not take longer.

    Args:
        config (str): Below ``configs/``.

    Returns:
        float: Hours.
    """
    known, hours = PUBLISHED
    return hours * _total(config) / _total(known)


def _total(config: str) -> float:
    return load_config(config).train_cfg.max_iters * iteration_macs(config)


@cache
def iteration_macs(config: str) -> float:
    """Count the multiplications of one training iteration.

    Args:
        config (str): Below ``configs/``.

    Returns:
        float: Of all images of a batch: forward in the teacher and in frozen
        parts, three times that where it learns.
    """
    cfg = load_config(config)
    model = cfg.model
    images = cfg.train_dataloader.batch_size
    short = next(_scales(cfg.train_dataloader.to_dict()))
    pixels = _ASPECT * short**2
    if 'transfer_points' in model:
        parts = [(model.teacher, 1), (model.student, _LEARNS)]
        rois = model.get('num_rois', 0)
    else:
        frozen = model.backbone.get('frozen_stages', -1) >= _STAGES
        parts = [(model, 1 if frozen else _LEARNS)]
        train = model.train_cfg.rcnn
        rois = train.get('sampler', train).num
    macs = 0.0
    for network, times in parts:
        # Heads learn where the backbone is frozen, too.
        learns = times if 'transfer_points' in model else _LEARNS
        resolved = resolve_network(network).model
        backbone = resolved.get('backbone', resolved)
        backbone = {k: v for k, v in backbone.items() if k != 'init_cfg'}
        macs += times * pixels * _macs_per_pixel(json.dumps(backbone))
        head = resolved.get('roi_head', {}).get('bbox_head')
        if head is not None and rois:
            regions = 'mask_head' in resolved.roi_head  # all but it is frozen
            macs += (1 if regions else learns) * rois * _fc_macs(head)
    return images * macs


def backbone_macs(backbone: Mapping, size: tuple[int, int]) -> int:
    """Count the multiplications of a backbone's convolutions.

    Args:
        backbone (dict): Its config.
        size (tuple[int, int]): Height and width of an image in pixels.

    Returns:
        int: Of one image, forward.
    """
    found = 0

    def count(layer: nn.Conv2d, _: Any, output: torch.Tensor) -> None:
        nonlocal found
        found += output.numel() * layer.weight[0].numel()

    network = MODELS.build(backbone).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, *size))
    return found


@cache
def _macs_per_pixel(backbone: str) -> float:
    return backbone_macs(json.loads(backbone), (_PROBE, _PROBE)) / _PROBE**2


def _fc_macs(head: Mapping) -> int:
    """Multiplications of fc6 and fc7, for one RoI."""
    width = head['fc_channels']
    cells = head.get('roi_feat_size', 6) ** 2
    return head['in_channels'] * cells * width + width**2


def _scales(node: Any) -> Iterator[float]:
    """Shorter sides to which a pipeline resizes images."""
    if isinstance(node, Mapping):
        if node.get('type') == 'mmxdistill.CaffeResize':
            yield node['scale']
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _scales(child)
