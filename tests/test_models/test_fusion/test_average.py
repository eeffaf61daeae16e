import pytest
import torch

from mmxdistill.models.fusion.average import average, average_scores


@pytest.mark.parametrize('weights', [[1.0], [0.3, 0.7], [0.2, 0, 0.8]])
def test_weighted_mean(weights):
    generator = torch.Generator().manual_seed(0)
    tensors = torch.randn(len(weights), 4, 5, generator=generator).double()
    expected = sum(w * t for w, t in zip(weights, tensors, strict=True))
    torch.testing.assert_close(average(list(tensors), weights), expected)


def test_stream_of_weight_zero_comes_first():
    a, b = torch.zeros(3), torch.ones(3)
    assert average([a, b], [0.0, 1.0]).equal(b)
    assert average(
        [a, b], [torch.tensor([0, 1.0, 0]), 1 - torch.tensor([0, 1.0, 0])]
    ).tolist() == [1, 0, 1]


@pytest.mark.parametrize('weights', [[1 / 3] * 3, [0.1, 0.7, 0.2]])
def test_equal_outputs_stay_as_they_are(weights):
    x = torch.randn(1000) * 100
    assert average([x, x.clone(), x.clone()], weights).equal(x)


def test_structures():
    a = ([torch.ones(2), torch.zeros(1)], (torch.ones(1), None))
    b = ([torch.zeros(2), torch.ones(1)], (torch.ones(1), None))
    (x, y), (z, none) = average([a, b], [0.25, 0.75])
    assert x.tolist() == [0.25, 0.25] and y.tolist() == [0.75]
    assert z.tolist() == [1] and none is None


@pytest.mark.parametrize(
    ('a', 'b', 'message'),
    [
        (torch.ones(2), torch.ones(3), r'different shapes.*\(2,\).*\(3,\)'),
        ([torch.ones(2)], [torch.ones(2)] * 2, 'list of 1.*list of 2'),
        (torch.ones(2), None, 'different shapes.*NoneType'),
        (None, torch.ones(2), 'NoneType.*tensor'),
    ],
)
def test_structures_that_differ(a, b, message):
    with pytest.raises(ValueError, match=message):
        average([a, b], [0.5, 0.5])


def test_weights_per_class_ignore_the_constant_of_a_softmax():
    a, b = torch.randn(5, 4), torch.randn(5, 4)
    weights = [torch.tensor([0.2, 0.5, 0.9]), torch.tensor([0.8, 0.5, 0.1])]
    fused = average_scores([a, b], weights, background=True).softmax(-1)
    moved = average_scores([a + 3, b - 7], weights, background=True)
    torch.testing.assert_close(moved.softmax(-1), fused)
    # ... and equal ones are one weight per stream.
    even = [torch.full((3,), 0.3), torch.full((3,), 0.7)]
    torch.testing.assert_close(
        average_scores([a, b], even, background=True).softmax(-1),
        (0.3 * a + 0.7 * b).softmax(-1),
    )
