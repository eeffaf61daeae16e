"""One place at which the student learns from the teacher."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.models.layers import FeatureScale
from mmxdistill.registry import MODELS

__all__ = ['TransferPoint']

_ALIGN = ('error', 'crop')


class TransferPoint(BaseModule):
    """Adaptation of the student's feature, scaling of the teacher's, loss.

    Args:
        teacher (str): Name of the teacher's feature.
        student (str): Name of the student's feature.
        adaptation (dict, optional): Adaptation layer; None for none.
        scale (dict, optional): Arguments of :class:`FeatureScale`. Defaults
            to a factor of 1.
        loss (dict, optional): Defaults to :class:`FeatureL2Loss`.
        align (str): What to do if the grids differ by a few cells: 'error',
            or 'crop' both to their common top-left part. Defaults to 'error'.

    Raises:
        ValueError: Unknown ``align``.
    """

    def __init__(
        self,
        teacher: str,
        student: str,
        adaptation: dict | None = None,
        scale: dict | None = None,
        loss: dict | None = None,
        align: str = 'error',
    ) -> None:
        super().__init__()
        if align not in _ALIGN:
            raise ValueError(f"align must be one of {_ALIGN}, not '{align}'")
        self.teacher = teacher
        self.student = student
        self.align = align
        self.adaptation = (
            nn.Identity() if adaptation is None else MODELS.build(adaptation)
        )
        self.scale = FeatureScale(**(scale or {}))
        self.loss = MODELS.build(loss or dict(type='mmxdistill.FeatureL2Loss'))

    @property
    def name(self) -> str:
        """Name in logs: ``pool5``, or ``pool5_conv5`` (student, teacher)."""
        names = dict.fromkeys((self.student, self.teacher))
        return '_'.join(name.replace('.', '-') for name in names)

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
            same shape.

        Raises:
            ValueError: The numbers of channels or the grids differ.
        """
        student = self._adapt(student, teacher)
        teacher = self.scale(teacher)
        if student.shape[1] != teacher.shape[1]:
            raise ValueError(
                f"transfer point '{self.name}': the student's feature has "
                f'{student.shape[1]} channels after the adaptation, the '
                f"teacher's {teacher.shape[1]}: set "
                'adaptation=dict(out_channels='
                f'{teacher.shape[1]})'
            )
        if self.align == 'crop':
            h, w = (
                min(a, b)
                for a, b in zip(
                    student.shape[2:], teacher.shape[2:], strict=True
                )
            )
            return student[..., :h, :w], teacher[..., :h, :w]
        return student, teacher

    def _adapt(self, student: Tensor, teacher: Tensor) -> Tensor:
        expected = getattr(
            getattr(self.adaptation, 'conv', None), 'in_channels', None
        )
        if expected is not None and student.shape[1] != expected:
            raise ValueError(
                f"transfer point '{self.name}': the student's feature has "
                f'{student.shape[1]} channels: set adaptation=dict('
                f'in_channels={student.shape[1]}, '
                f'out_channels={teacher.shape[1]})'
            )
        return self.adaptation(student)
