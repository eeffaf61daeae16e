"""Detections of an image as the released Fast R-CNN selects them.

Shapes: R RoIs, D detections.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv.ops import nms
from mmengine.structures import InstanceData
from torch import Tensor

__all__ = ['check_test_cfg', 'is_caffe_style', 'select_detections']

_OF_MMDET = ('score_thr', 'max_per_img')


def is_caffe_style(cfg: Mapping[str, Any] | None) -> bool:
    """Whether ``test_cfg.rcnn`` asks for :func:`select_detections`."""
    return cfg is not None and 'max_per_class' in cfg


def check_test_cfg(cfg: Mapping[str, Any] | None) -> None:
    """Refuse settings of which :func:`select_detections` cannot make sense.

    Args:
        cfg (Mapping, optional): ``test_cfg.rcnn``. Without ``max_per_class``
            it is mmdet's, and not looked at.

    Raises:
        ValueError: ``max_per_class`` is no positive integer, ``nms`` is not
            mmcv's hard NMS, or there are also settings of mmdet's detections.
    """
    if cfg is None or not is_caffe_style(cfg):
        return
    mixed = [key for key in _OF_MMDET if key in cfg]
    if mixed:
        raise ValueError(
            f'test_cfg.rcnn has max_per_class and {mixed}: max_per_class '
            "selects Caffe's detections, the others mmdet's. Keep one kind; a "
            'config that replaces the inherited one writes '
            'rcnn=dict(_delete_=True, ...)'
        )
    number = cfg['max_per_class']
    if not isinstance(number, int) or number < 1:
        raise ValueError(
            f'test_cfg.rcnn.max_per_class is {number!r}: give the number of '
            'RoIs per class and image that enter NMS, such as 100'
        )
    found = dict(cfg.get('nms') or {})
    if (
        set(found) != {'type', 'iou_threshold'}
        or found['type'] != 'nms'
        or not isinstance(found['iou_threshold'], (int, float))
    ):
        raise ValueError(
            f'test_cfg.rcnn.nms is {found}: with max_per_class it must be '
            "dict(type='nms', iou_threshold=0.3)"
        )


def select_detections(
    boxes: Tensor, scores: Tensor, cfg: Mapping[str, Any]
) -> InstanceData:
    """Per class, the best RoIs and then NMS; no limit over the classes.

    As the released test code (*Fast R-CNN*, ``fast_rcnn/test.py`` and
    ``utils/cython_nms.pyx``): every class takes its ``max_per_class`` best
    scores, whatever they are, and suppresses a box whose IoU (with +1, in
    float32) with a better one is the threshold *or more*.

    The adaptive score thresholds of Caffe (:class:`ClasswiseVOCMetric`) come
    between the two steps. NMS may go first, since what a box suppresses does
    not depend on boxes with lower scores, but the thresholds need the scores
    of all boxes that entered it: they travel as meta information.

    NMS runs on the CPU, wherever the boxes are: the IoU is then the same
    float32 quotient as in Caffe, while mmcv's CUDA kernel multiplies instead
    and decides ties otherwise.

    Args:
        boxes (Tensor): Boxes of every class (R, classes, 4), in pixels of the
            original image.
        scores (Tensor): Scores (R, classes), without the background.
        cfg (Mapping): ``test_cfg.rcnn`` with ``max_per_class`` and ``nms``.

    Returns:
        InstanceData: ``bboxes`` (D, 4), ``scores`` and ``labels`` (D,), best
        first. Meta information ``candidate_scores``: float32 on the CPU
        (min(R, max_per_class), classes), the scores that entered NMS,
        descending.

    Raises:
        ValueError: See :func:`check_test_cfg`.
    """
    check_test_cfg(cfg)
    classes = scores.shape[1]
    # Stable, so that the choice among equal scores is the same everywhere.
    order = scores.sort(dim=0, descending=True, stable=True).indices
    order = order[: cfg['max_per_class']]
    columns = torch.arange(classes, device=scores.device)
    candidates = scores[order, columns].float().cpu()
    candidate_boxes = boxes[order, columns].float().cpu()
    threshold = _largest_below(cfg['nms']['iou_threshold'])
    rows = [
        nms(candidate_boxes[:, c], candidates[:, c], threshold, offset=1)[1]
        for c in range(classes)
    ]
    row = torch.cat(rows)
    label = torch.arange(classes).repeat_interleave(
        torch.tensor([len(kept) for kept in rows])
    )
    best, rank = candidates[row, label].sort(descending=True, stable=True)
    return InstanceData(
        metainfo=dict(candidate_scores=candidates.detach()),
        bboxes=candidate_boxes[row, label][rank].to(scores.device),
        scores=best.to(scores.device),
        labels=label[rank].to(scores.device),
    )


def _largest_below(threshold: float) -> float:
    """The float32 below which no IoU reaches a (double) threshold.

    A float32 IoU is >= the threshold if and only if it is > this number:
    mmcv suppresses above its threshold, Caffe at it.
    """
    below = np.float32(threshold)
    if float(below) >= threshold:
        below = np.nextafter(below, np.float32(-np.inf))
    return float(below)
