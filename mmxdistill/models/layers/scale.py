"""Scaling layers: measured or fixed (of the transfer), and learned."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.registry import MODELS

__all__ = ['ChannelScale', 'FeatureScale']


class FeatureScale(BaseModule):
    """Constant multiplier on the teacher's feature.

    The scaling layer of the paper (sec. 4.1), for VGG -> AlexNet: it makes
    the average norms of the features comparable between the two networks.
    A measured multiplier is saved with the student's adaptation layer; a given
    one is in the config only, so that no checkpoint can change it.

    Args:
        scale (float | str | None): The multiplier; None for 1. ``'auto'`` lets
            :class:`TransferCalibrationHook` measure it before training: the
            average L2 norm of a cell of the teacher's feature (the vector of
            all channels at one position) becomes that of the student's
            feature before the adaptation layer.

    Raises:
        ValueError: Anything else.
    """

    factor: Tensor

    def __init__(self, scale: float | str | None = None) -> None:
        super().__init__()
        if scale is None:
            scale = 1.0
        self.auto = scale == 'auto'
        if not self.auto and (
            isinstance(scale, bool)
            or not isinstance(scale, (int, float))
            or not 0 < scale < float('inf')
        ):
            raise ValueError(
                f"scale={scale!r}: write scale='auto' to measure it, a "
                'positive number, or None'
            )
        # Not a number until it is measured.
        value = float('nan') if self.auto else float(scale)
        self.register_buffer('factor', torch.tensor(value), self.auto)
        self._known = not self.auto

    @property
    def needs_calibration(self) -> bool:
        """Whether the multiplier has still to be measured."""
        if not self._known:  # asks the device no more than once
            self._known = not bool(self.factor.isnan())
        return not self._known

    def calibrate(self, teacher_norm: float, student_norm: float) -> None:
        """Set the multiplier from measured average norms, if it is 'auto'.

        Args:
            teacher_norm (float): Average norm of the teacher's feature.
            student_norm (float): Average norm of the student's feature.
        """
        if self.auto:
            self.factor.fill_(student_norm / teacher_norm)

    def forward(self, x: Tensor) -> Tensor:
        """Scale a feature.

        Args:
            x (Tensor): Feature of any shape.

        Returns:
            Tensor: ``factor * x``, of the shape and type of ``x``.

        Raises:
            RuntimeError: The multiplier was never measured.
        """
        if self.needs_calibration:
            raise RuntimeError(
                "scale='auto' has not been measured: add "
                "dict(type='mmxdistill.TransferCalibrationHook') to "
                'custom_hooks'
            )
        return x * self.factor

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
