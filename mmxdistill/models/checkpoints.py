"""Reading a checkpoint file, or saying why it is none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmxdistill.parallel import describe_error

__all__ = ['check_start', 'deeper_layers', 'read_checkpoint']

# A zip file or a pickle; what is neither would be unpickled all the same, and
# PyTorch allocates what the length of a text says.
_STARTS = (b'PK\3\4', b'\x80')
# Of PyTorch before 0.1.10.
_TAR, _TAR_MARK = 257, b'ustar'


def check_start(path: str, owner: str) -> None:
    """Refuse a file that PyTorch did not write, by its first bytes.

    Args:
        path (str): A local file; URLs and what is missing are left to others.
        owner (str): Whose it is, for messages: ``'the teacher'``.

    Raises:
        ValueError: It is neither a zip file, a pickle nor a tar file.
    """
    if not os.path.isfile(path):
        return
    with open(path, 'rb') as file:
        head = file.read(_TAR + len(_TAR_MARK))
    if not head.startswith(_STARTS) and head[_TAR:] != _TAR_MARK:
        raise ValueError(
            f"the checkpoint '{path}' of {owner} cannot be read: it is no "
            f'file of PyTorch, it begins with {head[:8]!r}'
        )


def read_checkpoint(path: str, owner: str) -> Mapping[str, Any]:
    """Read a checkpoint to the memory of the CPU.

    Args:
        path (str): File, URL or alias that mmengine can load.
        owner (str): Whose it is, for messages: ``'the teacher'``.

    Returns:
        Mapping[str, Any]: What is in it.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is no checkpoint, or cannot be fetched.
    """
    check_start(path, owner)
    try:
        loaded = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the checkpoint '{path}' of {owner} does not exist: train or "
            'convert it first, or correct the path'
        ) from None
    except Exception as error:  # unpickling raises whatever it likes
        raise ValueError(
            f"the checkpoint '{path}' of {owner} cannot be read: "
            f'{describe_error(error)}'.splitlines()[0]
        ) from error
    if not isinstance(loaded, Mapping):
        raise ValueError(
            f"'{path}' is no checkpoint of {owner}: it holds a "
            f'{type(loaded).__name__}'
        )
    return loaded


def deeper_layers(model: nn.Module, surplus: Iterable[str]) -> list[str]:
    """Find weights of further layers of a backbone.

    A ResNet-101 has all weights of a ResNet-50, in the same shapes; what they
    compute without the others means nothing. Heads are no such case: a
    detector may do without the masks, or without the last stages.

    Args:
        model (nn.Module): Has been loaded from a checkpoint.
        surplus (Iterable[str]): Keys of the checkpoint that it does not have.

    Returns:
        list[str]: Those that continue a sequence of layers in a backbone.
    """
    sequences = tuple(
        f'{name}.'
        for name, part in model.named_modules()
        if isinstance(part, (nn.Sequential, nn.ModuleList))
        and 'backbone' in name.split('.')
    )
    return [
        key
        for key in surplus
        for prefix in sequences
        if key.startswith(prefix)
        and key[len(prefix) :].partition('.')[0].isdecimal()
        and not _has(model, prefix + key[len(prefix) :].partition('.')[0])
    ]


def _has(model: nn.Module, path: str) -> bool:
    try:
        model.get_submodule(path)
    except AttributeError:
        return False
    return True
