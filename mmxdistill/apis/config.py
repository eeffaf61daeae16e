"""Reading of the config that a user names."""

from __future__ import annotations

import os
from typing import Any

from mmengine.config import Config

from mmxdistill import config_path
from mmxdistill.parallel import describe_error

__all__ = ['read_config']


def read_config(config: Any) -> Config:
    """Read a config.

    Args:
        config (str | PathLike | Config): A file, a name below the ``configs``
            of mmxdistill, or what was read.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: It cannot be read.
    """
    if isinstance(config, Config):
        return config
    name = os.fspath(config)
    if not os.path.isfile(name):
        name = config_path(name.removeprefix('configs/'))
    try:
        return Config.fromfile(name)
    except Exception as error:  # a config is a program
        raise ValueError(f'{name}: {describe_error(error)}') from error
