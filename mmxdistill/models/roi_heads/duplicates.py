"""RoIs that cover the same cells of the feature map.

Shapes: R RoIs, U of them different, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ['score_unique_rois', 'unique_rois']

# RoIs (R, 5) -> class scores (R, C + 1) and box regression (R, 4C).
Scorer = Callable[[Tensor], tuple[Tensor, Tensor]]


def unique_rois(rois: Tensor, stride: float) -> tuple[Tensor, Tensor]:
    """Find one RoI for each set of RoIs with the same rounded corners.

    Corners are divided by the stride and rounded half to even, in double
    precision (*Fast R-CNN*, ``fast_rcnn/test.py``). Caffe's RoI pooling rounds
    half away from zero: RoIs may share a key and not their cells.

    Args:
        rois (Tensor): Batch index and corners in input pixels, (R, 5).
        stride (float): Input pixels per cell.

    Returns:
        tuple[Tensor, Tensor]: Index of the first RoI of each of the U sets
        (U,), and the set of each RoI (R,).
    """
    keys = rois.double()
    keys = torch.cat([keys[:, :1], (keys[:, 1:] / stride).round()], 1)
    sets, inverse = keys.unique(dim=0, return_inverse=True)
    positions = torch.arange(len(rois), device=rois.device)
    first = positions.new_full((len(sets),), len(rois))
    return first.scatter_reduce(0, inverse, positions, 'amin'), inverse


def score_unique_rois(
    score: Scorer, rois: Tensor, stride: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Score one RoI of each set of duplicates, for all of them.

    Args:
        score (Callable): Gives scores and regression of RoIs.
        rois (Tensor): Batch index and corners in input pixels, (R, 5).
        stride (float, optional): See :func:`unique_rois`; None scores every
            RoI.

    Returns:
        tuple[Tensor, Tensor, Tensor]: RoIs (R, 5), each replaced by the one
        that represents it, since Caffe decodes the box of the latter; scores
        (R, ...) and regression (R, ...).
    """
    if stride is None:
        return rois, *score(rois)
    index, inverse = unique_rois(rois, stride)
    unique = rois[index]
    scores, deltas = score(unique)
    return unique[inverse], scores[inverse], deltas[inverse]
