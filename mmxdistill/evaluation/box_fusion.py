"""Fusion of finished detections: what late fusion is compared with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import torch
from mmcv.ops import batched_nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor

__all__ = [
    'available_fusions',
    'pooled_nms',
    'probabilistic_ensemble',
    'weighted_boxes',
]

BoxFusion = Callable[[Sequence[InstanceData]], InstanceData]

_NO_WBF = (
    'weighted boxes fusion needs the package ensemble-boxes: '
    'pip install "mmxdistill[baselines]"'
)
_CERTAIN = 1e-6  # probabilities stay this far from 0 and 1


def pooled_nms(
    detections: Sequence[InstanceData], iou_threshold: float = 0.5
) -> InstanceData:
    """NMS over the detections of all streams.

    Args:
        detections (Sequence[InstanceData]): Per stream ``bboxes`` (D, 4),
            ``scores`` and ``labels`` (D,) of one image.
        iou_threshold (float): Of the NMS, per class. Defaults to 0.5.

    Returns:
        InstanceData: ``bboxes``, ``scores``, ``labels``, best first.
    """
    boxes, scores, labels, _ = _pooled(detections)
    if not len(boxes):
        return _instances(boxes, scores, labels)
    _, keep = batched_nms(
        boxes, scores, labels, dict(type='nms', iou_threshold=iou_threshold)
    )
    return _instances(boxes[keep], scores[keep], labels[keep])


def probabilistic_ensemble(
    detections: Sequence[InstanceData], iou_threshold: float = 0.5
) -> InstanceData:
    """Probabilistic ensembling (ProbEn; Chen et al., ECCV 2022).

    Detections of one class that overlap the best of them form a group; the
    best of each stream counts. With streams that are independent given the
    class, and classes that are as likely as not, the posterior odds multiply:
    ``logit(p) = sum of logit(p_k)``; a stream without a detection in the group
    says nothing. Boxes are averaged by their scores (``s-avg``).

    Args:
        detections (Sequence[InstanceData]): See :func:`pooled_nms`; scores
            are probabilities.
        iou_threshold (float): Of a group. Defaults to 0.5.

    Returns:
        InstanceData: ``bboxes``, ``scores``, ``labels``, best first.
    """
    boxes, scores, labels, streams = _pooled(detections)
    order = scores.sort(descending=True, stable=True).indices
    boxes, scores = boxes[order], scores[order]
    labels, streams = labels[order], streams[order]
    close = (bbox_overlaps(boxes, boxes) >= iou_threshold) & (
        labels[:, None] == labels
    )
    logits = scores.clamp(_CERTAIN, 1 - _CERTAIN).logit()
    free = torch.ones_like(labels, dtype=torch.bool)
    fused_boxes, fused_scores, rows = [], [], []
    for row in range(len(boxes)):
        if not free[row]:
            continue
        group = (close[row] & free).nonzero()[:, 0]
        free[group] = False
        free[row] = False  # a box without area overlaps not even itself
        members = [row]
        seen = {int(streams[row])}
        for i in group.tolist():
            if int(streams[i]) not in seen:
                seen.add(int(streams[i]))
                members.append(i)
        share = scores[members] / scores[members].sum().clamp(min=_CERTAIN)
        fused_boxes.append((share[:, None] * boxes[members]).sum(0))
        fused_scores.append(logits[members].sum().sigmoid())
        rows.append(row)
    if not rows:
        return _instances(boxes, scores, labels)
    found = torch.stack(fused_scores)
    rank = found.sort(descending=True, stable=True).indices
    return _instances(
        torch.stack(fused_boxes)[rank], found[rank], labels[rows][rank]
    )


def weighted_boxes(
    detections: Sequence[InstanceData], iou_threshold: float = 0.55
) -> InstanceData:
    """Weighted boxes fusion (Solovyev et al., 2021), of ``ensemble-boxes``.

    Args:
        detections (Sequence[InstanceData]): See :func:`pooled_nms`.
        iou_threshold (float): Of a group. Defaults to 0.55, that library's.

    Returns:
        InstanceData: ``bboxes``, ``scores``, ``labels``, best first.

    Raises:
        ImportError: ``ensemble-boxes`` is not installed.
    """
    try:
        from ensemble_boxes import weighted_boxes_fusion
    except ImportError:
        raise ImportError(_NO_WBF) from None
    boxes, scores, labels, _ = _pooled(detections)
    if not len(boxes):
        return _instances(boxes, scores, labels)
    low, size = boxes.min(), (boxes.max() - boxes.min()).clamp(min=1.0)
    found = weighted_boxes_fusion(
        [((d.bboxes - low) / size).tolist() for d in detections],
        [d.scores.tolist() for d in detections],
        [d.labels.tolist() for d in detections],
        iou_thr=iou_threshold,
    )
    fused_boxes, fused_scores, fused_labels = map(torch.as_tensor, found)
    return _instances(
        fused_boxes.to(boxes).reshape(-1, 4) * size + low,
        fused_scores.to(scores),
        fused_labels.to(labels),
    )


def available_fusions() -> dict[str, BoxFusion]:
    """Fusions of finished boxes, by name.

    Returns:
        dict[str, Callable]: Without weighted boxes fusion where
        ``ensemble-boxes`` is not installed; a warning says so.
    """
    fusions: dict[str, BoxFusion] = {
        'NMS of all boxes': pooled_nms,
        'weighted boxes fusion': weighted_boxes,
        'probabilistic ensembling': probabilistic_ensemble,
    }
    if find_spec('ensemble_boxes') is None:
        print_log(f'left out: {_NO_WBF}', 'current', logging.WARNING)
        del fusions['weighted boxes fusion']
    return fusions


def _pooled(
    detections: Sequence[InstanceData],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    boxes = torch.cat([d.bboxes for d in detections])
    streams = torch.cat(
        [torch.full_like(d.labels, i) for i, d in enumerate(detections)]
    )
    return (
        boxes,
        torch.cat([d.scores for d in detections]),
        torch.cat([d.labels for d in detections]),
        streams,
    )


def _instances(boxes: Tensor, scores: Tensor, labels: Tensor) -> InstanceData:
    return InstanceData(bboxes=boxes, scores=scores, labels=labels)
