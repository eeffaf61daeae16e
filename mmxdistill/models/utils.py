"""Weights of networks that are parts of a larger model."""

from __future__ import annotations

import logging
import os.path as osp
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmxdistill import config_path
from mmxdistill.registry import MODELS

__all__ = ['build_network', 'load_weights']

_SHOWN = 5


def build_network(cfg: dict | str) -> Any:
    """Build a network from its config, or from a config file's ``model``.

    Args:
        cfg (dict | str): Model or backbone config, or a config file: a path,
            or relative to the ``configs`` of mmxdistill.

    Returns:
        nn.Module: The network.
    """
    if isinstance(cfg, str):
        path = cfg if osp.isfile(cfg) else config_path(cfg)
        cfg = Config.fromfile(path).model
    return MODELS.build(ConfigDict(cfg))


def load_weights(network: nn.Module, checkpoint: str, role: str) -> None:
    """Load all weights of a network from a checkpoint, or fail.

    A backbone also loads from the checkpoint of a detector that contains it
    (keys ``backbone.*``). Surplus weights, such as heads, are ignored.

    Args:
        network (nn.Module): The network.
        checkpoint (str): File, URL or alias that mmengine can load.
        role (str): What the network is, for messages: ``'teacher'``.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: Weights are missing or have other shapes.
    """
    try:
        loaded = CheckpointLoader.load_checkpoint(
            checkpoint, map_location='cpu'
        )
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the checkpoint '{checkpoint}' of the {role} does not exist: "
            'train or convert it first, or correct the path'
        ) from None
    state: dict[str, Tensor] = loaded.get('state_dict', loaded)
    wanted = network.state_dict()
    state = max(
        ({k.removeprefix(p): v for k, v in state.items()} for p in _PREFIXES),
        key=lambda candidate: len(candidate.keys() & wanted.keys()),
    )
    missing = [
        key
        for key in wanted
        if key not in state and not key.endswith('num_batches_tracked')
    ]
    reshaped = [
        f'{key}: {tuple(state[key].shape)} in the file, '
        f'{tuple(value.shape)} in the {role}'
        for key, value in wanted.items()
        if key in state and state[key].shape != value.shape
    ]
    if missing or reshaped:
        raise ValueError(
            f"the weights in '{checkpoint}' do not fit the {role} "
            f'{type(network).__name__}: {len(missing)} missing '
            f'{missing[:_SHOWN]}, {len(reshaped)} of another shape '
            f'{reshaped[:_SHOWN]}; the file has {list(state)[:_SHOWN]} ... '
            f'Use the config that the file was trained with'
        )
    network.load_state_dict(
        {key: value for key, value in state.items() if key in wanted},
        strict=False,
    )
    surplus = [key for key in state if key not in wanted]
    print_log(
        f"loaded the {role} from '{checkpoint}'"
        + (f' ({len(surplus)} other weights not used)' if surplus else ''),
        logger='current',
        level=logging.INFO,
    )


_PREFIXES = ('', 'backbone.')
