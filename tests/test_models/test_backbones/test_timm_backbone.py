"""Skipped where timm cannot be imported; it needs torchvision."""

import pytest
import torch

from mmxdistill.models.features import FeatureExtractor
from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

try:
    import timm  # noqa: F401
except ImportError as error:
    pytest.skip(f'no timm: {error}', allow_module_level=True)


@pytest.mark.parametrize(
    ('name', 'kwargs', 'shape'),
    [
        ('vit_tiny_patch16_224', dict(out_indices=(1,)), (192, 4, 6)),
        (
            'vit_small_patch14_reg4_dinov2.lvd142m',
            dict(out_indices=(0,)),
            (384, 5, 7),
        ),
        ('swin_tiny_patch4_window7_224', dict(out_indices=(1,)), (192, 8, 12)),
        ('convnext_atto', dict(out_indices=(2,)), (160, 4, 6)),
        ('resnet18', dict(out_indices=(2,)), (128, 8, 12)),
    ],
)
def test_maps(name, kwargs, shape):
    net = MODELS.build(
        dict(type='mmxdistill.TimmBackbone', model_name=name, **kwargs)
    )
    extractor = FeatureExtractor(net, ['backbone'], 'teacher')
    feature = extractor(torch.rand(2, 3, 64, 96))['backbone']
    assert feature.shape == (2, *shape)
    assert net.init_weights() is None


def test_preprocessing_is_that_of_the_weights():
    found = resolve_network(
        dict(type='mmxdistill.TimmBackbone', model_name='vit_tiny_patch16_224')
    )
    assert found.preprocessing.bgr_to_rgb
    assert found.preprocessing.mean == pytest.approx((127.5,) * 3)


def test_other_channels():
    net = MODELS.build(
        dict(type='mmxdistill.TimmBackbone', model_name='resnet18', in_chans=4)
    )
    assert net.eval()(torch.rand(1, 4, 32, 32))[0].shape[1] == 64
