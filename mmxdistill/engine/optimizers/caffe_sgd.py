"""Stochastic gradient descent as Caffe's solver does it."""

from __future__ import annotations

import math
import numbers
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmxdistill.registry import OPTIMIZERS

__all__ = ['CaffeSGD']

_HISTORY = 'history'


@OPTIMIZERS.register_module()
class CaffeSGD(Optimizer):
    r"""SGD whose momentum buffer holds the learning rate (Caffe's SGDSolver).

    .. math::
        v \leftarrow \mu v + \eta (g + \lambda w), \qquad w \leftarrow w - v

    ``torch.optim.SGD`` has the learning rate :math:`\eta` outside:
    :math:`v \leftarrow \mu v + g + \lambda w, w \leftarrow w - \eta v`. Both
    are the same while :math:`\eta` is constant. When it drops, Caffe's
    velocity still carries the old rate and decays with :math:`\mu^k`, whereas
    PyTorch's takes the new rate at once.

    Caffe's ``lr_mult`` and ``decay_mult`` are the learning rate and weight
    decay of parameter groups; for biases, ``paramwise_cfg=dict(
    bias_lr_mult=2., bias_decay_mult=0.)``. Its policies 'step' and
    'multistep' are mmengine's ``StepLR`` and ``MultiStepLR`` with
    ``by_epoch=False``, 'fixed' is no scheduler.

    As in PyTorch, a parameter without gradient is left as it is (Caffe, which
    has a gradient of zero then, would still decay it). All parameters of one
    device, type and setting are updated together, also if each has a
    parameter group of its own, as mmengine makes them.

    Args:
        params (Iterable): Parameters, or groups of them.
        lr (float): Learning rate.
        momentum (float): Factor of the previous update, at least 0 and less
            than 1. Defaults to 0.9.
        weight_decay (float): L2 penalty. Defaults to 0.

    Raises:
        ValueError: A value, of the optimizer or of a group, is not a number
            or out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay)
        )

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with settings of their own where given.

        Args:
            param_group (dict): ``params``, and any of ``lr``, ``momentum``
                and ``weight_decay``.

        Raises:
            ValueError: A setting is not a number or out of range.
        """
        super().add_param_group(param_group)
        for name in ('lr', 'momentum', 'weight_decay'):
            value = self.param_groups[-1][name]
            limit = 1.0 if name == 'momentum' else math.inf
            number = isinstance(value, numbers.Real)
            if not number or not 0 <= value < limit:
                raise ValueError(
                    f'CaffeSGD: {name}={value!r}, expected a number of at '
                    'least 0' + (' and below 1' if limit == 1 else '')
                )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure (Callable, optional): Computes the loss and its gradients
                once more.

        Returns:
            Any: What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        batches: dict[tuple, tuple[list[Tensor], list[Tensor], list[Tensor]]]
        batches = defaultdict(lambda: ([], [], []))
        for group in self.param_groups:
            rule = group['lr'], group['momentum'], group['weight_decay']
            for param in group['params']:
                if param.grad is None:
                    continue
                state = self.state[param]
                if not state:
                    state[_HISTORY] = torch.zeros_like(param)
                batch = batches[param.device, param.dtype, rule]
                batch[0].append(param)
                batch[1].append(param.grad)
                batch[2].append(state[_HISTORY])
        for (_, _, rule), batch in batches.items():
            _update(*batch, *rule)
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from the state of a CaffeSGD.

        Args:
            state_dict (dict): What ``state_dict()`` returned.

        Raises:
            ValueError: The state is that of another optimizer.
        """
        found = set().union(*state_dict['state'].values())
        if found - {_HISTORY}:
            raise ValueError(
                'CaffeSGD cannot continue from the state of another '
                f"optimizer (it has {sorted(found)}, expected '{_HISTORY}'; "
                'the buffers of torch.optim.SGD lack the learning rate). Load '
                'the weights alone: load_from instead of resume'
            )
        super().load_state_dict(state_dict)


def _update(
    params: list[Tensor],
    gradients: list[Tensor],
    history: list[Tensor],
    lr: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Update parameters of one device and type in place, without copies.

    PyTorch loops over what its multi-tensor kernels cannot do, such as sparse
    gradients.
    """
    torch._foreach_mul_(history, momentum)
    torch._foreach_add_(history, gradients, alpha=lr)
    if weight_decay:
        torch._foreach_add_(history, params, alpha=lr * weight_decay)
    torch._foreach_sub_(params, history)
