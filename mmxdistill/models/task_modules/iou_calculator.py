"""Overlaps of boxes whose corners are pixels, both inclusive."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.structures.bbox import bbox_overlaps, get_box_tensor
from torch import Tensor

from mmxdistill.registry import TASK_UTILS

__all__ = ['CaffeBboxOverlaps2D']


@TASK_UTILS.register_module()
class CaffeBboxOverlaps2D:
    """Overlaps with +1 on widths, heights and intersections.

    For ``iou_calculator`` of mmdet's assigners. Computed in double precision
    and then rounded to float32, as the overlaps in Caffe's RoI database. The
    boxes must be in pixels of the *original* image: in a resized one, a pixel
    is not 1 (:class:`CaffeMaxIoUAssigner` sees to it).
    """

    def __call__(
        self,
        bboxes1: Any,
        bboxes2: Any,
        mode: str = 'iou',
        is_aligned: bool = False,
    ) -> Tensor:
        """Compute the overlaps.

        Args:
            bboxes1 (Tensor | BaseBoxes): (m, 4), x1, y1, x2, y2 in pixels;
                further columns are ignored.
            bboxes2 (Tensor | BaseBoxes): (n, 4).
            mode (str): 'iou' (over the union), 'iof' (over ``bboxes1``) or
                'giou'. Defaults to 'iou'.
            is_aligned (bool): Compare the boxes pair by pair. Defaults to
                False.

        Returns:
            Tensor: float32 (m, n), or (m,) if ``is_aligned``.
        """
        first, second = (_half_open(boxes) for boxes in (bboxes1, bboxes2))
        return bbox_overlaps(first, second, mode, is_aligned).float()

    def __repr__(self) -> str:
        """Name."""
        return f'{type(self).__name__}()'


def _half_open(boxes: Any) -> Tensor:
    """Boxes (n, 4) with exclusive right and lower borders, in double."""
    boxes = get_box_tensor(boxes)[..., :4].double()
    return torch.cat([boxes[..., :2], boxes[..., 2:] + 1], -1)
