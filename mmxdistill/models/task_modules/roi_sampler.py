"""Sampling of RoIs as in Fast R-CNN's data layer."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import RandomSampler, SamplingResult
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor

from mmxdistill.registry import TASK_UTILS

__all__ = ['CaffeRoISampler']


@TASK_UTILS.register_module()
class CaffeRoISampler(RandomSampler):
    """Foreground first, then background, in the order that NumPy draws them.

    An image gives ``num`` RoIs, at most ``round(pos_fraction * num)`` of them
    foreground, and fewer if it has not enough; the ground truth is among the
    candidates. Both draws are ``choice(..., replace=False)`` of NumPy's global
    generator: with the same seed they are those of the released data layer
    (*Fast R-CNN*, ``roi_data_layer/minibatch.py``). :class:`IterationSeedHook`
    seeds that generator, so that a resumed run draws the same.

    Which RoIs are foreground is the assigner's matter: Caffe's thresholds
    (foreground at overlaps of 0.5 and more, background from 0 on) are
    ``pos_iou_thr=0.5, neg_iou_thr=0.5`` of :class:`CaffeMaxIoUAssigner`.

    Args:
        num (int): RoIs per image. Defaults to 64: a minibatch of 128 RoIs has
            2 images.
        pos_fraction (float): Largest fraction of foreground. Defaults to
            0.25.
        rng (int | np.random.RandomState, optional): Another generator than
            the global one.
        context (nn.Module, optional): The RoI head, from mmdet; not used.
    """

    def __init__(
        self,
        num: int = 64,
        pos_fraction: float = 0.25,
        rng: Any = None,
        context: Any = None,
    ) -> None:
        super().__init__(num=num, pos_fraction=pos_fraction, rng=rng)

    def sample(
        self,
        assign_result: AssignResult,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        **kwargs: Any,
    ) -> SamplingResult:
        """Draw the RoIs of an image.

        Args:
            assign_result (AssignResult): Of the n proposals; the ground truth
                is added to it.
            pred_instances (InstanceData): ``priors`` (n, 4).
            gt_instances (InstanceData): ``bboxes`` (k, 4), ``labels`` (k,).
            **kwargs: Not used.

        Returns:
            SamplingResult: The drawn RoIs, in the order of the draws.
        """
        truth, priors = (
            get_box_tensor(boxes)
            for boxes in (gt_instances.bboxes, pred_instances.priors)
        )
        assign_result.add_gt_(gt_instances.labels)
        found = assign_result.gt_inds
        is_truth = torch.arange(len(found), device=found.device) < len(truth)
        most = round(self.pos_fraction * self.num)
        positive = self._draw(found > 0, most)
        negative = self._draw(found == 0, self.num - len(positive))
        return SamplingResult(
            pos_inds=positive,
            neg_inds=negative,
            # Ground truth comes first, as in Caffe's RoI database.
            priors=torch.cat([truth, priors]),
            gt_bboxes=truth,
            assign_result=assign_result,
            gt_flags=is_truth.to(torch.uint8),
        )

    def _draw(self, candidates: Tensor, most: int) -> Tensor:
        """Indices (at most ``most``,) of true entries, in random order."""
        indices = candidates.nonzero()[:, 0]
        if not len(indices):
            return indices  # choice refuses to draw from nothing
        # Caffe draws even if it takes all: that permutes them.
        drawn = self.rng.choice(
            indices.cpu().numpy(), size=min(most, len(indices)), replace=False
        )
        return torch.from_numpy(drawn).to(indices)
