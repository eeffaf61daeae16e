from collections.abc import Callable

import numpy as np
import pytest

from mmxdistill.caffe.nets import Blobs, find_problems, identify

Layers = dict[str, Blobs]


def layer(*shape: int) -> Blobs:
    return np.zeros(shape, 'f4'), np.zeros(shape[0], 'f4')


def caffenet_detector(classes: int = 3) -> Layers:
    return {
        'conv1': layer(4, 3, 11, 11),
        'conv2': layer(8, 2, 5, 5),
        'conv3': layer(6, 8, 3, 3),
        'conv4': layer(6, 3, 3, 3),
        'conv5': layer(4, 3, 3, 3),
        'fc6': layer(10, 4 * 6 * 6),
        'fc7': layer(12, 10),
        'cls_score': layer(classes, 12),
        'bbox_pred': layer(4 * classes, 12),
    }


def squeezenet(kernel: int) -> Layers:
    layers = {'conv1': layer(4, 3, kernel, kernel)}
    width = 4
    for i in range(2, 10):
        layers[f'fire{i}/squeeze1x1'] = layer(2, width, 1, 1)
        layers[f'fire{i}/expand1x1'] = layer(3, 2, 1, 1)
        layers[f'fire{i}/expand3x3'] = layer(5, 2, 3, 3)
        width = 8
    layers['conv10'] = layer(7, 8, 1, 1)
    return layers


def problems(layers: Layers) -> list[str]:
    net = identify(layers)
    assert net is not None
    return find_problems(net, layers, 'x_{}'.format)


@pytest.mark.parametrize(
    ('layers', 'name'),
    [
        (caffenet_detector(), 'CaffeNet'),
        ({'conv1_1': layer(2, 3, 3, 3), 'conv1_2': ()}, 'VGG16'),
        (squeezenet(7), "SqueezeNet(version='1.0')"),
        (squeezenet(3), "SqueezeNet(version='1.1')"),
    ],
)
def test_identify(layers: Layers, name: str) -> None:
    net = identify({k: v for k, v in layers.items() if v})
    assert net is not None
    assert net.name == name


def test_identify_nothing() -> None:
    assert identify({'layer1': layer(2, 3, 3, 3)}) is None
    assert identify({}) is None


@pytest.mark.parametrize('layers', [caffenet_detector(), squeezenet(3)])
def test_complete_networks(layers: Layers) -> None:
    assert problems(layers) == []


def test_parts_that_may_be_absent() -> None:
    convs = {k: v for k, v in caffenet_detector().items() if 'conv' in k}
    assert problems(convs) == []
    classifier = convs | {
        'fc6': layer(10, 144),
        'fc7': layer(12, 10),
        'fc8': layer(5, 12),
    }
    assert problems(classifier) == []
    layers = squeezenet(3)
    del layers['conv10']
    assert problems(layers) == []


def drop(*names: str) -> Callable[[Layers], None]:
    return lambda layers: [layers.pop(name) for name in names] and None


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (drop('conv3', 'fc7'), ['missing: x_conv3', 'missing: x_fc7']),
        (drop('cls_score'), ['missing: x_cls_score']),
        (
            {'conv2': layer(8, 4, 5, 5)},  # without groups
            [
                'wrong shape: x_conv2 is (8, 4, 5, 5) and (8,), '
                'expected (8, 2, 5, 5) and (8,)'
            ],
        ),
        (
            {'conv3': layer(6, 8, 5, 5)},
            [
                'wrong shape: x_conv3 is (6, 8, 5, 5) and (6,), '
                'expected (6, 8, 3, 3) and (6,)'
            ],
        ),
        (
            {'fc7': layer(12, 10)[:1]},  # no bias
            [
                'wrong shape: x_fc7 is (12, 10), expected (12, 10) and (12,)',
            ],
        ),
        (
            {'fc6': layer(10, 150)},  # not a multiple of conv5's width
            [
                'wrong shape: x_fc6 is (10, 150) and (10,), '
                'expected (10, 148) and (10,)'
            ],
        ),
        (
            {'bbox_pred': layer(8, 12)},
            [
                'wrong shape: x_bbox_pred is (8, 12) and (8,), '
                'expected (12, 12) and (12,)'
            ],
        ),
    ],
)
def test_problems_are_listed(
    change: Layers | Callable[[Layers], None], expected: list[str]
) -> None:
    layers = caffenet_detector()
    if callable(change):
        change(layers)
    else:
        layers |= change
    assert problems(layers) == expected
