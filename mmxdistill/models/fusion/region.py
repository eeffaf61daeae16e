"""Fusion of detectors of regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmdet.utils import InstanceList
from torch import Tensor

from mmxdistill.models.fusion.average import average
from mmxdistill.models.fusion.base import Features, Streams
from mmxdistill.models.fusion.roi import (
    RoIFusion,
    box_settings,
    two_stage_refusal,
)
from mmxdistill.models.fusion.weights import FusionWeights
from mmxdistill.models.roi_heads.hypercolumn_roi_head import HypercolumnRoIHead

__all__ = ['RegionFusion']


class RegionFusion(RoIFusion):
    """Detectors with a :class:`HypercolumnRoIHead`.

    Boxes are fused as those of Fast R-CNN. Then each stream gives the
    probabilities of all fused detections, and their average is pasted (the
    released test code fuses probabilities, not the sums before the sigmoid).
    """

    about = 'RoIs in one step, and regions of hyper-columns'

    @classmethod
    def refusal(cls, stream: Any) -> str | None:
        """See :meth:`HeadFusion.refusal`."""
        head = getattr(stream, 'roi_head', None)
        if not isinstance(head, HypercolumnRoIHead):
            return 'it has no HypercolumnRoIHead'
        return two_stage_refusal(stream, (HypercolumnRoIHead,))

    def settings(self, stream: Any) -> dict[str, Any]:
        """See :meth:`HeadFusion.settings`."""
        head = stream.roi_head
        return {
            **box_settings(head.bbox_head, 'bbox_coder'),
            'size of the masks': head.mask_head.upsample.size,
        }

    def _fused_head(
        self, streams: Streams, features: Features, weights: FusionWeights
    ) -> Any:
        head = super()._fused_head(streams, features, weights)
        del head.predict_mask  # that of Mask R-CNN

        def mask_probabilities(
            x: Features, metas: Sequence[dict], results: InstanceList
        ) -> list[Tensor]:
            found = [
                streams[name].roi_head.mask_probabilities(
                    part, metas, results, head.test_cfg
                )
                for name, part in x.items()
            ]
            shares = weights.of(list(x), results[0].bboxes).scores
            return average(found, shares)

        head.mask_probabilities = mask_probabilities
        return head
