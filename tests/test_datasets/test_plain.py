import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmxdistill.datasets.plain import as_plain
from mmxdistill.encodings import PinholeCamera


class Setting:
    __slots__ = ('size',)

    def __init__(self, size):
        self.size = size

    def scaled(self, factor):
        return self.size * factor


class Nothing:
    pass


@pytest.mark.parametrize(
    ('one', 'other'),
    [
        (1, 2),
        (b'1', b'2'),
        ({1, 2}, {1}),
        (Path('a'), Path('b')),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.array([None, 1]), np.array([None, 2])),
        (torch.zeros(2), torch.ones(2)),
        (torch.float16, torch.float32),
        (range(2), range(3)),
        (PinholeCamera(1, 1, 1, 1), PinholeCamera(1, 1, 1, 2)),
        (Setting(1), Setting(2)),
        (Setting(1).scaled, Setting(2).scaled),
        (np.mean, np.max),
        (
            functools.partial(np.mean, axis=0),
            functools.partial(np.mean, axis=1),
        ),
        ([{'a': (1,)}], [{'a': (2,)}]),
    ],
)
def test_other_values_are_described_otherwise(one, other):
    told = as_plain(one)
    assert told == as_plain(one) == json.loads(json.dumps(told))
    assert told != as_plain(other)


def test_nothing_to_tell():
    assert as_plain(Nothing()) == ['Nothing', {}]


@pytest.mark.parametrize(
    'value',
    [lambda x: x, np.random.default_rng(0), [object()], iter([1])],
    ids=['lambda', 'generator', 'object', 'iterator'],
)
def test_what_cannot_be_told(value):
    with pytest.raises(ValueError, match='nobody can tell whether'):
        as_plain(value)
