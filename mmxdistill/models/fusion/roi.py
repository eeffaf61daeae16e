"""Fusion of heads that score given RoIs in one step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import BaseRoIHead, StandardRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from torch import Tensor, nn

from mmxdistill.models.fusion.agreement import coder_settings
from mmxdistill.models.fusion.average import average, average_scores
from mmxdistill.models.fusion.base import Features, HeadFusion, Streams
from mmxdistill.models.fusion.proposals import shared_proposals
from mmxdistill.models.fusion.weights import FusionWeights, StreamWeights
from mmxdistill.models.roi_heads.bbox_head import FastRCNNBBoxHead
from mmxdistill.models.roi_heads.dedup_roi_head import DedupRoIHead

__all__ = [
    'RoIFusion',
    'box_settings',
    'mask_settings',
    'two_stage_refusal',
    'without_statistics',
]


class RoIFusion(HeadFusion):
    """Fast and Faster R-CNN, Double-Head, Mask R-CNN, and their relatives.

    Averaged are the class scores before softmax and the box deltas of each
    RoI (the paper, sec. 4.2; the Eltwise layers of the released two-stream
    nets), and the mask probabilities of each detection (as the authors fuse
    their masks). The head of the first stream decodes.

    RoIs are de-duplicated if all streams that are there do it with the same
    stride; else every RoI is scored. Box statistics of
    :class:`FastRCNNBBoxHead` may differ: each stream's deltas are brought to
    pixels by its own before they are averaged.
    """

    about = 'RoIs in one step'

    @classmethod
    def refusal(cls, stream: Any) -> str | None:
        """See :meth:`HeadFusion.refusal`."""
        known = (StandardRoIHead, DedupRoIHead)
        return two_stage_refusal(stream, known)

    def settings(self, stream: Any) -> dict[str, Any]:
        """See :meth:`HeadFusion.settings`."""
        head = stream.roi_head
        return {
            **box_settings(head.bbox_head, 'bbox_coder'),
            **mask_settings(head),
        }

    def check_weights(self, streams: Streams, weights: FusionWeights) -> None:
        """See :meth:`HeadFusion.check_weights`."""
        box_head = self._last_box_head(next(iter(streams.values())).roi_head)
        if weights.per_class and getattr(box_head, 'custom_activation', False):
            raise ValueError(
                f'{type(box_head.loss_cls).__name__} makes more of the scores '
                'than a softmax: give one weight per stream, not per class'
            )

    def forward(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
    ) -> tuple[Tensor, Tensor]:
        """Fused scores (R, classes + 1) and deltas (R, 4 * classes)."""
        proposals = shared_proposals(streams, features, samples, self.source)
        rois = bbox2roi([found.bboxes for found in proposals])
        output = self._fused_head(streams, features, weights)._bbox_forward(
            features, rois
        )
        return output['cls_score'], output['bbox_pred']

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
        proposals = shared_proposals(streams, features, samples, self.source)
        head = self._fused_head(streams, features, weights)
        head.test_cfg = test_cfg['rcnn']
        return head.predict(features, proposals, samples, rescale=rescale)

    def _fused_head(
        self, streams: Streams, features: Features, weights: FusionWeights
    ) -> Any:
        """The first head, which asks all of them instead of itself.

        A shallow copy, so that mmdet's own test code runs: it hands the
        features through to these methods.
        """
        heads = {name: streams[name].roi_head for name in features}
        first = next(iter(heads.values()))
        head = copy.copy(first)
        head._modules = dict(head._modules)
        head.bbox_head = self._decoder(head)
        strides = {getattr(h, 'dedup_stride', None) for h in heads.values()}
        if hasattr(head, 'dedup_stride'):
            head.dedup_stride = strides.pop() if len(strides) == 1 else None

        def bbox_forward(*args: Any, **kwargs: Any) -> dict[str, Any]:
            return self._average_boxes(heads, weights, *args, **kwargs)

        def predict_mask(
            x: Features, metas: list, results: InstanceList, rescale: bool
        ) -> InstanceList:
            rois = bbox2roi([found.bboxes for found in results])
            if not len(rois):  # nothing to average
                return type(head).predict_mask(head, x, metas, results)
            masks = self._average_masks(heads, weights, x, rois, metas)
            return self._mask_head(head).predict_by_feat(
                mask_preds=masks.split([len(found) for found in results]),
                results_list=results,
                batch_img_metas=metas,
                rcnn_test_cfg=head.test_cfg,
                rescale=rescale,
                activate_map=True,
            )

        head._bbox_forward = bbox_forward
        head.predict_mask = predict_mask
        return head

    def _decoder(self, head: Any) -> Any:
        return without_statistics(head.bbox_head)

    def _mask_head(self, head: Any) -> Any:
        return head.mask_head

    def _last_box_head(self, head: Any) -> Any:
        return head.bbox_head

    def _average_boxes(
        self,
        heads: dict[str, Any],
        weights: FusionWeights,
        x: Features,
        rois: Tensor,
    ) -> dict[str, Any]:
        outputs = [
            head._bbox_forward(x[name], rois) for name, head in heads.items()
        ]
        box_heads = [head.bbox_head for head in heads.values()]
        return self._fuse(
            outputs, box_heads, weights.of(list(heads), rois), rois
        )

    def _fuse(
        self,
        outputs: list[dict],
        box_heads: list[Any],
        weights: StreamWeights,
        rois: Tensor,
    ) -> dict[str, Any]:
        scores = average_scores(
            [output['cls_score'] for output in outputs],
            weights.classes,
            background=not getattr(box_heads[0], 'custom_activation', False),
        )
        deltas = average(
            [
                _true_deltas(head, output['bbox_pred'])
                for head, output in zip(box_heads, outputs, strict=True)
            ],
            weights.boxes,
        )
        return dict(cls_score=scores, bbox_pred=deltas)

    def _average_masks(
        self,
        heads: dict[str, Any],
        weights: FusionWeights,
        x: Features,
        rois: Tensor,
        metas: list[dict],
    ) -> Tensor:
        """Mask probabilities (R, classes or 1, h, w) of detections."""
        masks = [
            head._mask_forward(x[name], rois)['mask_preds'].sigmoid()
            for name, head in heads.items()
        ]
        return average(masks, weights.of(list(heads), rois).scores)


def two_stage_refusal(stream: Any, known: tuple[Any, ...]) -> str | None:
    """Why a two-stage detector is none that shares RoIs and decodes once.

    Args:
        stream (nn.Module): The detector.
        known (tuple[type, ...]): RoI heads whose test code is understood. A
            subclass may change all but that.

    Returns:
        str | None: The reason.
    """
    head: Any = getattr(stream, 'roi_head', None)
    if not isinstance(head, known) or not head.with_bbox:
        names = ' or '.join(kind.__name__ for kind in known)
        return f'it has no {names} with a bbox head'
    own = _other_methods(stream, ('predict',), (TwoStageDetector,))
    own += _other_methods(head, ('predict',), (BaseRoIHead, *known))
    own += _other_methods(head, ('predict_bbox', 'predict_mask'), known)
    if own:
        return (
            f'its test code is its own ({", ".join(own)}), so averaging '
            'outputs and decoding once would not be what it does'
        )
    return None


def _other_methods(
    thing: Any, names: tuple[str, ...], known: tuple[Any, ...]
) -> list[str]:
    return [
        f'{type(thing).__name__}.{name}'
        for name in names
        if getattr(type(thing), name)
        not in [getattr(kind, name) for kind in known]
    ]


def box_settings(head: Any, coder_name: str) -> dict[str, Any]:
    """Settings of a box head that must agree.

    Args:
        head (nn.Module): The box head.
        coder_name (str): What its box coder is called in messages.

    Returns:
        dict[str, Any]: For :func:`check_agreement`.
    """
    return {
        'num_classes': head.num_classes,
        'with_reg': getattr(head, 'with_reg', True),
        'reg_class_agnostic': getattr(head, 'reg_class_agnostic', None),
        'custom_cls_channels': getattr(head, 'custom_cls_channels', None),
        'predict_box_type': getattr(head, 'predict_box_type', None),
        **coder_settings(coder_name, head.bbox_coder),
    }


def mask_settings(head: Any) -> dict[str, Any]:
    """Settings of the mask branch that must agree.

    Args:
        head (nn.Module): The RoI head; of a cascade, the last stage counts.

    Returns:
        dict[str, Any]: For :func:`check_agreement`.
    """
    if not head.with_mask:
        return {'with_mask': False}
    parts: list[Any] = [
        part[-1] if isinstance(part, nn.ModuleList) else part
        for part in (head.mask_head, head.mask_roi_extractor)
    ]
    mask_head, extractor = parts
    size = np.array(extractor.roi_layers[0].output_size)
    if getattr(mask_head, 'upsample_method', None) is not None:
        size = size * mask_head.scale_factor
    return {
        'with_mask': True,
        'mask_head.class_agnostic': mask_head.class_agnostic,
        'mask_head.num_classes': mask_head.num_classes,
        'size of the masks': size,
    }


def without_statistics(box_head: Any) -> Any:
    """A box head that decodes deltas which are not normalised.

    Args:
        box_head (nn.Module): Of any kind.

    Returns:
        nn.Module: A view of a :class:`FastRCNNBBoxHead`; others as they are.
    """
    if isinstance(box_head, FastRCNNBBoxHead):
        return box_head.without_statistics()
    return box_head


def _true_deltas(box_head: Any, deltas: Any) -> Any:
    if isinstance(box_head, FastRCNNBBoxHead):
        return box_head.true_deltas(deltas)
    return deltas
