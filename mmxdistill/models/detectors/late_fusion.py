"""Late fusion of detectors that score the same boxes."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from mmdet.models.detectors import BaseDetector
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import InstanceList
from mmengine.logging import print_log
from torch import Tensor, nn

from mmxdistill.models.fusion import FusionWeights, build_fusion
from mmxdistill.models.fusion.head_memory import heads_remembered
from mmxdistill.models.networks import (
    ResolvedNetwork,
    build_network,
    load_weights,
    names_weights,
    resolve_network,
)
from mmxdistill.models.preprocessing import (
    check_padding,
    check_statistics,
    fill_statistics,
)
from mmxdistill.models.roi_heads.detections import check_test_cfg
from mmxdistill.registry import MODELS

__all__ = ['LateFusionDetector']


@MODELS.register_module()
class LateFusionDetector(BaseDetector):
    """Average the outputs of K detectors that score the same boxes.

    The class scores before softmax or sigmoid and the box outputs of all
    streams are averaged; one decoding and one NMS follow (the paper, sec.
    4.2, and the Eltwise layers of the released two-stream test nets). Heads
    of two-stage detectors share proposals (:class:`RoIFusion`,
    :class:`CascadeFusion`), dense heads share priors (:class:`DenseFusion`).

    Args:
        streams (dict[str, dict]): Name -> ``dict(model=..., modality=...,
            checkpoint=...)``. ``model`` is a detector's config, or where it
            is (a path, ``'mmdet::yolox/...'``); ``modality`` is the modality
            of the data preprocessor that it reads, by default the stream's
            name; ``checkpoint`` are its trained weights, None if it starts
            as its config says. Left out, it is the last one that
            ``tools/train.py`` leaves of a ``model`` that is a file
            (``work_dirs/<its name>/iter_<max_iters>.pth``), else None.
            Checkpoints of the fused detector hold ``streams.<name>.*``; one
            that is loaded makes the streams' own files unnecessary.
        weights (Sequence | dict, optional): Per stream (in order, or by name)
            a number, or a list of numbers, one per class. They are
            normalised. Defaults to equal weights.
        box_weights (Sequence | dict, optional): Per stream a number for the
            box outputs. Defaults to ``weights``, or their mean over classes.
        proposals (str): Where two-stage streams get proposals from for
            samples that have none: ``'union'`` of the streams' RPNs, or the
            name of a stream. Defaults to ``'union'``.
        absent (Sequence[str]): Streams that do not take part in detection.
            Those whose modality a sample lists as ``missing_modalities``
            (meta information) are absent for this sample. The weights of the
            others are normalised.
        test_cfg (dict, optional): ``test_cfg`` of the fused detector.
            Defaults to that of the first stream.
        data_preprocessor (dict): A :class:`MultiModalDataPreprocessor`; an
            entry ``thermal='thermal'`` takes mean, std and order of the
            channels from the config of that stream.
        backbone (dict, optional): Not used. ``init_detector`` of mmdet looks
            for it, and cannot say that pairs need ``MultiModalInferencer``
            where it is not there.
        init_cfg (dict, optional): See mmengine.

    Raises:
        ValueError: A stream has other keys; it is a file whose schedule names
            no checkpoint, and none is given. The streams cannot be averaged:
            other classes, other priors, other box coding, heads of different
            kinds or with test code of their own; unknown modality, or one that
            is normalised in another way than the stream's config says; bad
            weights. Or ``test_cfg`` mixes Caffe's and mmdet's detections.
    """

    def __init__(
        self,
        streams: dict[str, dict],
        weights: Sequence | Mapping | None = None,
        box_weights: Sequence | Mapping | None = None,
        proposals: str = 'union',
        absent: Sequence[str] = (),
        test_cfg: dict | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        backbone: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if backbone:
            raise ValueError(
                f'backbone={backbone}: the backbones are those of the streams'
            )
        _check_keys(streams)
        networks = {
            name: resolve_network(spec['model'])
            for name, spec in streams.items()
        }
        super().__init__(
            data_preprocessor=fill_statistics(data_preprocessor, networks),
            init_cfg=init_cfg,
        )
        self._modalities = {
            name: spec.get('modality', name) for name, spec in streams.items()
        }
        self._slices = self._find_slices(networks)
        self.data_preprocessor.takes_missing = True
        # Streams without weights: why. Until a fused checkpoint has them.
        self._lacking: dict[str, str] = {}
        self._loaded: set[str] = set()
        classes = {}
        self.streams = nn.ModuleDict()
        for name, network in networks.items():
            stream = build_network(network)
            named = self._load(
                name, stream, _find_checkpoint(name, streams[name], network)
            )
            classes[name] = (
                named
                or network.classes
                or getattr(stream, 'class_names', None)
            )
            self.streams[name] = stream
        self.class_names = _agree_on_classes(classes)
        absent = [absent] if isinstance(absent, str) else absent
        for key, given, valid in (
            ('absent', absent, list(streams)),
            ('proposals', [proposals], ['union', *streams]),
        ):
            unknown = [name for name in given if name not in valid]
            if unknown:
                raise ValueError(f'{key}={unknown}: choose from {valid}')
        if set(absent) == set(streams):
            raise ValueError(f'absent={list(absent)} leaves no stream')
        self.absent = tuple(absent)
        self.fusion = build_fusion(self.streams, proposals)
        self.weights = self.make_weights(weights, box_weights)
        self.test_cfg: Any = test_cfg or self._first.test_cfg
        check_test_cfg(self.test_cfg and self.test_cfg.get('rcnn'))
        self.register_load_state_dict_pre_hook(_note_loaded_streams)

    def make_weights(
        self,
        weights: Sequence | Mapping | None,
        box_weights: Sequence | Mapping | None = None,
    ) -> FusionWeights:
        """Check weights of the streams.

        Args:
            weights (Sequence | dict, optional): As in the config.
            box_weights (Sequence | dict, optional): As in the config.

        Returns:
            FusionWeights: To be set as ``weights``.

        Raises:
            ValueError: They do not fit the streams or their heads.
        """
        made = FusionWeights(
            list(self.streams), self.fusion.num_classes, weights, box_weights
        )
        self.fusion.check_weights(self.streams, made)
        return made

    def _find_slices(
        self, networks: Mapping[str, ResolvedNetwork]
    ) -> dict[str, slice]:
        """Channels that each stream reads, normalised as it wants them."""
        known = getattr(self.data_preprocessor, 'slices', {})
        for name, modality in self._modalities.items():
            if modality not in known:
                raise ValueError(
                    f"stream '{name}' reads modality '{modality}', but the "
                    f'data_preprocessor has only {list(known)}; use a '
                    'mmxdistill.MultiModalDataPreprocessor'
                )
        readers = {name: [m] for name, m in self._modalities.items()}
        check_statistics(self.data_preprocessor, networks, readers)
        check_padding(self.data_preprocessor, networks)
        return {name: known[m] for name, m in self._modalities.items()}

    def _load(
        self, name: str, stream: Any, checkpoint: str | None
    ) -> tuple[str, ...] | None:
        """Load a stream's weights; returns the classes that the file names."""
        if not checkpoint:
            return None
        try:
            classes = load_weights(stream, checkpoint, f"stream '{name}'")
        except FileNotFoundError as error:
            self._lacking[name] = str(error)
            print_log(
                f'{error}. Until then its weights must come from a '
                'checkpoint of the fused detector (load_from)',
                logger='current',
                level=logging.WARNING,
            )
            return None
        self._loaded.add(name)
        return classes

    def init_weights(self) -> None:
        """Initialise the streams that have no checkpoint."""
        super().init_weights()  # does not enter torch's containers
        for name, stream in self._detectors():
            if name not in self._loaded and name not in self._lacking:
                stream.init_weights()

    def _detectors(self) -> Iterator[tuple[str, Any]]:
        yield from self.streams.items()

    @property
    def _first(self) -> Any:
        return next(iter(self.streams.values()))

    def check_loaded(self) -> None:
        """Refuse to run without the weights of a stream.

        Raises:
            FileNotFoundError: The checkpoint of a stream was not there, and
                no checkpoint of the fused detector has been loaded since.
        """
        for reason in self._lacking.values():
            raise FileNotFoundError(
                f'{reason}; or give a checkpoint of the fused detector'
            )

    def loaded_parts(self) -> list[str]:
        """Paths of the streams that have weights of their checkpoints."""
        return [f'streams.{name}' for name in sorted(self._loaded)]

    def modality_of(self, name: str) -> str:
        """The modality that a stream reads."""
        return self._modalities[name]

    @contextmanager
    def only(self, name: str) -> Iterator[None]:
        """Within the block, detect with one stream.

        Args:
            name (str): The stream.
        """
        absent = self.absent
        self.absent = tuple(other for other in self.streams if other != name)
        try:
            yield
        finally:
            self.absent = absent

    def part(self, name: str, batch_inputs: Tensor) -> Tensor:
        """Channels that a stream reads.

        Args:
            name (str): The stream.
            batch_inputs (Tensor): (N, sum of channels, H, W).

        Returns:
            Tensor: (N, channels of its modality, H, W).
        """
        # A copy, so that the stream computes bit by bit what it does alone.
        return batch_inputs[:, self._slices[name]].contiguous()

    def _present(self, sample: Any) -> tuple[str, ...]:
        """Streams that see a sample."""
        missing = sample.metainfo.get('missing_modalities', ())
        present = tuple(
            name
            for name, modality in self._modalities.items()
            if name not in self.absent and modality not in missing
        )
        if not present:
            raise ValueError(
                f"no stream is left for '{sample.get('img_path')}': absent="
                f'{list(self.absent)}, missing modalities {list(missing)}'
            )
        return present

    def extract_feat(
        self, batch_inputs: Tensor, names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Features of the streams.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            names (Sequence[str], optional): The streams. Defaults to all.

        Returns:
            dict[str, tuple[Tensor]]: Per stream.
        """
        return {
            name: stream.extract_feat(self.part(name, batch_inputs))
            for name, stream in self._detectors()
            if names is None or name in names
        }

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
                unless a stream needs none or has an RPN.
            rescale (bool): Whether boxes are returned in pixels of the
                original images.

        Returns:
            list[DetDataSample]: Samples with ``pred_instances``.
        """
        (results,) = self.detect(
            batch_inputs, batch_data_samples, [self.weights], rescale
        )
        return self.add_pred_to_datasample(batch_data_samples, results)

    def detect(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        settings: Sequence[FusionWeights],
        rescale: bool = True,
    ) -> list[InstanceList]:
        """Detect objects with each of several weights.

        Args:
            batch_inputs (Tensor): See :meth:`predict`.
            batch_data_samples (list[DetDataSample]): See :meth:`predict`.
            settings (Sequence[FusionWeights]): Of :meth:`make_weights`.
                Features and heads are computed once for all of them.
            rescale (bool): See :meth:`predict`.

        Returns:
            list[list[InstanceData]]: For each of the weights, of each sample.
        """
        self.check_loaded()
        groups: dict[tuple[str, ...], list[int]] = {}
        for i, sample in enumerate(batch_data_samples):
            groups.setdefault(self._present(sample), []).append(i)
        results: list[Any] = [
            [None] * len(batch_data_samples) for _ in settings
        ]
        for names, indices in groups.items():
            part = batch_inputs if len(groups) == 1 else batch_inputs[indices]
            features = self.extract_feat(part, names)
            samples = [batch_data_samples[i] for i in indices]
            several = len(settings) > 1
            with heads_remembered(self.streams) if several else nullcontext():
                for result, weights in zip(results, settings, strict=True):
                    found = self.fusion.predict(
                        *(self.streams, features, samples),
                        *(weights, self.test_cfg, rescale),
                    )
                    for i, instances in zip(indices, found, strict=True):
                        result[i] = instances
        return results

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
        self.check_loaded()
        for sample in batch_data_samples:
            if missing := sample.metainfo.get('missing_modalities'):
                raise ValueError(
                    f"'{sample.get('img_path')}' lacks {list(missing)}: "
                    'streams are trained on complete samples'
                )
        losses: dict[str, Any] = {}
        for name, stream in self._detectors():
            # A detector consumes the proposals of its samples.
            samples = [copy.copy(sample) for sample in batch_data_samples]
            for sample in samples:
                if 'proposals' in sample:
                    sample.proposals = sample.proposals.clone()
            found = stream.loss(self.part(name, batch_inputs), samples)
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
    ) -> Any:
        """Averaged outputs, see :meth:`HeadFusion.forward`."""
        self.check_loaded()
        return self.fusion.forward(
            self.streams,
            self.extract_feat(batch_inputs, self._present(DetDataSample())),
            batch_data_samples,
            self.weights,
        )


