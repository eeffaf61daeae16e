import pytest
import torch
from torch.nn import functional as F

from mmxdistill.registry import MODELS


def test_parameters_and_default_widths() -> None:
    net = MODELS.build(dict(type='mmxdistill.CaffeNet'))
    shapes = {key: tuple(p.shape) for key, p in net.state_dict().items()}
    assert shapes == {
        'conv1.weight': (96, 3, 11, 11),
        'conv1.bias': (96,),
        'conv2.weight': (256, 48, 5, 5),
        'conv2.bias': (256,),
        'conv3.weight': (384, 256, 3, 3),
        'conv3.bias': (384,),
        'conv4.weight': (384, 192, 3, 3),
        'conv4.bias': (384,),
        'conv5.weight': (256, 192, 3, 3),
        'conv5.bias': (256,),
    }
    assert net.out_features == ('conv5',)


def test_default_init_is_the_released_hha_filler() -> None:
    torch.manual_seed(0)
    net = MODELS.build(dict(type='mmxdistill.CaffeNet', geometry='hha'))
    net.init_weights()
    for i, bias in enumerate((0, 1, 0, 1, 1), start=1):
        conv = getattr(net, f'conv{i}')
        assert (conv.bias == bias).all()
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.03)
        assert abs(conv.weight.mean()) < 2e-4


@pytest.mark.parametrize(
    ('geometry', 'conv5', 'pool5'),
    [('rgb', (44, 58), (22, 29)), ('hha', (43, 57), (21, 28))],
)
def test_geometry(
    geometry: str, conv5: tuple[int, int], pool5: tuple[int, int]
) -> None:
    """Sizes of a 688 x 907 image: a 425 x 560 NYUD2 image, enlarged."""
    net = MODELS.build(
        dict(
            type='mmxdistill.CaffeNet',
            channels=[2] * 5,
            geometry=geometry,
            in_channels=1,
            out_features=('conv5', 'pool5'),
        )
    )
    outs = net(torch.zeros(1, 1, 688, 907))
    assert [tuple(out.shape[2:]) for out in outs] == [conv5, pool5]


def test_lrn_survives_half_precision() -> None:
    """Squares of such activations overflow float16."""
    net = MODELS.build(dict(type='mmxdistill.CaffeNet', channels=[8] * 5))
    x = torch.linspace(0, 1500, 2 * 8 * 9).view(2, 8, 3, 3)
    expected = F.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1.0)
    y = net.norm1(x.half())
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.float(), expected, rtol=2e-3, atol=1e-2)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(geometry='depth'), "'rgb', 'hha'"),
        (dict(channels=(8, 16, 12, 12)), 'five even'),
        (dict(channels=(8, 15, 12, 12, 8)), 'five even'),
    ],
)
def test_bad_arguments(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='mmxdistill.CaffeNet', **kwargs))
