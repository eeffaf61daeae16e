"""Proposals at which features of RoIs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures.bbox import bbox2roi
from torch import Tensor

__all__ = ['draw_rois']


def draw_rois(
    samples: Sequence[Any], count: int, at_random: bool, like: Tensor
) -> Tensor:
    """Take some proposals of each image.

    Args:
        samples (Sequence[DetDataSample]): With ``proposals``.
        count (int): Per image, at most.
        at_random (bool): Or the first ones.
        like (Tensor): Of the device and type that is wanted.

    Returns:
        Tensor: (R, 5) as (image, x1, y1, x2, y2) in pixels of the input.

    Raises:
        ValueError: An image has no proposals.
    """
    boxes = []
    for sample in samples:
        if 'proposals' not in sample or len(sample.proposals) == 0:
            raise ValueError(
                f"'{sample.get('img_path')}' has no proposals, which a "
                'transfer at RoI features (fc6, fc7) needs: set '
                'proposal_file of the data set'
            )
        all_boxes = sample.proposals.bboxes
        if at_random:
            all_boxes = all_boxes[torch.randperm(len(all_boxes))]
        boxes.append(all_boxes[:count].to(like))
    rois: Tensor = bbox2roi(boxes)
    return rois
