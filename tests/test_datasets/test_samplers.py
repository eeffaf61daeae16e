import copy
import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.dataset import BaseDataset, InfiniteSampler
from torch.utils.data import DataLoader
from torch.utils.data import Subset as TorchSubset

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


@MMDET_DATASETS.register_module()
class Noise(BaseDataset):
    """A stock data set: it knows nothing of seeds."""

    def load_data_list(self):
        return [dict(number=i) for i in range(5)]

    def prepare_data(self, idx):
        return self.get_data_info(idx)['number'], np.random.rand()

    def get_cat_ids(self, idx):
        return [min(idx, 1)]


NOISE = dict(type='Noise')


class Subset(TorchSubset):
    metainfo: dict = {}


@pytest.mark.parametrize(
    'config',
    [
        NOISE,
        dict(type='RepeatDataset', dataset=NOISE, times=2),
        dict(type='ConcatDataset', datasets=[NOISE, NOISE]),
        dict(type='ClassBalancedDataset', dataset=NOISE, oversample_thr=1.0),
        dict(type='MultiImageMixDataset', dataset=NOISE, pipeline=[]),
        None,
    ],
    ids=lambda config: config['type'] if config else 'Subset',
)
@pytest.mark.parametrize('workers', [0, 1])
def test_a_resumed_run_draws_the_same(config, workers):
    def run(start):
        """Samples from the start-th on, in a process that was new then."""
        dataset = (
            MMDET_DATASETS.build(config)
            if config
            else Subset(MMDET_DATASETS.build(NOISE), [3, 1, 2])
        )
        sampler = ResumableInfiniteSampler(dataset, seed=5)
        sampler.indices = itertools.islice(sampler.indices, start, None)
        np.random.seed(start)
        loader = DataLoader(
            dataset,
            batch_size=2,
            sampler=sampler,
            num_workers=workers,
            collate_fn=list,
        )
        batches = itertools.islice(loader, (12 - start) // 2)
        return [sample for batch in batches for sample in batch]

    whole = run(0)
    assert run(4) == whole[4:]
    assert len({noise for _, noise in whole}) == len(whole)


def test_a_seeded_data_set_is_what_it_was():
    dataset = MMDET_DATASETS.build(NOISE)
    for _ in range(2):
        ResumableInfiniteSampler(dataset, seed=5)
    assert isinstance(dataset, Noise)
    assert type(dataset).__name__ == 'Noise'
    index = DrawIndex(1, seed=3)
    first = dataset[index]
    for copied in (
        pickle.loads(pickle.dumps(dataset)),
        copy.deepcopy(dataset),
    ):
        assert copied[index] == first == dataset[index]
