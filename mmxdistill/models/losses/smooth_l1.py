"""Smooth L1 loss with the numbers of Caffe."""

from __future__ import annotations

import torch
from mmdet.models.losses import weight_reduce_loss
from torch import Tensor, nn
from torch.nn import functional as F

from mmxdistill.registry import MODELS

__all__ = ['CaffeSmoothL1Loss']

_REDUCTIONS = ('none', 'mean', 'sum')


@MODELS.register_module()
class CaffeSmoothL1Loss(nn.Module):
    """Fast R-CNN's SmoothL1Loss layer: ``sum f(w * (pred - target)) / N``.

    ``f(d) = d^2 / 2`` for ``|d| < 1``, else ``|d| - 1/2``; N is the number of
    rows (RoIs). Unlike in mmdet's ``SmoothL1Loss`` of the same call, the
    weight is *inside* f, and the layer forgets it in the gradient, which is
    ``f'(w * (pred - target)) * loss_weight / N``. Both agree for weights 0
    and 1, the only ones of the authors' data layer. Computed in float32.

    Args:
        loss_weight (float): Weight; 0.5 in the authors' prototxts. Defaults
            to 1.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compute the loss.

        Args:
            pred (Tensor): Regression (R, D).
            target (Tensor): Its targets (R, D).
            weight (Tensor, optional): Weight of each number, (R, D).
            avg_factor (float, optional): Divisor N, which
                ``mmdet.models.BBoxHead`` gives for its selection of rows.
                Defaults to the number of rows R.
            reduction_override (str, optional): 'mean' (the default), 'sum'
                or 'none'.

        Returns:
            Tensor: Scalar, or (R, D) for 'none'.

        Raises:
            ValueError: Unknown reduction, other shapes, or ``avg_factor``
                with the reduction 'sum'.
        """
        reduction = reduction_override or 'mean'
        if reduction not in _REDUCTIONS:
            raise ValueError(
                f"CaffeSmoothL1Loss: unknown reduction '{reduction}', use one "
                f'of {_REDUCTIONS}'
            )
        if pred.shape != target.shape:
            raise ValueError(
                f'CaffeSmoothL1Loss: pred is {tuple(pred.shape)}, but target '
                f'{tuple(target.shape)}'
            )
        dtype = torch.promote_types(pred.dtype, torch.float32)
        error = pred.to(dtype) - target.to(dtype)
        if weight is not None:
            # The weighted value, with the gradient of the other.
            error = (weight * error).detach() + (error - error.detach())
        loss = F.smooth_l1_loss(
            error, torch.zeros_like(error), reduction='none'
        )
        if avg_factor is None and reduction == 'mean':
            avg_factor = len(pred)
        return self.loss_weight * weight_reduce_loss(
            loss, None, reduction, avg_factor
        )
