"""Sampler whose stream of samples, random numbers included, can be resumed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler

from mmxdistill.registry import DATA_SAMPLERS

__all__ = ['DrawIndex', 'ResumableInfiniteSampler']


class DrawIndex(int):
    """Sample index that carries the seed of its own random augmentation.

    A data-loading worker that is restarted by ``--resume`` has lost the state
    of its random generators. If the randomness of a sample depends on the
    position of the draw alone, there is no state to lose.

    Args:
        index (int): Index of the sample in the data set.
        seed (int): Seed of the augmentation of this draw.
    """

    seed: int

    def __new__(cls, index: int, seed: int) -> DrawIndex:
        """Create the index; ``int`` is immutable."""
        self = super().__new__(cls, index)
        self.seed = seed
        return self

    def __getnewargs__(self) -> tuple[int, int]:  # type: ignore[override]
        """Arguments with which pickle rebuilds the index in a worker."""
        return int(self), self.seed

    def __sub__(self, other: int) -> DrawIndex:
        """``ConcatDataset`` subtracts the offset of the sub-set."""
        return DrawIndex(int(self) - other, self.seed)

    def __mod__(self, other: int) -> DrawIndex:
        """``RepeatDataset`` takes the remainder."""
        return DrawIndex(int(self) % other, self.seed)

    def seed_generators(self) -> None:
        """Seed ``random``, NumPy's and PyTorch's global generators."""
        random.seed(self.seed)
        np.random.seed(self.seed)  # noqa: NPY002 - what mmcv draws from
        torch.manual_seed(self.seed)


@DATA_SAMPLERS.register_module()
class ResumableInfiniteSampler(InfiniteSampler):
    """Endless shuffled stream of :class:`DrawIndex`.

    The order is that of :class:`mmengine.dataset.InfiniteSampler`. With a
    data set that honours :class:`DrawIndex` (:class:`PairedDataset`,
    :class:`PairedCocoDataset`), the ``n``-th sample of a run is the same
    whether the run was stopped and resumed before it or not, for any number
    of workers.

    Args: see :class:`mmengine.dataset.InfiniteSampler`.
    """

    def _indices_of_rank(self) -> Iterator[int]:
        draws = itertools.islice(
            enumerate(self._infinite_indices()),
            self.rank,
            None,
            self.world_size,
        )
        for draw, index in draws:
            seed = np.random.SeedSequence((self.seed, draw))
            yield DrawIndex(index, int(seed.generate_state(1)[0]))
