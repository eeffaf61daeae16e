"""With a stand-in for timm, and with timm where it can be imported."""

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmxdistill.models.features import FeatureExtractor
from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

try:  # needs torchvision
    import timm
except ImportError:
    timm = None

CASES = {
    'vit_tiny_patch16_224': ((1,), (192, 4, 6)),
    'vit_small_patch14_reg4_dinov2.lvd142m': ((0,), (384, 5, 7)),
    'swin_tiny_patch4_window7_224': ((1,), (192, 8, 12)),
    'convnext_atto': ((2,), (160, 4, 6)),
    'resnet18': ((2,), (128, 8, 12)),
}


def build(name, **kwargs):
    return MODELS.build(
        dict(type='mmxdistill.TimmBackbone', model_name=name, **kwargs)
    )


class Swinlike(nn.Module):
    output_fmt = 'NHWC'

    def __init__(self, model_name, strict_img_size=True, **options):
        super().__init__()
        if 'dynamic_img_size' in options:
            raise TypeError("unexpected keyword argument 'dynamic_img_size'")
        self.options = dict(strict_img_size=strict_img_size, **options)
        self.conv = nn.Conv2d(options.get('in_chans', 3), 8, 4, 4)

    def forward(self, x):
        return [self.conv(x).permute(0, 2, 3, 1)]


@pytest.fixture
def stand_in(monkeypatch):
    found = SimpleNamespace(mean=(0.5,) * 3, std=(0.25,) * 3)
    monkeypatch.setitem(
        sys.modules,
        'timm',
        SimpleNamespace(
            create_model=Swinlike, get_pretrained_cfg=lambda name: found
        ),
    )


def test_switches_of_the_family_and_layout(stand_in):
    net = build('swin', pretrained=True, out_indices=[2], in_chans=4)
    assert net.net.options == dict(
        strict_img_size=False,
        pretrained=True,
        features_only=True,
        out_indices=(2,),
        in_chans=4,
    )
    assert net(torch.rand(1, 4, 16, 24))[0].shape == (1, 8, 4, 6)


def test_preprocessing_is_that_of_the_weights(stand_in):
    found = resolve_network(
        dict(type='mmxdistill.TimmBackbone', model_name='x')
    )
    assert found.preprocessing == ((127.5,) * 3, (63.75,) * 3, True)


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=r'mmxdistill\[timm\]'):
        build('resnet18')


def test_maps_of_timm():
    for name, (indices, shape) in CASES.items() if timm else ():
        net = build(name, out_indices=indices)
        extractor = FeatureExtractor(net, ['backbone'], 'teacher')
        feature = extractor(torch.rand(2, 3, 64, 96))['backbone']
        assert feature.shape == (2, *shape), name
