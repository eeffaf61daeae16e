"""What a run takes from the checkpoint that it starts from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

__all__ = ['check_file', 'watch_loading']

_SHOWN = 3


def check_file(path: str) -> None:
    """Check that the file of ``load_from`` is there.

    Args:
        path (str): File, URL or alias that mmengine can load.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    if '://' not in path and not Path(path).is_file():
        raise FileNotFoundError(
            f"load_from: the checkpoint '{path}' does not exist: train or "
            'convert it first, or correct the path'
        )


def watch_loading(
    model: nn.Module, path: str, whole: bool, error: type[Exception]
) -> None:
    """Let the loading of a checkpoint fail if it does not fit the model.

    mmengine only warns, and the run goes on from random weights.

    Args:
        model (nn.Module): Loads the checkpoint later.
        path (str): Of the checkpoint, for messages.
        whole (bool): All weights must come from it, as for a test. Otherwise
            at least one.
        error (type[Exception]): What the loading then raises.
    """
    shapes = {n: w.shape for n, w in model.named_parameters()}
    reshaped: list[str] = []

    def begin(state: dict[str, Tensor], prefix: str, *_: Any) -> None:
        reshaped[:] = [
            name
            for name, shape in shapes.items()
            if prefix + name in state and state[prefix + name].shape != shape
        ]

    def end(_: nn.Module, keys: Any) -> None:
        # A model may do without some, and takes them off the list.
        absent = [name for name in shapes if name in keys.missing_keys]
        wrong = len(absent) + len(reshaped)
        if wrong and (whole or wrong == len(shapes)):
            raise error(
                f"the checkpoint '{path}' does not fit the model "
                f'{type(model).__name__}: of {len(shapes)} weights, '
                f'{len(absent)} are missing {absent[:_SHOWN]} and '
                f'{len(reshaped)} have another shape {reshaped[:_SHOWN]}, '
                'which would leave them random. Use the config that it was '
                'trained with'
            )

    pre_hook: Callable = model._register_load_state_dict_pre_hook
    pre_hook(begin)
    model.register_load_state_dict_post_hook(end)
