"""Accumulation and clipping of gradients as Caffe's solver does it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.optim import Optimizer

from mmxdistill.registry import OPTIM_WRAPPERS

__all__ = ['CaffeOptimWrapper']


@OPTIM_WRAPPERS.register_module()
class CaffeOptimWrapper(OptimWrapper):
    """Caffe's ``iter_size`` and ``clip_gradients``, with any optimizer.

    The gradients of ``accumulative_counts`` iterations are summed, the *sum*
    is clipped, then divided by the number of iterations; the optimizer adds
    weight decay and momentum. (mmengine's ``OptimWrapper`` clips the
    average.) If the run ends within a group of iterations, the group is
    averaged over the iterations it has.

    mmengine counts every forward and backward pass as an iteration, Caffe
    only the updates: multiply ``max_iters``, the milestones or ``step_size``
    of the schedulers and all intervals by ``accumulative_counts``.

    Args:
        optimizer (Optimizer): The optimizer.
        accumulative_counts (int): Iterations per update, Caffe's
            ``iter_size``. Defaults to 1.
        clip_grad (dict, optional): ``dict(max_norm=...)``, Caffe's
            ``clip_gradients``: if the L2 norm of the summed gradients of all
            parameters exceeds ``max_norm``, they are scaled to that norm.

    Raises:
        ValueError: ``accumulative_counts`` is not a positive integer, or
            ``clip_grad`` asks for something else than clipping by L2 norm.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(accumulative_counts, int) or accumulative_counts < 1:
            raise ValueError(
                f'CaffeOptimWrapper: accumulative_counts='
                f'{accumulative_counts!r}, expected a positive integer'
            )
        self.max_norm = None if clip_grad is None else _max_norm(clip_grad)
        super().__init__(optimizer, accumulative_counts)

    def initialize_count_status(
        self, model: nn.Module, init_counts: int, max_counts: int
    ) -> None:
        """Set the number of iterations done and to do.

        Args:
            model (nn.Module): The model.
            init_counts (int): Iterations done before, at a resume.
            max_counts (int): Iterations of the whole run.

        Raises:
            ValueError: A run is resumed within a group of iterations, whose
                first gradients are lost.
        """
        inside = init_counts % self._accumulative_counts
        if inside and init_counts < max_counts:
            raise ValueError(
                f'cannot resume at iteration {init_counts}: the gradients of '
                f'the last {inside} iteration(s) are not in the checkpoint. '
                'Resume from one saved after a multiple of '
                f'accumulative_counts={self._accumulative_counts} iterations, '
                'and make the interval of the CheckpointHook such a multiple'
            )
        super().initialize_count_status(model, init_counts, max_counts)

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Leave the loss as it is, so that gradients are summed.

        Args:
            loss (Tensor): Loss of an iteration, scalar.

        Returns:
            Tensor: The same.
        """
        return loss

    def step(self, **kwargs: Any) -> None:
        """Clip and average the summed gradients, then update the parameters.

        Args:
            **kwargs: Of the optimizer's ``step``.
        """
        gradients = [
            param.grad
            for group in self.optimizer.param_groups
            for param in group['params']
            if param.grad is not None
        ]
        count = self._accumulative_counts
        factor = 1.0 / (self._inner_count % count or count)
        if self.max_norm is not None and gradients:
            norm = _l2_norm(gradients)
            self.message_hub.update_scalar('train/grad_norm', norm)
            if norm > self.max_norm:
                factor *= self.max_norm / norm
        if factor != 1.0:
            torch._foreach_mul_(gradients, factor)
        super().step(**kwargs)


def _max_norm(clip_grad: dict[str, Any]) -> float:
    """Return the norm to clip at, checking that nothing else is asked for."""
    settings = dict(clip_grad)
    norm = settings.pop('max_norm', None)
    supported = dict(type='norm', norm_type=2)
    other = {k: v for k, v in settings.items() if supported.get(k) != v}
    if other or not isinstance(norm, (int, float)) or not norm > 0:
        raise ValueError(
            f'CaffeOptimWrapper: clip_grad={clip_grad}, expected '
            'dict(max_norm=...) with a positive number: Caffe clips by the '
            'L2 norm only'
        )
    return float(norm)


def _l2_norm(tensors: list[Tensor]) -> float:
    """L2 norm of all tensors together, on whatever devices they are."""
    norms = [norm.float() for norm in torch._foreach_norm(tensors)]
    norms = [norm.to(norms[0].device) for norm in norms]
    return torch.linalg.vector_norm(torch.stack(norms)).item()
