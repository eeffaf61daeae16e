"""What tells one network from another with the same weights."""

import json

import pytest
import torch
from torch import nn

from mmxdistill.models.features.extractor import FeatureExtractor
from mmxdistill.models.features.fingerprint import (
    architecture,
    differs,
    probe,
)


class Net(nn.Module):
    """Nothing of its pooling and its limit is in a module."""

    def __init__(self, ceil=False, limit=None, fixed=False):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.ceil, self.limit, self.fixed = ceil, limit, fixed
        self.end = nn.Identity()

    def forward(self, x):
        if self.fixed and x.shape[-1] % 32:
            raise AssertionError('multiples of 32 only')
        x = self.conv(x)
        for _ in range(4):
            x = nn.functional.max_pool2d(x, 2, ceil_mode=self.ceil)
        return (self.end(x if self.limit is None else x.clamp(max=40)),)


def found(divisor=1, std=(1.0,) * 3, **kwargs):
    extractor = FeatureExtractor(
        Net(**kwargs), ['backbone[0]'], 'teacher', divisor=divisor
    )
    return json.loads(json.dumps(probe(extractor, (100.0,) * 3, std)))


@pytest.mark.parametrize('other', [dict(ceil=True), dict(limit=40)])
def test_other_features(other):
    """At odd sizes, and for values as images have them."""
    assert differs(found(), found(**other))
    assert differs(found(**other), found())
    assert not differs(found(**other), found(**other))
    # Whatever the sizes of this run, the folder outlives it.
    assert differs(found(divisor=32), found(divisor=32, **other))


def test_network_that_takes_few_sizes():
    assert not differs(found(fixed=True), found(fixed=True))
    assert differs(found(fixed=True), found())


def test_architecture_is_that_on_any_device():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2), nn.ParameterList())
    net[1].append(nn.Parameter(torch.zeros(2)))
    rows = architecture(net)
    assert rows['0'] == 'Conv2d(1, 2, kernel_size=(3, 3), stride=(2, 2))'
    assert rows == architecture(net.to('meta'))
    assert list(rows) == ['', '0', '1']
