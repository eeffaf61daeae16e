"""Fusion of heads that score a box at every prior."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmdet.models.dense_heads import (
    GuidedAnchorHead,
    RTMDetInsHead,
    TOODHead,
    YOLOV3Head,
)
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors import SingleStageDetector
from mmdet.structures import SampleList
from mmdet.utils import InstanceList
from torch import Tensor

from mmxdistill.models.fusion.agreement import coder_settings
from mmxdistill.models.fusion.average import average, average_scores
from mmxdistill.models.fusion.base import Features, HeadFusion, Streams
from mmxdistill.models.fusion.weights import FusionWeights, StreamWeights

__all__ = ['DenseFusion']

_PRIORS = ('prior_generator', 'square_anchor_generator')
# What decoding uses besides the priors and the coder.
_DECODING = (
    'cls_out_channels',
    'use_sigmoid_cls',
    'num_base_priors',
    'reg_max',
    'base_edge_list',
    'anchor_type',
)


class DenseFusion(HeadFusion):
    """YOLOX, YOLOv3, RTMDet, RetinaNet, FCOS, ATSS, GFL, VFNet, TOOD, RPN.

    Detectors with the same priors score the same boxes: what their heads
    return per prior is averaged, then decoded once, with one NMS.

    ========================  ===========================================
    output                    averaged as
    ========================  ===========================================
    class scores              logits, before sigmoid or softmax. TOOD
                              returns probabilities: their logits
    objectness, centerness,   logits
    IoU
    boxes of YOLOX, YOLOv3,   network outputs (offset of the centre, log
    RetinaNet, ATSS, RPN      of the size), as in Fast R-CNN
    boxes of FCOS, RTMDet,    distances to the sides in pixels (what
    VFNet                     these heads return)
    boxes of TOOD             corners in units of the stride
    boxes of GFL              logits of the distributions
    ========================  ===========================================
    """

    about = 'priors'

    @classmethod
    def refusal(cls, stream: Any) -> str | None:
        """See :meth:`HeadFusion.refusal`."""
        head = getattr(stream, 'bbox_head', None)
        if not isinstance(stream, SingleStageDetector) or not isinstance(
            head, BaseDenseHead
        ):
            return 'it has no dense head of a single-stage detector'
        if _priors(head) is None or isinstance(head, GuidedAnchorHead):
            return (
                f'{type(head).__name__} has no fixed priors, so two networks '
                'do not score the same boxes'
            )
        if isinstance(head, RTMDetInsHead):
            return (
                f'{type(head).__name__} predicts convolution kernels, whose '
                'mean over networks means nothing'
            )
        if type(stream).predict is not SingleStageDetector.predict:
            return f'{type(stream).__name__}.predict is its own'
        if type(head).predict is not BaseDenseHead.predict:
            return f'{type(head).__name__}.predict is its own'
        return None

    def settings(self, stream: Any) -> dict[str, Any]:
        """See :meth:`HeadFusion.settings`."""
        head = stream.bbox_head
        settings: dict[str, Any] = {
            'num_classes': head.num_classes,
            'decoding': [
                f'{method.__module__}.{method.__qualname__}'
                for method in (
                    type(head).predict_by_feat,
                    type(head)._predict_by_feat_single,
                )
            ],
            **_prior_settings(_priors(head)),
            **coder_settings('bbox_coder', getattr(head, 'bbox_coder', None)),
        }
        for key in _DECODING:
            settings[key] = getattr(head, key, None)
        return settings

    def check_weights(self, streams: Streams, weights: FusionWeights) -> None:
        """See :meth:`HeadFusion.check_weights`."""
        if isinstance(next(iter(streams.values())).bbox_head, YOLOV3Head) and (
            weights.per_class or weights.boxes != weights.scores
        ):
            raise ValueError(
                'YOLOV3Head returns boxes and classes in one map: give one '
                'weight per stream, and no box_weights'
            )

    def forward(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
    ) -> tuple[Any, ...]:
        """Averaged outputs of the heads, as one head returns them."""
        first = next(iter(features.values()))[0]
        return self._fuse(
            [streams[name].bbox_head(features[name]) for name in features],
            streams[next(iter(features))].bbox_head,
            weights.of(list(features), first),
        )

    def _fuse(
        self, outputs: list[Any], head: Any, weights: StreamWeights
    ) -> tuple[Any, ...]:
        # Class scores, boxes, and other scores; all in one map in YOLOv3.
        scores, *others = zip(*outputs, strict=True)
        fused = [self._average_scores(list(scores), head, weights)]
        for i, parts in enumerate(others):
            kind = weights.boxes if i == 0 else weights.scores
            fused.append(average(parts, kind))
        return tuple(fused)

    def _average_scores(
        self, scores: list[Any], head: Any, weights: StreamWeights
    ) -> Any:
        if len(scores) == 1:
            return scores[0]
        probabilities = isinstance(head, TOODHead)
        if not probabilities and not isinstance(weights.classes[0], Tensor):
            return average(scores, weights.classes)
        fused = []
        for level in zip(*scores, strict=True):
            maps = list(level)
            if probabilities:
                maps = [m.logit(eps=torch.finfo(m.dtype).eps) for m in maps]
            mean = self._average_map(maps, head, weights)
            fused.append(mean.sigmoid() if probabilities else mean)
        return fused

    def _average_map(
        self, maps: list[Tensor], head: Any, weights: StreamWeights
    ) -> Tensor:
        """Average (N, priors * classes, H, W), the classes by their own."""
        n, _, h, w = maps[0].shape
        split = [
            m.view(n, -1, head.cls_out_channels, h, w).movedim(2, -1)
            for m in maps
        ]
        fused = average_scores(
            split, weights.classes, background=not head.use_sigmoid_cls
        )
        return fused.movedim(-1, 2).reshape(n, -1, h, w)

    def predict(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
        test_cfg: Any,
        rescale: bool,
    ) -> InstanceList:
        """See :meth:`HeadFusion.predict`."""
        head = copy.copy(streams[next(iter(features))].bbox_head)
        # mmdet's RPN has its settings one level down.
        head.test_cfg = test_cfg.get('rpn', test_cfg)
        return head.predict_by_feat(
            *self.forward(streams, features, samples, weights),
            batch_img_metas=[sample.metainfo for sample in samples],
            rescale=rescale,
        )


def _priors(head: Any) -> Any:
    for name in _PRIORS:
        if getattr(head, name, None) is not None:
            return getattr(head, name)
    return None


def _prior_settings(generator: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        'priors.type': type(generator).__name__,
        'priors.strides': generator.strides,
    }
    if hasattr(generator, 'base_anchors'):
        settings['priors.base_anchors'] = generator.base_anchors
    else:
        settings['priors.offset'] = getattr(generator, 'offset', None)
    return settings
