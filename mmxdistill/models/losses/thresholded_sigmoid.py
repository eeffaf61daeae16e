"""Log loss of a student that tells where the teacher's feature is active."""

from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from mmxdistill.registry import MODELS

__all__ = ['ThresholdedSigmoidLoss']

_NORMALIZATIONS = ('energy', 'batch')


@MODELS.register_module()
class ThresholdedSigmoidLoss(BaseModule):
    r"""Binary log loss between features (the paper, sec. 4.1).

    The alternative to the L2 loss that the authors tried (and found worse):
    with the student's feature x, the teacher's y and :math:`p(x) =
    \mathrm{sigmoid}(\alpha x)`, the similarity :math:`1(y > \tau) \log p(x) +
    1(y \le \tau) \log(1 - p(x))` of each number is maximised. The loss is

    .. math:: L = -\frac{w}{Z} \sum 1(y > \tau) \log p(x) + 1(y \le \tau)
        \log(1 - p(x))

    with Z by ``normalization``:

    - ``'batch'``: N, the number of images (or RoIs), as in Caffe's
      SigmoidCrossEntropyLoss. The value grows with the number of cells and
      channels.
    - ``'energy'``: :math:`\log 2` times all numbers of the feature. 1 for a
      student that gives zeros, whatever the network and image size, as with
      :class:`FeatureL2Loss`; there is nothing to measure.

    The paper does not give alpha and tau. A student's feature that has passed
    a ReLU has p of at least a half: adapt it by
    ``AdaptationNeck(act_cfg=None)`` or another layer without one. Padding of
    the images is left out.

    Args:
        tau (float): Threshold of the (scaled) teacher's feature. Defaults
            to 0: where its ReLU is active.
        alpha (float): Slope, positive. Defaults to 1.
        normalization (str): See above. Defaults to 'energy'.
        loss_weight (float): Weight w. Defaults to 1.

    Raises:
        ValueError: Unknown normalization, ``alpha`` is not positive, or
            ``tau`` is not finite.
    """

    def __init__(
        self,
        tau: float = 0.0,
        alpha: float = 1.0,
        normalization: str = 'energy',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not (math.isfinite(alpha) and alpha > 0 and math.isfinite(tau)):
            raise ValueError(
                f'ThresholdedSigmoidLoss: alpha={alpha}, tau={tau}: alpha '
                'must be positive and both finite'
            )
        if normalization not in _NORMALIZATIONS:
            raise ValueError(
                'ThresholdedSigmoidLoss: unknown normalization '
                f"'{normalization}', use one of {_NORMALIZATIONS}"
            )
        self.tau = tau
        self.alpha = alpha
        self.normalization = normalization
        self.loss_weight = loss_weight

    def forward(
        self, student: Tensor, teacher: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Args:
            student (Tensor): (N, C, H, W) or (R, C), adapted.
            teacher (Tensor): The same shape, scaled.
            valid (Tensor, optional): (N, 1, H, W) bool: the cells that are no
                padding. None for all.

        Returns:
            Tensor: Scalar, at least float32.
        """
        kind = torch.promote_types(student.dtype, torch.float32)
        # Of the logits: saturated ones give neither infinities nor lost
        # gradients.
        losses = F.binary_cross_entropy_with_logits(
            student.to(kind) * self.alpha,
            (teacher > self.tau).to(kind),
            reduction='none',
        )
        count: Tensor | int = student.numel()
        if valid is not None:  # a tensor, for the device not to wait
            losses = losses * valid
            count = valid.sum() * student.shape[1]
        total = losses.sum() * self.loss_weight
        if self.normalization == 'batch':
            return total / max(student.shape[0], 1)
        if isinstance(count, int):
            return total / (math.log(2) * max(count, 1))
        return total / (math.log(2) * count.clamp(min=1))

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return (
            f'tau={self.tau:g}, alpha={self.alpha:g}, '
            f'normalization={self.normalization!r}, '
            f'loss_weight={self.loss_weight:g}'
        )
