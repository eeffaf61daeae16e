import numpy as np
import pytest
import torch
from golden import leaf

from mmxdistill.registry import MODELS


def build(kernel_size, stride, padding=0):
    return MODELS.build(
        dict(
            type='mmxdistill.CaffeMaxPool',
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
        )
    )


def argmax(layer, x):
    """The layer's own arg-max, y * W + x."""
    layer.return_indices = True
    return layer(x)[1]


@pytest.mark.golden
def test_golden(caffe_golden):
    """Values, arg-max and gradients, exactly; ties as well."""
    meta, groups = caffe_golden('layer_pooling')
    cases = [case for case in meta if 'bottom' in groups[case]]
    assert any('ties' in meta[case] for case in cases)
    for case in cases:
        arrays = groups[case]
        settings = [meta[case][k] for k in ('kernel', 'stride', 'pad')]
        layer = build(*settings)
        bottom = leaf(arrays['bottom'])
        top = layer(bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        np.testing.assert_array_equal(top.detach(), arrays['top'], case)
        np.testing.assert_array_equal(bottom.grad, arrays['bottom_diff'], case)
        np.testing.assert_array_equal(
            argmax(layer, bottom), arrays['argmax'], case
        )


@pytest.mark.golden
def test_golden_sizes(caffe_golden):
    meta, groups = caffe_golden('layer_pooling')
    cases = [case for case in meta if 'extent_in' in groups[case]]
    assert cases
    for case in cases:
        layer = build(*(meta[case][k] for k in ('kernel', 'stride', 'pad')))
        sizes = [
            layer(torch.zeros(1, 1, n, n)).shape[2:]
            for n in groups[case]['extent_in'].tolist()
        ]
        expected = groups[case]['extent_out'].tolist()
        assert sizes == [(n, n) for n in expected], case


def test_last_window_in_the_padding_is_dropped():
    # Windows start at -1, 1, 3, 5; the one at 5 has no cell of the input.
    assert build(2, 2, 1)(torch.zeros(1, 1, 5, 6)).shape[2:] == (3, 4)
    # Without padding the last window is always kept, cut to its cells.
    x = torch.arange(25.0).view(1, 1, 5, 5)
    pooled = build(2, 2)(x).flatten().tolist()
    assert pooled == [6, 8, 9, 16, 18, 19, 21, 23, 24]


@pytest.mark.parametrize(
    'layout', [torch.contiguous_format, torch.channels_last]
)
def test_first_of_equal_maxima_wins(layout):
    x = torch.ones(1, 4, 5, 5).to(memory_format=layout).requires_grad_()
    layer = build(3, 2, 1)
    layer(x).sum().backward()
    first = [0, 1, 3, 5, 6, 8, 15, 16, 18]
    assert x.grad.flatten(2).nonzero()[:, 2].tolist() == first * 4
    assert argmax(layer, x).flatten().tolist() == first * 4


def test_padding_is_never_a_maximum():
    x = torch.full((1, 1, 4, 4), -7.0)
    assert (build(3, 2, 1)(x) == -7).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    x = torch.randn(2, 5, 23, 34).round()  # with ties
    for settings in ((3, 2), (3, 2, 1), (2, 2)):
        results = []
        for device in ('cpu', 'cuda'):
            source = x.to(device).requires_grad_()
            layer = build(*settings)
            top = layer(source)
            top.sum().backward()
            found = top.detach(), source.grad, argmax(layer, source)
            results.append([tensor.cpu() for tensor in found])
        assert all(map(torch.equal, *results))


@pytest.mark.parametrize(
    'settings',
    [(2, 3, 1), (3, 0, 1), (3, 2, 2), (3, 2, -1), (0, 0, 0), (2.0, 2, 0)],
)
def test_bad_arguments(settings):
    with pytest.raises(ValueError, match='expected integers with 1 <= stri'):
        build(*settings)
