"""Fusion of heads that refine their RoIs stage by stage."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.roi_heads import CascadeRoIHead
from mmdet.models.test_time_augs import merge_aug_masks
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmengine.model import ModuleList
from torch import Tensor

from mmxdistill.models.fusion.average import average
from mmxdistill.models.fusion.base import Features, Streams
from mmxdistill.models.fusion.proposals import shared_proposals
from mmxdistill.models.fusion.roi import (
    RoIFusion,
    box_settings,
    mask_settings,
    two_stage_refusal,
    without_statistics,
)
from mmxdistill.models.fusion.weights import FusionWeights

__all__ = ['CascadeFusion']


class CascadeFusion(RoIFusion):
    """Cascade R-CNN and Cascade Mask R-CNN.

    In each stage all streams score the same RoIs, their scores and deltas
    are averaged as in :class:`RoIFusion`, and the RoIs are refined once, by
    the average: so all streams see the same boxes in the next stage, too.
    """

    about = 'RoIs in several stages'

    @classmethod
    def refusal(cls, stream: Any) -> str | None:
        """See :meth:`HeadFusion.refusal`."""
        return two_stage_refusal(stream, (CascadeRoIHead,))

    def settings(self, stream: Any) -> dict[str, Any]:
        """See :meth:`HeadFusion.settings`."""
        head = stream.roi_head
        settings: dict[str, Any] = {'num_stages': head.num_stages}
        for stage, box_head in enumerate(head.bbox_head):
            name = f'bbox_head[{stage}]'
            found = box_settings(box_head, f'{name}.bbox_coder')
            settings.update(
                {
                    key if key.startswith(name) else f'{name}.{key}': value
                    for key, value in found.items()
                }
            )
        settings['num_classes'] = head.bbox_head[-1].num_classes
        return {**settings, **mask_settings(head)}

    def forward(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
    ) -> tuple[Any, ...]:
        """Refined RoIs, mean scores of the stages, and the last deltas.

        Each a sequence with one tensor per image.
        """
        proposals = shared_proposals(streams, features, samples, self.source)
        boxes = [found.bboxes for found in proposals]
        return self._fused_head(streams, features, weights)._refine_roi(
            features,
            bbox2roi(boxes),
            [sample.metainfo for sample in samples],
            [len(b) for b in boxes],
        )

    def _decoder(self, head: Any) -> Any:
        return ModuleList(without_statistics(h) for h in head.bbox_head)

    def _mask_head(self, head: Any) -> Any:
        return head.mask_head[-1]

    def _last_box_head(self, head: Any) -> Any:
        return head.bbox_head[-1]

    def _average_boxes(  # type: ignore[override]
        self,
        heads: dict[str, Any],
        weights: FusionWeights,
        stage: int,
        x: Features,
        rois: Tensor,
    ) -> dict[str, Any]:
        outputs = [
            head._bbox_forward(stage, x[name], rois)
            for name, head in heads.items()
        ]
        box_heads = [head.bbox_head[stage] for head in heads.values()]
        return self._fuse(
            outputs, box_heads, weights.of(list(heads), rois), rois
        )

    def _average_masks(
        self,
        heads: dict[str, Any],
        weights: FusionWeights,
        x: Features,
        rois: Tensor,
        metas: list[dict],
    ) -> Tensor:
        counts = rois[:, 0].long().bincount(minlength=len(metas)).tolist()
        masks = []
        for name, head in heads.items():
            stages = [
                head._mask_forward(stage, x[name], rois)['mask_preds']
                .sigmoid()
                .split(counts)
                for stage in range(head.num_stages)
            ]
            masks.append(
                torch.cat(
                    [
                        merge_aug_masks(list(of_image), meta)
                        for of_image, meta in zip(
                            zip(*stages, strict=True), metas, strict=True
                        )
                    ]
                )
            )
        return average(masks, weights.of(list(heads), rois).scores)
