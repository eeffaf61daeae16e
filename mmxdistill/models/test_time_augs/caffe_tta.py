"""Test-time augmentation for boxes in Caffe's convention."""

from __future__ import annotations

from mmdet.models.test_time_augs import DetTTAModel
from torch import Tensor

from mmxdistill.registry import MODELS

__all__ = ['CaffeTTAModel']


@MODELS.register_module()
class CaffeTTAModel(DetTTAModel):
    """``mmdet.DetTTAModel`` for images mirrored by ``CaffeRandomFlip``.

    The corners of a box are pixels, both inclusive, so that a mirrored one
    is ``W - 1 - x``, where mmdet has ``W - x``. Without this, the boxes of
    the mirror image would come back a pixel to the right of the others.

    Args: see ``mmdet.DetTTAModel``.
    """

    def merge_aug_bboxes(
        self,
        aug_bboxes: list[Tensor],
        aug_scores: list[Tensor] | None,
        img_metas: list[dict],
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Bring the boxes of all views back to the original image.

        Args:
            aug_bboxes (list[Tensor]): (n, 4) of each view, xyxy in pixels of
                the original size.
            aug_scores (list[Tensor], optional): (n,) of each view.
            img_metas (list[dict]): ``ori_shape``, ``flip`` and
                ``flip_direction`` of each view.

        Returns:
            Tensor or tuple[Tensor, Tensor]: Boxes of all views (m, 4), with
            their scores (m,) if there are any.
        """
        shifted = []
        for boxes, meta in zip(aug_bboxes, img_metas, strict=True):
            direction = meta['flip_direction'] if meta['flip'] else None
            x = float(direction in ('horizontal', 'diagonal'))
            y = float(direction in ('vertical', 'diagonal'))
            shifted.append(boxes + boxes.new_tensor([x, y, x, y]))
        return super().merge_aug_bboxes(shifted, aug_scores, img_metas)
