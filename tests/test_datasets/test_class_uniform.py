import itertools
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from mmdet.structures import DetDataSample
from mmengine.dataset import BaseDataset

from mmxdistill.datasets import (
    ClassUniformDataset,
    ClassUniformSampler,
    DrawIndex,
    class_uniform,
)
from mmxdistill.datasets.sample_boxes import SampleBoxes

# Class and proposals of the objects of four images: class 0 in two, class 2
# in one; nothing in the last.
BOX = np.array([10, 10, 49, 49.0])
NEAR = BOX + np.array([2, 0, 0, 0])
FAR = BOX + np.array([0, 0, 0, 40])
IMAGES = [([0], [NEAR, FAR]), ([0, 2], [NEAR]), ([2], [FAR]), ([], [FAR])]


class Data(BaseDataset):
    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [dict(instances=[]) for _ in IMAGES]

    def __getitem__(self, index):
        sample = DetDataSample(metainfo=dict(image=int(index)))
        return dict(data_samples=sample, seed=getattr(index, 'seed', None))


def boxes_of(labels, proposals):
    gt = np.array([BOX + 100 * i for i, _ in enumerate(labels)]).reshape(-1, 4)
    return SampleBoxes(
        gt, np.array(labels, int), np.array(proposals).reshape(-1, 4), {}
    )


@pytest.fixture
def dataset(monkeypatch):
    monkeypatch.setattr(
        class_uniform,
        'map_boxes',
        lambda function, *_: [function(boxes_of(*i)) for i in IMAGES],
    )
    return ClassUniformDataset(Data())


def test_items_are_boxes_class_by_class(dataset):
    # Class 0: object and its near proposal in both images; class 2: objects.
    assert dataset.class_sizes.tolist() == [4, 0, 2]
    assert dataset.metainfo['classes'] == ('a', 'b', 'c')
    found = [dataset[i]['data_samples'] for i in range(len(dataset))]
    assert [(s.region_class, s.image) for s in found] == [
        (0, 0),
        (0, 0),
        (0, 1),
        (0, 1),
        (2, 1),
        (2, 2),
    ]
    assert dataset[DrawIndex(5, 77)]['seed'] == 77


def test_classes_and_then_their_boxes_are_drawn_uniformly(dataset):
    sampler = ClassUniformSampler(dataset, seed=3)
    draws = list(itertools.islice(sampler, 6000))
    counts = Counter(map(int, draws))
    for item, share in ((0, 1 / 8), (3, 1 / 8), (4, 1 / 4), (5, 1 / 4)):
        assert counts[item] / 6000 == pytest.approx(share, abs=0.02)
    assert len({draw.seed for draw in draws}) == len(draws)
    # Ranks share the stream, and the n-th draw is always the same.
    parts = []
    for rank in range(2):
        part = ClassUniformSampler(dataset, seed=3)
        part.rank, part.world_size = rank, 2
        parts.append(list(itertools.islice(part._indices_of_rank(), 100)))
    assert [i for both in zip(*parts, strict=True) for i in both] == draws[
        :200
    ]


class Noise(Data):
    """A stock data set: it knows nothing of seeds."""

    def __getitem__(self, index):
        return super().__getitem__(index) | dict(noise=np.random.rand())


def test_a_resumed_run_draws_the_same_of_any_data_set(dataset):
    dataset = ClassUniformDataset(Noise())
    draw = next(iter(ClassUniformSampler(dataset, seed=3)))
    assert dataset[draw]['noise'] == dataset[draw]['noise']


def test_bad_data(dataset, monkeypatch):
    with pytest.raises(TypeError, match='found SimpleNamespace'):
        ClassUniformSampler(SimpleNamespace())
    monkeypatch.setattr(
        class_uniform, 'map_boxes', lambda *_: [np.zeros(3, int)] * 4
    )
    with pytest.raises(ValueError, match='no sample has an object'):
        ClassUniformDataset(Data())
