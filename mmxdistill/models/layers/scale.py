"""Scaling layer of the transfer."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor

__all__ = ['FeatureScale']


class FeatureScale(BaseModule):
    """Constant multiplier on the teacher's feature.

    "We introduce a scaling layer to make the average norm of features
    comparable" (the paper, sec. 4.1, for VGG -> AlexNet). The multiplier is a
    buffer, so it is saved with the student's adaptation layer and can be
    undone.

    Args:
        scale (float, optional): The multiplier. None lets
            :class:`TransferCalibrationHook` measure it: the multiplier then
            makes the teacher's average norm equal to ``target_norm``.
        target_norm (float, optional): Average L2 norm of a feature cell (the
            vector of all channels at one position) after scaling. None takes
            the norm of the student's adapted feature at the start. Only used
            with ``scale=None``.
    """

    def __init__(
        self, scale: float | None = 1.0, target_norm: float | None = None
    ) -> None:
        super().__init__()
        if scale is not None and scale <= 0:
            raise ValueError(f'FeatureScale: scale must be positive: {scale}')
        self.target_norm = target_norm
        # Negative: to be measured; 1 until then.
        self.register_buffer('factor', torch.tensor(float(scale or -1.0)))

    factor: Tensor

    @property
    def needs_calibration(self) -> bool:
        """Whether the multiplier has still to be measured."""
        return float(self.factor) < 0

    def calibrate(self, teacher_norm: float, student_norm: float) -> None:
        """Set the multiplier from measured average norms.

        Args:
            teacher_norm (float): Average norm of the teacher's feature.
            student_norm (float): Average norm of the student's feature.
        """
        target = self.target_norm or student_norm
        self.factor.fill_(target / teacher_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Scale a feature.

        Args:
            x (Tensor): Feature of any shape.

        Returns:
            Tensor: ``factor * x``, of the shape and type of ``x``.
        """
        return x * self.factor.abs()

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'factor={float(self.factor):g}'
