import pytest
import torch

from mmxdistill.registry import MODELS


def test_default_widths() -> None:
    net = MODELS.build(dict(type='mmxdistill.VGG16'))
    count = sum(parameter.numel() for parameter in net.parameters())
    assert count == 14_714_688
    assert net.conv3_1.weight.shape == (256, 128, 3, 3)
    assert net.out_features == ('conv5_3',)


def test_pooling_rounds_up() -> None:
    net = MODELS.build(
        dict(
            type='mmxdistill.VGG16',
            channels=[1] * 5,
            in_channels=1,
            out_features=('conv5_3', 'pool5'),
        )
    )
    outs = net(torch.zeros(1, 1, 97, 65))
    assert [tuple(out.shape[2:]) for out in outs] == [(7, 5), (4, 3)]


def test_default_init_keeps_the_scale() -> None:
    torch.manual_seed(0)
    net = MODELS.build(dict(type='mmxdistill.VGG16', channels=[32] * 5))
    net.init_weights()
    std = (2 / (32 * 9)) ** 0.5
    assert net.conv4_2.weight.std().item() == pytest.approx(std, rel=0.05)
    assert (net.conv4_2.bias == 0).all()


def test_bad_widths() -> None:
    with pytest.raises(ValueError, match='five widths'):
        MODELS.build(dict(type='mmxdistill.VGG16', channels=(64, 128)))
