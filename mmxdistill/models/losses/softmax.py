"""Softmax loss with the numbers of Caffe."""

from __future__ import annotations

from typing import Any

import torch
from mmdet.models.losses import (
    CrossEntropyLoss,
    cross_entropy,
    weight_reduce_loss,
)
from torch import Tensor

from mmxdistill.registry import MODELS

__all__ = ['CaffeCrossEntropyLoss']

# Caffe takes the logarithm of max(p, FLT_MIN): at most 87.3365.
_MAX_LOSS = -torch.tensor(torch.finfo(torch.float32).tiny).log().item()


@MODELS.register_module()
class CaffeCrossEntropyLoss(CrossEntropyLoss):
    """Caffe's SoftmaxWithLoss: mean over rows of ``-log(max(p, FLT_MIN))``.

    Like mmdet's ``CrossEntropyLoss`` of the same call, in float32, except for
    rows whose label has next to no probability: each counts at most 87.3365.
    The gradient is not clamped: ``(p - onehot) * loss_weight / N`` always.

    Args:
        loss_weight (float): Weight; 0.5 in the authors' prototxts. Defaults
            to 1.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__(loss_weight=loss_weight)
        self.cls_criterion = _clamped_cross_entropy


def _clamped_cross_entropy(
    pred: Tensor,
    label: Tensor,
    weight: Tensor | None = None,
    reduction: str = 'mean',
    avg_factor: float | None = None,
    **kwargs: Any,
) -> Tensor:
    """Replace mmdet's criterion: clamp each row before it is weighted."""
    dtype = torch.promote_types(pred.dtype, torch.float32)
    loss = cross_entropy(pred.to(dtype), label, reduction='none', **kwargs)
    # The clamped value, with the gradient of the other.
    loss = loss.detach().clamp(max=_MAX_LOSS) + (loss - loss.detach())
    return weight_reduce_loss(loss, weight, reduction, avg_factor)
