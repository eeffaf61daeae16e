"""Reading a checkpoint file, or saying why it is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.runner.checkpoint import CheckpointLoader

from mmxdistill.parallel import describe_error

__all__ = ['read_checkpoint']


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
