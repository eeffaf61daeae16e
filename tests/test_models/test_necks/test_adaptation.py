import pytest
import torch

from mmxdistill.registry import MODELS


@pytest.mark.parametrize('shape', [(2, 6, 5, 4), (7, 6)])
def test_is_one_linear_map_with_relu(shape):
    neck = MODELS.build(
        dict(type='mmxdistill.AdaptationNeck', in_channels=6, out_channels=3)
    )
    neck.init_weights()
    conv = neck.conv
    assert conv.kernel_size == (1, 1)
    assert 0 < conv.weight.std() < 0.05 and (conv.bias == 0).all()
    x = torch.randn(shape)
    expected = torch.einsum('oi,ni...->no...', conv.weight[..., 0, 0], x)
    torch.testing.assert_close(neck(x), expected.relu())