def _check_keys(streams: Mapping[str, Mapping]) -> None:
    if not streams:
        raise ValueError('streams: give at least one detector')
    for name, spec in streams.items():
        keys = set(spec) if isinstance(spec, Mapping) else {spec}
        if not {'model'} <= keys <= {'model', 'modality', 'checkpoint'}:
            raise ValueError(
                f"stream '{name}' must be dict(model=...), and may have "
                f'modality and checkpoint; found {list(map(str, keys))}'
            )


def _find_checkpoint(
    name: str, spec: Mapping, network: ResolvedNetwork
) -> str | None:
    """The weights of a stream, by its settings or by its config's name."""
    if 'checkpoint' in spec:
        return spec['checkpoint']
    if names_weights(network.model):
        return None
    if isinstance(spec['model'], str) and network.checkpoint is None:
        raise ValueError(
            f"stream '{name}': '{spec['model']}' has no train_cfg and "
            'checkpoint hook that name its last checkpoint; give '
            "checkpoint='...', or checkpoint=None to start as the config says"
        )
    return network.checkpoint


def _agree_on_classes(
    classes: Mapping[str, tuple[str, ...] | None],
) -> tuple[str, ...] | None:
    """Refuse streams that mean other things by the same label."""
    named = {name: found for name, found in classes.items() if found}
    if len(set(named.values())) > 1:
        raise ValueError(
            "the streams' outputs cannot be averaged: their classes differ, "
            'by name or order: '
            + ', '.join(f"'{n}': {list(found)}" for n, found in named.items())
        )
    return next(iter(named.values()), None)


def _note_loaded_streams(
    module: LateFusionDetector, state: dict, prefix: str, *args: Any
) -> None:
    """Streams that a checkpoint has completely need no file of their own."""
    for name in list(module._lacking):
        wanted = {
            f'{prefix}streams.{name}.{key}'
            for key in module.streams[name].state_dict()
            if not key.endswith('num_batches_tracked')
        }
        if wanted <= state.keys():
            del module._lacking[name]
            module._loaded.add(name)
