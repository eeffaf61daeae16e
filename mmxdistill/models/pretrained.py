"""Weights of RGB networks for inputs of other numbers of channels."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.models.checkpoints import read_checkpoint
from mmxdistill.registry import WEIGHT_INITIALIZERS

__all__ = ['PretrainedInit', 'adapt_input', 'check_initializers']

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


def check_initializers(network: nn.Module) -> None:
    """Refuse :class:`PretrainedInit` where it would be ignored.

    Args:
        network (nn.Module): Before its weights are initialised.

    Raises:
        ValueError: A part of it has ``mmxdistill.Pretrained``, but an
            ``init_weights`` of its own.
    """
    for name, part in network.named_modules():
        cfgs = getattr(part, 'init_cfg', None) or ()
        for cfg in [cfgs] if isinstance(cfgs, Mapping) else cfgs:
            if (
                cfg.get('type') in ('mmxdistill.Pretrained', PretrainedInit)
                and cfg.get('submodule') is None
            ):
                _check_own(part, name.rpartition('.')[2])


def _check_own(part: nn.Module, name: str = '') -> None:
    """Refuse a class that may ignore or overwrite what is loaded.

    mmdet's Swin and PVT read the file by themselves, mmpretrain's networks
    initialise some weights again unless the type is mmengine's 'Pretrained'.
    """
    own: Any = getattr(type(part), 'init_weights', BaseModule.init_weights)
    if own is not BaseModule.init_weights:
        name = name or 'backbone'
        raise ValueError(
            f'{own.__qualname__} does not go by mmxdistill.Pretrained: move '
            'the init_cfg one level up, to the model that contains the '
            f"{type(part).__name__}, as init_cfg=dict(type='mmxdistill."
            f"Pretrained', checkpoint=..., submodule='{name}')"
        )


@WEIGHT_INITIALIZERS.register_module(name='Pretrained')
class PretrainedInit:
    """mmengine's ``Pretrained``, for a first layer of any number of channels.

    ``init_cfg=dict(type='mmxdistill.Pretrained', checkpoint=...,
    input_channels='sum')`` of a backbone, or of the detector with
    ``submodule='backbone'``, which also does for backbones that load their
    weights in a way of their own (Swin, PVT, those of mmpretrain). All weights
    must be in the file: nothing is left at random without a word.

    Args:
        checkpoint (str): File, URL or alias that mmengine can load.
        prefix (str, optional): Of the network's keys in the file. Defaults to
            the submodule, if the file has such keys, else to none.
        input_channels (str): 'sum', 'mean' or 'extend', see
            :func:`adapt_input`. Defaults to 'sum'.
        submodule (str, optional): Dotted path of the part that is loaded, in
            the module that has this ``init_cfg``. Defaults to all of it.

    Raises:
        ValueError: Unknown ``input_channels``; when called, weights that are
            missing or differ in more than the channels of one first layer, an
            unknown submodule, or a module whose class would not leave its
            weights alone.
    """

    def __init__(
        self,
        checkpoint: str,
        prefix: str | None = None,
        input_channels: str = 'sum',
        submodule: str | None = None,
    ) -> None:
        if input_channels not in _MODES:
            raise ValueError(
                f'input_channels must be one of {_MODES}, not '
                f"'{input_channels}'"
            )
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.mode = input_channels
        self.submodule = submodule

    def __call__(self, module: nn.Module) -> None:
        """Load the weights.

        Args:
            module (nn.Module): The network.
        """
        if self.submodule is None:
            _check_own(module)
        try:
            target = module.get_submodule(self.submodule or '')
        except AttributeError as error:
            raise ValueError(
                f"init_cfg: submodule='{self.submodule}': {error}; there are "
                f'{[name for name, _ in module.named_children()]}'
            ) from None
        target.load_state_dict(self._read(target.state_dict()), strict=False)
        # mmengine would go on and initialise the parts.
        part: Any
        for part in target.modules():
            if hasattr(part, '_is_init'):
                part._is_init = True

    def _read(self, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the file under the keys of the network."""
        found = read_checkpoint(self.checkpoint, 'init_cfg')
        found = found.get('state_dict', found)
        prefix = self.prefix
        if prefix is None:
            prefix = f'{self.submodule}.' if self.submodule else ''
            if not any(key.startswith(prefix) for key in found):
                prefix = ''
        if prefix and not prefix.endswith('.'):
            prefix += '.'
        state = {
            key.removeprefix(prefix): value
            for key, value in found.items()
            if key.startswith(prefix)
        }
        if not state:
            raise ValueError(
                f"'{self.checkpoint}' has no keys that start with prefix="
                f"'{prefix}', but {list(found)[:_SHOWN]} ..."
            )
        return self._fit(state, wanted)

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
                f'{bad[:_SHOWN] or adapted} (of {len(bad) or len(adapted)}); '
                'only the input channels of the first layer may differ. The '
                f'file has {list(found)[:_SHOWN]} ...'
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
