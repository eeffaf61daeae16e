"""Random numbers of a training step that do not depend on its past."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmxdistill.registry import HOOKS

__all__ = ['IterationSeedHook']


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed the generators of the main process before every training step.

    Dropout and the sampling of RoIs then depend on the iteration alone, so a
    run that was stopped and resumed gives the same result as one that was
    not. (Checkpoints of mmengine hold no state of the random generators.)
    The data's share is :class:`ResumableInfiniteSampler`'s.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Seed ``random``, NumPy and PyTorch from (seed, rank, iteration).

        Args:
            runner (Runner): The runner.
            batch_idx (int): Not used.
            data_batch (Any): Not used.
        """
        sequence = np.random.SeedSequence(
            (int(runner.seed or 0), get_rank(), runner.iter)
        )
        seed = int(sequence.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - what mmdet draws from
        torch.manual_seed(seed)
