"""Sampler whose stream of samples, random numbers included, can be resumed."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler

from mmxdistill.registry import DATA_SAMPLERS

__all__ = [
    'DrawIndex',
    'ResumableInfiniteSampler',
    'seed_draws',
]


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


def seed_draws(dataset: Any) -> None:
    """Make a data set draw each sample from the seed of its index.

    Data sets of other packages know nothing of :class:`DrawIndex`, and
    wrappers such as ``ClassBalancedDataset`` look the index of their data set
    up in a table, where the seed is lost. It is enough that the outermost
    seeds: what happens inside goes on with the seeded generators.

    Args:
        dataset (Dataset): It gets a sub-class of its class.
    """
    kind: Any = type(dataset)
    if not getattr(kind, 'seeds_draws', False) and hasattr(
        dataset, '__dict__'
    ):
        # As torch.nn.utils.parametrize does it: special methods are looked
        # up in the class.
        dataset.__class__ = _seeded(kind)


@cache
def _seeded(kind: Any) -> type:
    """Sub-class of a data set whose draws are seeded."""

    def get_item(self: Any, index: int) -> Any:
        if isinstance(index, DrawIndex):
            index.seed_generators()
        return kind.__getitem__(self, index)

    def get_items(self: Any, indices: list[int]) -> list[Any]:
        return [self[index] for index in indices]  # as a loader calls Subset

    def reduce(self: Any, _: int) -> tuple:
        plain = kind.__new__(kind)
        plain.__dict__.update(self.__dict__)
        return _restore, (plain,)  # pickle finds kind by its name

    members = dict(
        __doc__=kind.__doc__,
        __getitem__=get_item,
        __getitems__=get_items,
        __module__=kind.__module__,
        __reduce_ex__=reduce,
        seeds_draws=True,
    )
    return type(kind.__name__, (kind,), members)


def _restore(dataset: Any) -> Any:
    seed_draws(dataset)
    return dataset


@DATA_SAMPLERS.register_module()
class ResumableInfiniteSampler(InfiniteSampler):
    """Endless shuffled stream of :class:`DrawIndex`.

    The order is that of :class:`mmengine.dataset.InfiniteSampler`. The
    ``n``-th sample of a run is the same whether the run was stopped and
    resumed before it or not, for any number of workers, any data set and
    any wrapper around data sets: see :func:`seed_draws`.

    Args: see :class:`mmengine.dataset.InfiniteSampler`.
    """

    def __init__(self, dataset: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(dataset, *args, **kwargs)
        seed_draws(dataset)

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
