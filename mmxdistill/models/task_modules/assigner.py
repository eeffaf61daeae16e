"""Assignment of RoIs to ground truth in pixels of the original image."""

from __future__ import annotations

from typing import Any

from mmdet.models.task_modules.assigners import AssignResult, MaxIoUAssigner
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from mmxdistill.registry import TASK_UTILS

__all__ = ['CaffeMaxIoUAssigner']

# Steps per pixel: finer than any annotation, coarser than the float32
# rounding of a coordinate below 4096.
_GRID = 1024


@TASK_UTILS.register_module()
class CaffeMaxIoUAssigner(MaxIoUAssigner):
    """``mmdet.MaxIoUAssigner`` whose overlaps are those of the unscaled boxes.

    Overlaps with +1 (:class:`CaffeBboxOverlaps2D`) depend on the size of a
    pixel. Caffe computes them once, before the images are resized; here the
    boxes are divided by the scale of their image first. The coordinates are
    rounded to 1/1024 pixel, so that boxes of whole pixels come out exactly
    and a proposal with IoU 1/2 is foreground, as in Caffe.

    The proposals must carry the meta information ``scale_factor`` (w, h),
    which :class:`MultiModalDataPreprocessor` copies from the sample.

    Args: those of ``mmdet.MaxIoUAssigner``. The released settings are
        ``pos_iou_thr=0.5, neg_iou_thr=0.5, match_low_quality=False,
        iou_calculator=dict(type='mmxdistill.CaffeBboxOverlaps2D')``.
    """

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs: Any,
    ) -> AssignResult:
        """Assign a ground-truth box or the background to each proposal.

        Args:
            pred_instances (InstanceData): ``priors`` (n, 4) in pixels of the
                resized image, and ``scale_factor``.
            gt_instances (InstanceData): ``bboxes`` (k, 4) in pixels of the
                resized image, ``labels`` (k,).
            gt_instances_ignore (InstanceData, optional): ``bboxes``.
            **kwargs: Of ``mmdet.MaxIoUAssigner.assign``.

        Returns:
            AssignResult: The assignment.

        Raises:
            KeyError: The proposals do not tell their scale.
        """
        scale = pred_instances.get('scale_factor')
        if scale is None:
            raise KeyError(
                "CaffeMaxIoUAssigner: the proposals have no 'scale_factor'. "
                'It comes from the sample by way of '
                'mmxdistill.MultiModalDataPreprocessor: the pipeline needs a '
                'resizing transform, PackDetInputs its meta key '
                "'scale_factor'; proposals of an RPN have none (use "
                'mmdet.MaxIoUAssigner)'
            )
        original = InstanceData(priors=_unscale(pred_instances.priors, scale))
        truth = InstanceData(
            bboxes=_unscale(gt_instances.bboxes, scale),
            labels=gt_instances.labels,
        )
        ignored = None
        if gt_instances_ignore is not None:
            ignored = InstanceData(
                bboxes=_unscale(gt_instances_ignore.bboxes, scale)
            )
        return super().assign(original, truth, ignored, **kwargs)


def _unscale(boxes: Any, scale: tuple[float, float]) -> Tensor:
    """Boxes (n, 4) in double precision, in pixels of the original image."""
    boxes = get_box_tensor(boxes).double()
    boxes = boxes / boxes.new_tensor(scale).repeat(2)
    return (boxes * _GRID).round() / _GRID
