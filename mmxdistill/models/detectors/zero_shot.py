"""Detectors of a modality without its labels: parts of two networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModule, ModuleList
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmxdistill.models.detectors.class_subset import (
    build_detector,
    keep_weights,
    set_preprocessor,
)
from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.features import FeatureExtractor
from mmxdistill.models.networks import (
    build_network,
    load_weights,
    resolve_network,
)
from mmxdistill.models.preprocessing import Preprocessing, fill_statistics
from mmxdistill.registry import MODELS

__all__ = ['TransferredLayers', 'zero_shot_detector']

_AT = ('backbone', 'neck')
_PROBE = 128  # pixels; every backbone of mmdet takes such an image


class TransferredLayers(BaseModule):
    """A student up to its transfer points, as a detector's lower part.

    Each feature goes through the adaptation that was trained with it, and
    the teacher's scale is undone: ``t(student) / scale``.

    Args:
        student (nn.Module): Backbone or detector.
        extractor (FeatureExtractor): Computes its features.
        features (Sequence[str]): Their names, in the order in which the
            detector's next part takes them.
        points (Sequence[TransferPoint]): A transfer point for each.
    """

    def __init__(
        self,
        student: nn.Module,
        extractor: FeatureExtractor,
        features: Sequence[str],
        points: Sequence[TransferPoint],
    ) -> None:
        super().__init__()
        self.student = student
        self.extractor = extractor
        self.features = list(features)
        self.adaptations = ModuleList(point.adaptation for point in points)
        self.scales = ModuleList(point.scale for point in points)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the features that the teacher's next part expects.

        Args:
            x (Tensor): Images of the student's modality, (N, C, H, W).

        Returns:
            tuple[Tensor, ...]: (N, C_i, H_i, W_i) per transfer point.
        """
        found = self.extractor(x)
        return tuple(
            adaptation(found[name]) / scale.factor
            for name, adaptation, scale in zip(
                self.features, self.adaptations, self.scales, strict=True
            )
        )


@MODELS.register_module(name='ZeroShotDetector')
def zero_shot_detector(
    detector: Mapping | str,
    transfer: Mapping | str,
    checkpoint: str | None,
    transfer_checkpoint: str | None,
    at: str = 'backbone',
    features: Sequence[str] | None = None,
    points: Sequence[int] | None = None,
    classes: Sequence[str] | Mapping[str, str] | None = None,
    source_classes: Sequence[str] | None = None,
    data_preprocessor: dict | None = None,
) -> Any:
    """Put a transferred student under the upper part of the RGB detector.

    "Zero-shot" detection (the paper, table 5): no label of the new modality
    is used. The lower layers are the student's, up to the transfer points;
    each feature passes its adaptation, and the teacher's scale is undone;
    what follows in the RGB detector is kept. The result is that detector with
    another backbone: it is trained, tested, fused and drawn as such.

    A detector that pools RoIs from conv5 after a transfer at pool5 takes
    ``features=['conv5']``: the adaptation is a 1x1 layer and acts per cell.

    Args:
        detector (dict | str): Config of the RGB detector, or where it is.
        transfer (dict | str): Config of the supervision transfer.
        checkpoint (str | None): Weights of the RGB detector. None: they come
            with a checkpoint of the assembled detector (``load_from``).
        transfer_checkpoint (str | None): The transfer's; None as above.
        at (str): Which of the detector's parts the student replaces:
            everything up to the outputs of the ``'backbone'`` or of the
            ``'neck'``.
        features (Sequence[str], optional): The student's features, one per
            output of that part. Defaults to those of the transfer points.
        points (Sequence[int], optional): The transfer points that are used.
            Defaults to all, in their order.
        classes (Sequence | dict, optional): Classes to keep: names, or new
            name -> the detector's name. Defaults to all.
        source_classes (Sequence[str], optional): The detector's classes.
            Defaults to those that its checkpoint or config names.
        data_preprocessor (dict, optional): Defaults to the statistics of the
            student's modality in the transfer.

    Returns:
        nn.Module: The detector.

    Raises:
        ValueError: Parts that do not fit, or images normalised otherwise; the
            message says what differs.
    """
    if at not in _AT:
        raise ValueError(f"at='{at}': choose from {list(_AT)}")
    setup = _transfer_model(transfer)
    upper = build_detector(detector, checkpoint, classes, source_classes)
    upper.backbone = _lower_part(
        setup, transfer_checkpoint, features, points, _outputs(upper, at)
    )
    if at == 'neck':
        del upper.neck
    set_preprocessor(upper, data_preprocessor, _statistics(setup))
    return keep_weights(upper, checkpoint, transfer_checkpoint)


def _preprocessing(model: ConfigDict) -> Preprocessing | None:
    """How an assembled detector wants its images, from its config."""
    given = model.get('data_preprocessor')
    return Preprocessing.from_config(
        given or _statistics(_transfer_model(model['transfer']))
    )


# Where resolve_network() looks.
setattr(zero_shot_detector, 'preprocessing', _preprocessing)  # noqa: B010


def _transfer_model(transfer: Mapping | str) -> ConfigDict:
    model = resolve_network(transfer).model
    if 'student' not in model or 'transfer_points' not in model:
        raise ValueError(
            f'transfer: {model["type"]} is no supervision transfer with '
            'student and transfer_points'
        )
    return model


