"""Opens the cache of the teachers' features when it is known to be right."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmxdistill.datasets.repeatable import describe_loading
from mmxdistill.engine.run_config import ConfigError
from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.models.detectors.teacher_cache import TeacherCache
from mmxdistill.registry import HOOKS

__all__ = ['TeacherCacheHook', 'open_cache']


@HOOKS.register_module()
class TeacherCacheHook(Hook):
    """Let a transfer use its ``teacher_cache``, if it has one.

    Before the first iteration it is made sure that the images of the training
    come again, and that the folder has features of these teachers; see
    :class:`mmxdistill.models.detectors.teacher_cache.TeacherCache`. New
    features are in files whenever a checkpoint is.
    """

    # What is wrong is said before a calibration.
    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Check and open.

        Args:
            runner (Runner): The runner.

        Raises:
            ConfigError: Images do not come again, or the folder is of
                something else.
        """
        model = _model(runner)
        if model is not None and model.teacher_cache is not None:
            cache = open_cache(model, runner.train_dataloader.dataset)
            runner.logger.info(
                f"teacher_cache: '{cache.path}' has {len(cache.store)} "
                f'entries, {cache.store.size() / 1e6:,.1f} MB'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write what is in memory only.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Not used.
        """
        self._flush(runner)

    def after_train(self, runner: Runner) -> None:
        """Write what is in memory only, and tell how it went.

        Args:
            runner (Runner): The runner.
        """
        cache = self._flush(runner)
        if cache is not None and cache.seen:
            runner.logger.info(
                f'teacher_cache: {cache.found:,} of {cache.seen:,} images '
                f'({cache.found / cache.seen:.1%}) had their features there'
            )

    @staticmethod
    def _flush(runner: Runner) -> TeacherCache | None:
        model = _model(runner)
        cache = None if model is None else model.teacher_cache
        if cache is not None:
            cache.flush()
        return cache


def open_cache(model: SupervisionTransfer, dataset: Any) -> TeacherCache:
    """Open the cache of a transfer for a data set.

    Args:
        model (SupervisionTransfer): With a ``teacher_cache``.
        dataset (Dataset): That of the training.

    Returns:
        TeacherCache: Open.

    Raises:
        ConfigError: Images do not come again, or the folder is of something
            else or cannot be used.
    """
    cache = model.teacher_cache
    if cache is None:
        raise ConfigError(
            'the model has no teacher_cache: set model.teacher_cache.path'
        )
    try:
        loading = describe_loading(dataset, cache.reads)
    except ValueError as error:
        raise ConfigError(f'teacher_cache: {error}') from None
    try:
        cache.open(model, loading)
    except (OSError, ValueError) as error:
        raise ConfigError(str(error)) from error
    return cache


def _model(runner: Runner) -> SupervisionTransfer | None:
    model = runner.model
    if is_model_wrapper(model):
        model = model.module
    return model if isinstance(model, SupervisionTransfer) else None
