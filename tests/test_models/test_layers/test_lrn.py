import pytest
import torch
from golden import assert_close, leaf
from torch.nn import functional as F

from mmxdistill.registry import MODELS


def build(**kwargs):
    return MODELS.build(dict(type='mmxdistill.CaffeLRN', **kwargs))


@pytest.mark.golden
def test_golden(caffe_golden):
    meta, groups = caffe_golden('layer_lrn')
    assert meta
    for case, settings in meta.items():
        arrays = groups[case]
        bottom = leaf(arrays['bottom'])
        top = build(**settings)(bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        assert_close(top, arrays['top'], case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


def test_window_is_cut_at_the_first_and_last_channel():
    x = torch.tensor([1.0, 2, 3, 4]).view(1, 4, 1, 1)
    y = build(local_size=3, alpha=3.0, beta=1.0, k=2.0)(x).flatten()
    expected = [1 / (2 + 5), 2 / (2 + 14), 3 / (2 + 29), 4 / (2 + 25)]
    torch.testing.assert_close(y, torch.tensor(expected))


def test_fewer_channels_than_the_window():
    x = torch.tensor([3.0, 4]).view(1, 2, 1, 1)
    y = build(alpha=5.0, beta=0.5)(x).flatten()
    torch.testing.assert_close(y, torch.tensor([3.0, 4]) / 26**0.5)


def test_gradient_in_float64():
    torch.manual_seed(0)
    x = 100 * torch.randn(2, 7, 2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(build(), x.requires_grad_())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Squares of such activations overflow float16."""
    x = torch.linspace(0, 1500, 2 * 8 * 9).view(2, 8, 3, 3).to(dtype)
    expected = F.local_response_norm(x.float(), 5, 1e-4, 0.75, 1.0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = build()(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y, expected.to(dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    x = 300 * torch.randn(2, 16, 9, 11)
    torch.testing.assert_close(
        build()(x.cuda()).cpu(), build()(x), rtol=1e-5, atol=0
    )


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(local_size=4), 'local_size=4, expected an odd'),
        (dict(local_size=-1), 'local_size=-1, expected an odd'),
        (dict(local_size=2.5), 'local_size=2.5, expected an odd'),
        (dict(alpha=-1.0), 'alpha >= 0'),
        (dict(k=0), 'k > 0'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)
