"""One place at which the student learns from the teacher."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmxdistill.models.features import FeatureInfo
from mmxdistill.models.features.dry_run import untouched
from mmxdistill.models.layers import FeatureScale
from mmxdistill.registry import MODELS

__all__ = ['TransferPoint']

_ALIGN = ('error', 'crop', 'resize')
_WIDTHS = ('in_channels', 'out_channels')


class TransferPoint(BaseModule):
    """Adaptation of the student's feature, scaling of the teacher's, loss.

    Args:
        teacher (str): Name of the teacher's feature.
        student (str): Name of the student's feature.
        adaptation (dict, optional): Adaptation layer, by default of the type
            :class:`AdaptationNeck`; ``in_channels`` and ``out_channels`` that
            are not given are those of the two features. None for no layer.
        scale (float | str | None): Factor on the teacher's feature, or
            ``'auto'``; see :class:`FeatureScale`.
        loss (dict, optional): Defaults to :class:`FeatureL2Loss`. A loss whose
            ``forward`` takes ``valid`` is told which cells are no padding;
            others see zeros there on both sides.
        align (str): What to do if the grids differ: 'error'; 'crop' both to
            their common top-left part, for some cells at the border; or
            'resize' the adapted student's to the teacher's (bilinear).
            Defaults to 'error'.

    Raises:
        ValueError: Unknown ``align`` or ``scale``.
    """

    @classmethod
    def from_config(cls, cfg: Mapping) -> TransferPoint:
        """Build a point of ``transfer_points``.

        Args:
            cfg (dict): The arguments.

        Returns:
            TransferPoint: The point.

        Raises:
            ValueError: It has other keys, or lacks one.
        """
        known = inspect.signature(cls.__init__).parameters
        keys = set(cfg) if isinstance(cfg, Mapping) else set()
        if not {'teacher', 'student'} <= keys <= set(known) - {'self'}:
            raise ValueError(
                'transfer_points: each is dict(teacher=..., student=...) and '
                f'may have {list(known)[3:]}, found {cfg!r:.300}'
            )
        return cls(**cfg)

    def __init__(
        self,
        teacher: str,
        student: str,
        adaptation: dict | None = None,
        scale: float | str | dict | None = None,
        loss: dict | None = None,
        align: str = 'error',
    ) -> None:
        super().__init__()
        if align not in _ALIGN:
            raise ValueError(f"align must be one of {_ALIGN}, not '{align}'")
        self.teacher = teacher
        self.student = student
        self.align = align
        self.spatial = True  # known after infer()
        self._waiting: dict[str, Any] | None = None
        self.adaptation: nn.Module = nn.Identity()
        if adaptation is not None:
            cfg = {'type': 'mmxdistill.AdaptationNeck', **adaptation}
            if self._lacks(cfg):
                self._waiting = cfg
            else:
                self.adaptation = MODELS.build(cfg)
        self.scale = FeatureScale(_read_scale(scale))
        self.loss = MODELS.build(loss or dict(type='mmxdistill.FeatureL2Loss'))
        self._tell_valid = (
            'valid' in inspect.signature(self.loss.forward).parameters
        )

    @staticmethod
    def _lacks(cfg: Mapping) -> list[str]:
        """Widths that the layer wants and the config does not give."""
        kind = cfg['type']
        if isinstance(kind, str):
            kind = MODELS.get(kind)
        wanted = inspect.signature(kind).parameters if kind else {}
        return [
            name
            for name in _WIDTHS
            if name in wanted
            and name not in cfg
            and wanted[name].default is inspect.Parameter.empty
        ]

    def infer(self, student: FeatureInfo, teacher: FeatureInfo) -> None:
        """Build the adaptation for the features, and check that they meet.

        Args:
            student (FeatureInfo): The student's feature.
            teacher (FeatureInfo): The teacher's feature.

        Raises:
            ValueError: One is computed per RoI and the other per image, or
                the numbers of channels do not fit.
        """
        if self._waiting is not None:
            widths = dict(
                in_channels=student.channels, out_channels=teacher.channels
            )
            lacking = self._lacks(self._waiting)
            self.adaptation = MODELS.build(
                {**{k: widths[k] for k in lacking}, **self._waiting}
            )
            self._waiting = None
        kinds = [
            (info.layout.per_roi, info.layout.spatial, len(grid))
            for info in (student, teacher)
            for grid in [next(iter(info.grids.values()))]
        ]
        self.spatial = teacher.layout.spatial
        if kinds[0] != kinds[1]:
            raise ValueError(
                f"transfer point '{self.name}': the student's feature "
                f"{student} and the teacher's {teacher} cannot be compared: "
                'name two feature maps, two RoI features or two vectors'
            )
        shape = self.adapted(student)
        if shape[1] != teacher.channels:
            raise ValueError(
                f"transfer point '{self.name}': the student's feature has "
                f'{shape[1]} channels after the adaptation, the '
                f"teacher's {teacher.channels}: set adaptation=dict("
                f'out_channels={teacher.channels}), or leave the widths out '
                '(adaptation=dict()), they are known'
            )

    def adapted(
        self, student: FeatureInfo, grid: tuple[int, ...] | None = None
    ) -> tuple[int, ...]:
        """Shape of the student's feature after the adaptation.

        Args:
            student (FeatureInfo): The student's feature.
            grid (tuple[int, ...], optional): Its grid. Defaults to that of
                the dry run.

        Returns:
            tuple[int, ...]: (1, C, h, w), or (1, C).

        Raises:
            ValueError: The adaptation is made for another number of channels.
        """
        if grid is None:
            grid = next(iter(student.grids.values()))
        parameter = next(self.adaptation.parameters(), torch.zeros(()))
        x = parameter.new_zeros((1, student.channels, *grid))
        with untouched(self.adaptation), torch.no_grad():
            try:
                return tuple(self.adaptation(x).shape)
            except RuntimeError as error:
                raise ValueError(
                    f"transfer point '{self.name}': the student's feature "
                    f'{student} does not pass the adaptation: {error}. Leave '
                    'the widths out (adaptation=dict()), or set '
                    f'adaptation=dict(in_channels={student.channels})'
                ) from error

    @property
    def name(self) -> str:
        """Name in logs: ``pool5``, or ``pool5_conv5`` (student, teacher)."""
        names = dict.fromkeys((self.student, self.teacher))
        return '_'.join(name.replace('.', '-') for name in names)

    @property
    def is_measured(self) -> bool:
        """Whether the scale or the loss is set from the data."""
        return self.scale.auto or getattr(self.loss, 'is_measured', False)

    @property
    def needs_calibration(self) -> bool:
        """Whether the scale or the loss waits for measured norms."""
        return self.scale.needs_calibration or getattr(
            self.loss, 'needs_calibration', False
        )

    def forward(
        self, student: Tensor, teacher: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Bring both features to the same space.

        Args:
            student (Tensor): (N, C, H, W), or (R, C).
            teacher (Tensor): (N, C', H', W'), or (R, C').

        Returns:
            tuple[Tensor, Tensor]: Adapted student and scaled teacher, of the
            same shape unless the grids differ and ``align`` is 'error'.
        """
        student = self.adaptation(student)
        teacher = self.scale(teacher)
        if self.align == 'crop':
            h, w = (
                min(a, b)
                for a, b in zip(
                    student.shape[2:], teacher.shape[2:], strict=True
                )
            )
            return student[..., :h, :w], teacher[..., :h, :w]
        if self.align == 'resize' and student.shape[2:] != teacher.shape[2:]:
            student = interpolate(student, teacher.shape[2:], mode='bilinear')
        return student, teacher

    def measure(
        self, student: Tensor, teacher: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): (N, C, H, W) or (R, C), adapted.
            teacher (Tensor): The same shape, scaled.
            valid (Tensor, optional): (N, 1, H, W) bool: the cells that are no
                padding; None for all.

        Returns:
            Tensor: Scalar.
        """
        if valid is None:
            return self.loss(student, teacher)
        student, teacher = student * valid, teacher * valid
        if self._tell_valid:
            return self.loss(student, teacher, valid=valid)
        return self.loss(student, teacher)

    def statistics(
        self, student: Tensor, teacher: Tensor, valid: Tensor | None
    ) -> dict[str, Any]:
        """Sum up what the explained variance is made of.

        Args:
            student (Tensor): See :meth:`measure`.
            teacher (Tensor): See :meth:`measure`.
            valid (Tensor, optional): See :meth:`measure`.

        Returns:
            dict[str, float | int | Tensor]: ``loss``; over the valid cells,
            in float64: their number ``cells``, the sums ``error`` of the
            squared error and ``square`` of the teacher's squared feature, and
            ``total`` (C,) of the feature per channel.
        """
        loss = self.measure(student, teacher, valid).item()
        cells = teacher.numel() // teacher.shape[1]
        if valid is not None:
            student, teacher = student * valid, teacher * valid
            cells = int(valid.sum())
        error = (student.double() - teacher.double()).square().sum()
        teacher = teacher.double().transpose(0, 1).flatten(1)
        return dict(
            loss=loss,
            cells=cells,
            error=error.item(),
            square=teacher.square().sum().item(),
            total=teacher.sum(1).cpu(),
        )


def _read_scale(scale: float | str | dict | None) -> float | str | None:
    """Take the form of version 0.1 too: ``dict(scale=None)`` for 'auto'."""
    if not isinstance(scale, dict):
        return scale
    if set(scale) != {'scale'}:
        raise ValueError(
            f"scale={dict(scale)}: write scale='auto' to measure it, a "
            'positive number, or None'
        )
    value = 'auto' if scale['scale'] is None else scale['scale']
    print_log(
        f'scale={dict(scale)} is the form of version 0.1: write '
        f'scale={value!r}',
        logger='current',
        level=logging.WARNING,
    )
    return value
