"""Scaling layers: measured or fixed (of the transfer), and learned."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.registry import MODELS

__all__ = ['ChannelScale', 'FeatureScale']


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


@MODELS.register_module()
class ChannelScale(BaseModule):
    """Learned multiplier, and bias, of each channel: Caffe's Scale layer.

    (The layer of BVLC/caffe, 2016; the authors' Caffe has no learned one.)
    Cheaper than the 1x1 convolution of :class:`AdaptationNeck` where the
    student's channels already mean the same as the teacher's. Starts as the
    identity, Caffe's default fillers.

    Args:
        channels (int, optional): Number of channels (Caffe: ``axis: 1``).
            None: one multiplier and bias for all (``axis: 0, num_axes: 0``).
        bias (bool): Whether to add a bias (``bias_term``). Defaults to False.

    Raises:
        ValueError: ``channels`` is not positive.
    """

    def __init__(
        self, channels: int | None = None, bias: bool = False
    ) -> None:
        super().__init__()
        if channels is not None and channels < 1:
            raise ValueError(
                f'ChannelScale: channels={channels}, expected a positive '
                'number, or None for one multiplier for all channels'
            )
        shape = () if channels is None else (channels,)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.zeros(shape)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Scale a feature.

        Args:
            x (Tensor): (N, C, ...).

        Returns:
            Tensor: ``weight * x + bias``, (N, C, ...).
        """
        shape = (-1,) + (1,) * (x.dim() - 2) if self.weight.dim() else ()
        y = x * self.weight.view(shape)
        return y if self.bias is None else y + self.bias.view(shape)
