"""Box regression as in Fast R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.task_modules.coders import BaseBBoxCoder
from mmdet.structures.bbox import HorizontalBoxes, get_box_tensor
from torch import Tensor

from mmxdistill.registry import TASK_UTILS

__all__ = ['CaffeBBoxCoder']

# Keeps the logarithm of boxes of one pixel finite.
_EPS = 1e-14


@TASK_UTILS.register_module()
class CaffeBBoxCoder(BaseBBoxCoder):
    """Boxes relative to RoIs, as Caffe's Fast R-CNN encodes and decodes them.

    A RoI has the width ``w = x2 - x1 + 1e-14``, without the +1 of overlaps,
    and the centre ``x1 + w / 2``. Deltas are ``(gx - x) / w, (gy - y) / h,
    ln(gw / w), ln(gh / h)``; ``wh`` regressions are not clamped, and a decoded
    box is clipped to ``x1, y1 >= 0`` and ``x2 <= W - 1, y2 <= H - 1`` only
    (*Fast R-CNN*, ``utils/bbox.py`` and ``fast_rcnn/test.py``). Means and
    standard deviations are per class: they belong to
    :class:`FastRCNNBBoxHead`, not to the coder.

    Args:
        use_box_type (bool): Return decoded boxes as ``HorizontalBoxes``.
            Defaults to False.
    """

    def __init__(self, use_box_type: bool = False) -> None:
        super().__init__(use_box_type=use_box_type)

    def encode(self, bboxes: Any, gt_bboxes: Any) -> Tensor:
        """Compute regression targets.

        Args:
            bboxes (Tensor | BaseBoxes): RoIs (R, 4), x1, y1, x2, y2.
            gt_bboxes (Tensor | BaseBoxes): Their ground truth (R, 4).

        Returns:
            Tensor: dx, dy, dw, dh (R, 4), computed in double precision and
            rounded to float32.
        """
        center, size = _center_and_size(bboxes)
        gt_center, gt_size = _center_and_size(gt_bboxes)
        shift = (gt_center - center) / size
        return torch.cat([shift, (gt_size / size).log()], -1).float()

    def decode(
        self,
        bboxes: Any,
        pred_bboxes: Tensor,
        max_shape: Sequence[int] | None = None,
    ) -> Any:
        """Apply regressions to RoIs.

        Args:
            bboxes (Tensor | BaseBoxes): RoIs (R, 4), x1, y1, x2, y2.
            pred_bboxes (Tensor): dx, dy, dw, dh of every class, (R, 4) or
                (R, 4 * classes).
            max_shape (Sequence[int], optional): Height and width of the image
                to which the boxes are clipped.

        Returns:
            Tensor | HorizontalBoxes: Boxes of the shape of ``pred_bboxes``.
            The exponential is taken in the type of ``pred_bboxes``, at least
            float32, which is also that of the result; the rest is computed in
            double precision.
        """
        kind = torch.promote_types(pred_bboxes.dtype, torch.float32)
        deltas = pred_bboxes.to(kind).unflatten(-1, (-1, 4))
        center, size = (t[..., None, :] for t in _center_and_size(bboxes))
        center = deltas[..., :2] * size + center
        half = deltas[..., 2:].exp() * size / 2
        low, high = center - half, center + half
        if max_shape is not None:
            height, width = max_shape[:2]
            low = low.clamp(min=0)
            high = high.minimum(high.new_tensor([width - 1, height - 1]))
        boxes = torch.cat([low, high], -1).flatten(-2).to(kind)
        return HorizontalBoxes(boxes) if self.use_box_type else boxes


def _center_and_size(boxes: Any) -> tuple[Tensor, Tensor]:
    """Centre x, y (R, 2) and width, height (R, 2), in double precision."""
    boxes = get_box_tensor(boxes).double()
    size = boxes[..., 2:] - boxes[..., :2] + _EPS
    return boxes[..., :2] + size / 2, size
