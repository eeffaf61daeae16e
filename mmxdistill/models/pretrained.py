"""Weights of RGB networks for inputs of other numbers of channels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner.checkpoint import (
    CheckpointLoader,
    _load_checkpoint_with_prefix,
)
from torch import Tensor, nn

from mmxdistill.registry import WEIGHT_INITIALIZERS

__all__ = ['PretrainedInit', 'adapt_input']

_MODES = ('sum', 'mean', 'extend')
_SHOWN = 5


def adapt_input(weight: Tensor, channels: int, mode: str) -> Tensor:
    """Make the first layer of a network take other channels.

    Args:
        weight (Tensor): (out, in, ...), of a convolution or patch embedding.
        channels (int): Number of input channels wanted.
        mode (str): What every new channel gets. ``'sum'``: the sum over the
            old channels, divided by the number of new ones: an image of equal
            channels gives what it gave before, as a gray image. ``'mean'``:
            the mean, whatever the number of channels. ``'extend'``: the first
            channels keep theirs (RGB of RGB + X), the others get the mean.

    Returns:
        Tensor: (out, channels, ...).
    """
    mean = weight.mean(1, keepdim=True)
    shape = (-1, channels, *(-1,) * (weight.dim() - 2))
    if mode == 'sum':
        return (mean * (weight.shape[1] / channels)).expand(shape).clone()
    wide = mean.expand(shape).clone()
    if mode == 'extend':
        kept = min(channels, weight.shape[1])
        wide[:, :kept] = weight[:, :kept]
    return wide


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit:
    """mmengine's ``Pretrained``, for a first layer of any number of channels.

    ``init_cfg=dict(type='mmxdistill.Pretrained', checkpoint=...,
    input_channels='sum')``. All weights of the network must be in the file:
    nothing is left at random without a word.

    Args:
        checkpoint (str): File, URL or alias that mmengine can load.
        prefix (str, optional): Of the network's keys in the file.
        input_channels (str): 'sum', 'mean' or 'extend', see
            :func:`adapt_input`. Defaults to 'sum'.

    Raises:
        ValueError: Unknown ``input_channels``; when called, weights that are
            missing or differ in more than the channels of one first layer.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        input_channels: str = 'sum',
    ) -> None:
        if input_channels not in _MODES:
            raise ValueError(
                f'input_channels must be one of {_MODES}, not '
                f"'{input_channels}'"
            )
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.mode = input_channels

    def __call__(self, module: nn.Module) -> None:
        """Load the weights.

        Args:
            module (nn.Module): The network.
        """
        if self.prefix is None:
            found = CheckpointLoader.load_checkpoint(self.checkpoint, 'cpu')
            found = found.get('state_dict', found)
        else:
            found = _load_checkpoint_with_prefix(self.prefix, self.checkpoint)
        state = self._fit(found, module.state_dict())
        module.load_state_dict(state, strict=False)
        # mmengine would go on and initialise the parts.
        part: Any
        for part in module.modules():
            if hasattr(part, '_is_init'):
                part._is_init = True

    def _fit(
        self, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Select the weights, one of them adapted."""
        state: dict[str, Tensor] = {}
        adapted: list[str] = []
        bad: list[str] = []
        for key, value in wanted.items():
            weight = found.get(key)
            if weight is None:
                if not key.endswith('num_batches_tracked'):
                    bad.append(f'{key} is missing')
                continue
            old, new = weight.shape, value.shape
            if old != new:
                if _differs_in_channels(old, new):
                    adapted.append(key)
                    weight = adapt_input(weight, new[1], self.mode)
                else:
                    bad.append(f'{key}: {tuple(old)}, not {tuple(new)}')
            state[key] = weight
        if bad or len(adapted) > 1:
            raise ValueError(
                f"the weights in '{self.checkpoint}' do not fit: "
                f'{bad[:_SHOWN] or adapted}; only the input channels of the '
                'first layer may differ'
            )
        print_log(
            f"loaded '{self.checkpoint}'"
            + ''.join(
                f', {key} adapted to {wanted[key].shape[1]} channels '
                f'({self.mode})'
                for key in adapted
            ),
            logger='current',
            level=logging.INFO,
        )
        return state


def _differs_in_channels(old: torch.Size, new: torch.Size) -> Any:
    return (
        len(old) == len(new) >= 4 and old[0] == new[0] and old[2:] == new[2:]
    )
