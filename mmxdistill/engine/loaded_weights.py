"""What a run takes from the checkpoint that it starts from."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from torch import nn

from mmxdistill.models.checkpoints import deeper_layers

__all__ = ['check_file', 'watch_loading']

_SHOWN = 3
# How torch reports it, after whatever a part does to fit a weight.
_RESHAPED = re.compile(r'size mismatch for (\S+):')
_STATISTICS = ('running_mean', 'running_var')


def check_file(path: str) -> None:
    """Check that what ``load_from`` names is there.

    Args:
        path (str): File, URL or alias that mmengine can load; or a folder,
            as some strategies save.

    Raises:
        FileNotFoundError: It does not exist.
    """
    if '://' not in path and not Path(path).exists():
        raise FileNotFoundError(
            f"load_from: the checkpoint '{path}' does not exist: train or "
            'convert it first, or correct the path'
        )


def watch_loading(
    model: nn.Module,
    path: str,
    whole: bool,
    error: type[Exception],
    loaded: Collection[str] = (),
) -> None:
    """Let the loading of a checkpoint fail if it does not fit the model.

    mmengine only warns, and the run goes on from random weights.

    Args:
        model (nn.Module): Loads the checkpoint later.
        path (str): Of the checkpoint, for messages.
        whole (bool): All weights must come from it, as for a test, and it
            must not be of a deeper backbone. Otherwise at least one weight.
        error (type[Exception]): What the loading then raises.
        loaded (Collection[str]): Parts that have weights of their own files
            already, and may do without: ``'streams.rgb'``.
    """
    weights = [name for name, _ in model.named_parameters()]
    if whole:
        weights += [
            name
            for name, _ in model.named_buffers()
            if name.endswith(_STATISTICS)
        ]
    own = tuple(f'{part}.' for part in loaded)
    mismatches: list[list[str]] = []

    def begin(*args: Any) -> None:
        mismatches[:] = [args[6]]  # torch's error messages; are added to

    def end(_: nn.Module, keys: Any) -> None:
        # A model may do without some, and takes them off the list.
        absent = set(keys.missing_keys)
        found = [_RESHAPED.match(text) for text in mismatches[0]]
        other = {match[1] for match in found if match}
        missing = [
            name
            for name in weights
            if name in absent and not (whole and name.startswith(own))
        ]
        reshaped = [name for name in weights if name in other]
        wrong = len(missing) + len(reshaped)
        if wrong and (whole or wrong == len(weights)):
            raise error(
                f"the checkpoint '{path}' does not fit the model "
                f'{type(model).__name__}: of {len(weights)} weights, '
                f'{len(missing)} are missing {missing[:_SHOWN]} and '
                f'{len(reshaped)} have another shape {reshaped[:_SHOWN]}, '
                'which would leave them random. Use the config that it was '
                'trained with'
            )
        deeper = deeper_layers(model, keys.unexpected_keys)
        if whole and deeper:
            raise error(
                f"the checkpoint '{path}' is of a deeper backbone than that "
                f'of the model {type(model).__name__}, which has no '
                f'{deeper[:_SHOWN]}. Use the config that it was trained with'
            )

    model._register_load_state_dict_pre_hook(begin)
    model.register_load_state_dict_post_hook(end)