def _lower_part(
    setup: ConfigDict,
    checkpoint: str | None,
    features: Sequence[str] | None,
    points: Sequence[int] | None,
    targets: Sequence[Tensor],
) -> TransferredLayers:
    student = build_network(setup['student'])
    state: dict[str, Tensor] = {}
    if checkpoint is not None:
        load_weights(student, checkpoint, 'student')
        loaded = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu'
        )
        state = loaded.get('state_dict', loaded)
    specs = setup['transfer_points']
    indices = list(range(len(specs)) if points is None else points)
    names = [specs[i]['student'] for i in indices]
    if features is not None and len(features) != len(names):
        raise ValueError(
            f'features {list(features)}: give one per transfer point, whose '
            f'features are {names}'
        )
    names = list(features or names)
    if len(names) != len(targets):
        raise ValueError(
            f"the detector's part has {len(targets)} outputs, but there are "
            f'{len(names)} transferred features {names}: choose transfer '
            'points=[...] that stand for these outputs, or another at='
        )
    channels = _channels(setup)
    extractor = FeatureExtractor(student, names, 'student', channels)
    chosen = [
        _transfer_point(
            i, specs[i], extractor.infos[name].channels, target, state
        )
        for i, name, target in zip(indices, names, targets, strict=True)
    ]
    lower = TransferredLayers(student, extractor, names, chosen)
    with _quietly(lower):
        outputs = lower(targets[0].new_zeros(1, channels, _PROBE, _PROBE))
    for name, output, target in zip(names, outputs, targets, strict=True):
        _check_fit(name, output, target)
    return lower


def _transfer_point(
    index: int,
    spec: Mapping,
    channels: int,
    target: Tensor,
    state: Mapping[str, Tensor],
) -> TransferPoint:
    """A transfer point with its trained weights."""
    spec = dict(spec)
    if spec.get('adaptation') is not None:
        spec['adaptation'] = {
            'type': 'mmxdistill.AdaptationNeck',
            'in_channels': channels,
            'out_channels': target.shape[1],
            **spec['adaptation'],
        }
    point = TransferPoint(**spec)
    if not state:
        return point
    prefix = f'transfer_points.{index}.'
    for part in (point.adaptation, point.scale):
        name = 'scale' if part is point.scale else 'adaptation'
        wanted = {key: f'{prefix}{name}.{key}' for key in part.state_dict()}
        missing = [key for key in wanted.values() if key not in state]
        if missing:
            raise ValueError(
                f'transfer_checkpoint has no {missing}: it is not that of '
                'the transfer'
            )
        part.load_state_dict({k: state[full] for k, full in wanted.items()})
    if not point.scale.factor > 0:
        raise ValueError(
            f'transfer point {index} has the scale '
            f'{float(point.scale.factor)}: its transfer was never '
            'calibrated, so the checkpoint is not that of a training'
        )
    return point


def _check_fit(name: str, output: Tensor, target: Tensor) -> None:
    """Same channels, and grids that differ by no more than their border."""
    difference = [
        abs(a - b)
        for a, b in zip(output.shape[2:], target.shape[2:], strict=False)
    ]
    if (
        output.dim() != target.dim()
        or output.shape[1] != target.shape[1]
        or max(difference, default=0) > 1
    ):
        raise ValueError(
            f"the student's '{name}' gives {tuple(output.shape[1:])} (C, h, "
            f'w) for {_PROBE} x {_PROBE} pixels after its adaptation, but the '
            f'detector expects {tuple(target.shape[1:])}: take the features '
            'that were trained for this place (transfer points, features=, '
            'at=)'
        )


def _outputs(detector: Any, at: str) -> list[Tensor]:
    """What the part of a detector that is replaced gives for an image."""
    parameter = next(detector.backbone.parameters())
    with _quietly(detector):
        x = detector.backbone(parameter.new_zeros(1, 3, _PROBE, _PROBE))
        if at == 'neck':
            if not detector.with_neck:
                raise ValueError(
                    f"at='neck': {type(detector).__name__} has no neck"
                )
            x = detector.neck(x)
    return list(x)


@contextmanager
def _quietly(network: nn.Module) -> Iterator[None]:
    """Run a network without changing it."""
    modes = {module: module.training for module in network.modules()}
    try:
        for module in modes:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _student_modalities(setup: ConfigDict) -> list[str]:
    names = setup['modalities']['student']
    return [names] if isinstance(names, str) else list(names)


def _statistics(setup: ConfigDict) -> dict[str, Any]:
    """The transfer's preprocessor for the student's modalities only."""
    names = _student_modalities(setup)
    given = setup.get('data_preprocessor') or {}
    missing = set(names) - set(given.get('modalities', ()))
    if missing:
        raise ValueError(
            f'transfer: its data_preprocessor has no modality {missing}'
        )
    cfg = dict(given, modalities={n: given['modalities'][n] for n in names})
    networks = {
        role: resolve_network(setup[role])
        for role in cfg['modalities'].values()
        if isinstance(role, str) and role in setup
    }
    if 'encoders' in cfg:
        cfg['encoders'] = {
            n: v for n, v in (cfg['encoders'] or {}).items() if n in names
        }
    return fill_statistics(cfg, networks)


def _channels(setup: ConfigDict) -> int:
    modalities = _statistics(setup)['modalities']
    return sum(len(spec['mean']) for spec in modalities.values())
