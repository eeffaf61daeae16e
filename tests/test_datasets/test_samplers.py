import itertools
import pickle
import random

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler

from mmxdistill.datasets import DrawIndex, ResumableInfiniteSampler


def test_order_is_that_of_the_stock_sampler():
    data = range(7)
    ours = ResumableInfiniteSampler(data, seed=5)
    stock = InfiniteSampler(data, seed=5)
    assert list(itertools.islice(ours, 30)) == list(
        itertools.islice(stock, 30)
    )


def test_stream_continues_after_skip_with_the_same_seeds():
    data = range(7)
    whole = list(itertools.islice(ResumableInfiniteSampler(data, seed=5), 30))
    resumed = ResumableInfiniteSampler(data, seed=5)
    resumed.indices = itertools.islice(resumed._indices_of_rank(), 11, None)
    rest = list(itertools.islice(resumed, 19))
    assert rest == whole[11:]
    assert [i.seed for i in rest] == [i.seed for i in whole[11:]]
    assert len({i.seed for i in whole}) == len(whole)


def test_index_survives_pickle_and_wrappers():
    index = DrawIndex(12, seed=99)
    assert pickle.loads(pickle.dumps(index)).seed == 99
    for derived, value in ((index - 10, 2), (index % 5, 2)):
        assert derived == value
        assert derived.seed == 99


def test_all_generators_are_seeded():
    draws = []
    for _ in range(2):
        DrawIndex(0, seed=3).seed_generators()
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
