"""Late fusion of detectors that score the same proposals."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from torch import Tensor, nn

from mmxdistill.models.networks import build_network, load_weights
from mmxdistill.models.roi_heads.detections import check_test_cfg
from mmxdistill.models.roi_heads.duplicates import score_unique_rois
from mmxdistill.registry import MODELS

__all__ = ['LateFusionDetector']


@MODELS.register_module()
class LateFusionDetector(BaseDetector):
    """Average the outputs of K two-stage detectors on shared proposals.

    The class scores before softmax and the box-regression outputs of all
    streams are averaged; one decoding and one NMS follow (the paper, sec. 4.2,
    and the Eltwise layers of the released two-stream test nets). With streams
    of :class:`DedupRoIHead`, duplicate proposals are scored once.

    Args:
        streams (dict[str, dict]): Name -> ``dict(model=..., modality=...,
            checkpoint=None)``. ``model`` is a two-stage detector's config, or
            the path of a config file; ``modality`` is the modality of the
            data preprocessor that it reads, by default the stream's name;
            ``checkpoint`` are its trained weights. Checkpoints of the fused
            detector hold ``streams.<name>.*``.
        weights (list[float], optional): Weight per stream. Defaults to 1/K.
        test_cfg (dict, optional): ``test_cfg.rcnn`` of the fused detector.
            Defaults to that of the first stream.
        data_preprocessor (dict): A :class:`MultiModalDataPreprocessor`.
        init_cfg (dict, optional): See mmengine.

    Raises:
        ValueError: The streams cannot be averaged: other classes, other box
            coding or statistics, other duplicates, no standard RoI head,
            unknown modality. Or ``test_cfg`` mixes Caffe's and mmdet's
            detections.
    """

    def __init__(
        self,
        streams: dict[str, dict],
        weights: Sequence[float] | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        slices = getattr(self.data_preprocessor, 'slices', {})
        self._slices: dict[str, slice] = {}
        self._loaded: set[str] = set()
        self.streams = nn.ModuleDict()
        for name, spec in streams.items():
            modality = spec.get('modality', name)
            if modality not in slices:
                raise ValueError(
                    f"stream '{name}' reads modality '{modality}', but the "
                    f'data_preprocessor has only {list(slices)}; use a '
                    'mmxdistill.MultiModalDataPreprocessor'
                )
            self._slices[name] = slices[modality]
            stream = build_network(spec['model'])
            if spec.get('checkpoint'):
                load_weights(stream, spec['checkpoint'], f"stream '{name}'")
                self._loaded.add(name)
            self.streams[name] = stream
        self._check_streams()
        self.weights = list(weights or [1 / len(streams)] * len(streams))
        if len(self.weights) != len(streams):
            raise ValueError(
                f'weights {self.weights}: give one per stream {list(streams)}'
            )
        self.test_cfg: Any = test_cfg or self._first.test_cfg
        check_test_cfg(self.test_cfg and self.test_cfg.get('rcnn'))

    def init_weights(self) -> None:
        """Initialise the streams that have not loaded a checkpoint."""
        super().init_weights()  # does not enter torch's containers
        for name, stream in self._detectors():
            if name not in self._loaded:
                stream.init_weights()

    def _detectors(self) -> Iterator[tuple[str, Any]]:
        yield from self.streams.items()

    @property
    def _first(self) -> Any:
        return next(iter(self.streams.values()))

    def _check_streams(self) -> None:
        settings: dict[str, dict[str, Any]] = {}
        for name, stream in self._detectors():
            head = getattr(stream, 'roi_head', None)
            # Cascades refine the boxes stage by stage: no shared proposals.
            if not isinstance(head, StandardRoIHead) or not head.with_bbox:
                raise ValueError(
                    f"stream '{name}' ({type(stream).__name__}) has no "
                    'StandardRoIHead with a bbox head: late fusion needs '
                    'two-stage detectors that score given proposals'
                )
            coder = head.bbox_head.bbox_coder
            settings[name] = {
                'num_classes': head.bbox_head.num_classes,
                'reg_class_agnostic': head.bbox_head.reg_class_agnostic,
                'bbox_coder.type': type(coder).__name__,
                'bbox_coder.target_means': getattr(coder, 'means', None),
                'bbox_coder.target_stds': getattr(coder, 'stds', None),
                'stride of duplicate RoIs': getattr(
                    head, 'dedup_stride', None
                ),
            }
        reference = next(iter(settings.values()))
        self._dedup_stride = reference['stride of duplicate RoIs']
        for key in reference:
            values = {name: found[key] for name, found in settings.items()}
            if len({str(value) for value in values.values()}) > 1:
                raise ValueError(
                    f"the streams' outputs cannot be averaged: {key} differs: "
                    f'{values}'
                )

    def _part(self, name: str, batch_inputs: Tensor) -> Tensor:
        return batch_inputs[:, self._slices[name]]

    def _boxes(
        self, features: dict[str, Any], samples: SampleList
    ) -> list[Tensor]:
        """Proposals of the samples, else of the first stream with an RPN."""
        if samples[0].get('proposals') is not None:
            return [sample.proposals.bboxes for sample in samples]
        for name, stream in self._detectors():
            if stream.with_rpn:
                proposals: InstanceList = stream.rpn_head.predict(
                    features[name], samples, rescale=False
                )
                return [found.bboxes for found in proposals]
        raise ValueError(
            f"'{samples[0].get('img_path')}' has no proposals and no stream "
            'has an RPN: set proposal_file of the data set and load it by '
            'LoadProposals'
        )

    def _check_statistics(self) -> None:
        """Refuse regressions that are normalised in different ways."""
        first = _statistics(self._first.roi_head.bbox_head)
        for name, stream in self._detectors():
            if _statistics(stream.roi_head.bbox_head) != first:
                raise ValueError(
                    f"the box regressions of '{next(iter(self.streams))}' and "
                    f"'{name}' are normalised in different ways and cannot be "
                    'averaged: give both the same box statistics, or load '
                    'checkpoints, whose weights do without'
                )

    def _average(
        self, features: dict[str, Any], rois: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fused scores (R, classes + 1) and regression (R, 4 * classes)."""
        scores: Any = 0
        deltas: Any = 0
        for weight, (name, stream) in zip(
            self.weights, self._detectors(), strict=True
        ):
            output = stream.roi_head._bbox_forward(features[name], rois)
            scores = scores + weight * output['cls_score']
            deltas = deltas + weight * output['bbox_pred']
        return scores, deltas

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        """Detect objects with all streams together.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): Samples, with proposals
                unless a stream has an RPN.
            rescale (bool): Whether boxes are returned in pixels of the
                original images.

        Returns:
            list[DetDataSample]: Samples with ``pred_instances``.
        """
        self._check_statistics()
        features = self.extract_feat(batch_inputs)
        boxes = self._boxes(features, batch_data_samples)
        counts = [len(b) for b in boxes]
        rois, scores, deltas = score_unique_rois(
            partial(self._average, features),
            bbox2roi(boxes),
            self._dedup_stride,
        )
        results = self._first.roi_head.bbox_head.predict_by_feat(
            rois=rois.split(counts),
            cls_scores=scores.split(counts),
            bbox_preds=deltas.split(counts),
            batch_img_metas=[s.metainfo for s in batch_data_samples],
            rcnn_test_cfg=self.test_cfg['rcnn'],
            rescale=rescale,
        )
        return self.add_pred_to_datasample(batch_data_samples, results)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Train all streams jointly, each with weight 1/K.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): Samples with ground
                truth and proposals.

        Returns:
            dict[str, Tensor]: ``<stream>.<loss>``.
        """
        losses: dict[str, Any] = {}
        for name, stream in self._detectors():
            # A detector consumes the proposals of its samples.
            samples = [copy.copy(sample) for sample in batch_data_samples]
            for sample in samples:
                if 'proposals' in sample:
                    sample.proposals = sample.proposals.clone()
            found = stream.loss(self._part(name, batch_inputs), samples)
            for key, value in found.items():
                share = 1 / len(self.streams) if 'loss' in key else 1
                losses[f'{name}.{key}'] = (
                    [v * share for v in value]
                    if isinstance(value, list)
                    else value * share
                )
        return losses

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> tuple[Tensor, Tensor]:
        features = self.extract_feat(batch_inputs)
        boxes = self._boxes(features, batch_data_samples)
        return self._average(features, bbox2roi(boxes))

    def extract_feat(self, batch_inputs: Tensor) -> dict[str, Any]:
        """Features of all streams.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).

        Returns:
            dict[str, tuple[Tensor]]: Per stream.
        """
        return {
            name: stream.extract_feat(self._part(name, batch_inputs))
            for name, stream in self._detectors()
        }


def _statistics(head: Any) -> list[list]:
    """Means and deviations of the deltas that a head predicts, as lists."""
    shape = (head.num_classes, 4)
    return [
        getattr(head, 'bbox_means', torch.zeros(shape)).tolist(),
        getattr(head, 'bbox_stds', torch.ones(shape)).tolist(),
    ]
