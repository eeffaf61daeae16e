import pytest
import torch

from mmxdistill.registry import MODELS


@pytest.mark.parametrize(
    ('version', 'count', 'pooled'),
    [
        ('1.0', 1_248_424, {'pool1', 'pool4', 'pool8', 'pool10'}),
        ('1.1', 1_235_496, {'pool1', 'pool3', 'pool5', 'pool10'}),
    ],
)
def test_versions(version: str, count: int, pooled: set[str]) -> None:
    net = MODELS.build(
        dict(type='mmxdistill.SqueezeNet', version=version, num_classes=1000)
    )
    assert sum(parameter.numel() for parameter in net.parameters()) == count
    assert {n for n in net.feature_names if 'pool' in n} == pooled
    assert net.feature_channels('fire9') == 512


@pytest.mark.parametrize('feature', ['conv10', 'pool10'])
def test_classifier_only_if_asked_for(feature: str) -> None:
    plain = MODELS.build(dict(type='mmxdistill.SqueezeNet'))
    assert not any('conv10' in key for key in plain.state_dict())
    with pytest.raises(ValueError, match=feature):
        plain.out_features = (feature,)
    net = MODELS.build(
        dict(type='mmxdistill.SqueezeNet', out_features=(feature,))
    )
    assert net.conv10.out_channels == 1000


def test_dropout_is_for_training_the_classifier() -> None:
    """As in Caffe; the feature fire9 is the blob before dropout."""
    net = MODELS.build(
        dict(type='mmxdistill.SqueezeNet', out_features=('fire9', 'conv10'))
    )
    x = torch.rand(1, 3, 64, 64)
    first, again = net.train()(x), net(x)
    assert first[0].equal(again[0])
    assert not first[1].equal(again[1])
    first, again = net.eval()(x), net(x)
    assert first[1].equal(again[1])


def test_bad_version() -> None:
    with pytest.raises(ValueError, match=r"'1.0', '1.1'"):
        MODELS.build(dict(type='mmxdistill.SqueezeNet', version='2.0'))
