"""Reading this package's configs."""

from __future__ import annotations

from functools import cache

from mmengine.config import Config
from mmengine.logging import MMLogger

from mmxdistill import config_path

__all__ = ['load_config']


@cache
def load_config(config: str) -> Config:
    """Read a config below ``configs/``, once.

    Without mmengine's note on each variable of the environment that a config
    takes: it goes to the standard output, which lists commands.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        return Config.fromfile(config_path(config))
    finally:
        logger.setLevel(level)
