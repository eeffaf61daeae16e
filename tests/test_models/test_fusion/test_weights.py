import numpy as np
import pytest
import torch

from mmxdistill.models.fusion.weights import FusionWeights

LIKE = torch.zeros(1)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (None, [0.5, 0.5]),
        ([1, 1], [0.5, 0.5]),
        ([3, 1], [0.75, 0.25]),
        (dict(b=1, a=3), [0.75, 0.25]),
        ([0, 2.5], [0, 1]),
        (np.array([3, 1]), [0.75, 0.25]),
        (torch.tensor([3.0, 1.0]), [0.75, 0.25]),
        ([np.float32(3), np.int64(1)], [0.75, 0.25]),
    ],
)
def test_normalised(given, expected):
    weights = FusionWeights('ab', 2, given).of('ab', LIKE)
    assert weights == (expected, expected, expected)


def test_box_weights_are_their_own():
    weights = FusionWeights('ab', 2, [3, 1], box_weights=dict(a=1, b=4))
    assert weights.of('ab', LIKE).scores == [0.75, 0.25]
    assert weights.of('ab', LIKE).boxes == [0.2, 0.8]


def test_per_class():
    weights = FusionWeights('ab', 2, [[1, 0], 3]).of('ab', LIKE)
    assert [w.tolist() for w in weights.classes] == [[0.25, 0], [0.75, 1]]
    assert weights.scores == weights.boxes == [1 / 7, 6 / 7]


def test_without_some_streams():
    weights = FusionWeights('abc', 1, [1, 2, 3])
    assert weights.of('ac', LIKE).scores == [0.25, 0.75]
    # What counted for nothing counts when it is alone.
    assert FusionWeights('ab', 1, [0, 1]).of('a', LIKE).scores == [1]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(weights=[1.0]), "weights .1.0.: give one per stream .'a', 'b'"),
        (dict(weights=dict(a=1, c=2)), 'give one per stream'),
        (dict(weights=3), 'weights 3: give one per stream'),
        (dict(weights=[1, -1]), "weight -1 of stream 'b'"),
        (dict(weights=[1, float('nan')]), "weight nan of stream 'b'"),
        (dict(weights=[[1, 2, 3], 1]), 'list of 2, one per class'),
        (dict(weights=['x', 1]), "weight 'x'"),
        (dict(weights=[0, 0]), 'no stream has a positive weight'),
        (dict(weights=[[0, 1], [0, 1]]), 'no stream has a positive weight'),
        (dict(box_weights=[[1, 1], 1]), 'give a number of 0 or more'),
        (dict(box_weights=[0, 0]), 'no stream has a positive weight'),
    ],
)
def test_bad_weights(kwargs, message):
    with pytest.raises(ValueError, match=message):
        FusionWeights('ab', 2, **kwargs)
