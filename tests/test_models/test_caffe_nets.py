"""Weights against the networks that are to take them."""

import re

import pytest
import torch

from mmxdistill.caffe import CaffeLayer
from mmxdistill.models.caffe_nets import (
    compare_definition,
    find_problems,
    identify,
)
from mmxdistill.registry import MODELS

HEAD = 'roi_head.bbox_head.'
LRN = dict(lrn_param=dict(local_size=5, alpha=1e-4, beta=0.75))
POOL = dict(pooling_param=dict(kernel_size=3, stride=2))


def shapes_of(scope='backbone.', **cfg):
    with torch.device('meta'):
        module = MODELS.build(cfg)
    return {
        scope + key: tuple(value.shape)
        for key, value in module.state_dict().items()
    }


def caffenet(**kwargs):
    return shapes_of(
        type='mmxdistill.CaffeNet', channels=(4, 8, 6, 6, 4), **kwargs
    )


def detector():
    head = shapes_of(
        HEAD,
        type='mmxdistill.FastRCNNBBoxHead',
        in_channels=4,
        fc_channels=10,
        num_classes=2,
    )
    return caffenet() | head


def problems(shapes):
    network = identify(shapes)
    assert network is not None
    return find_problems(network, shapes, 'x.{}'.format)


@pytest.mark.parametrize(
    ('cfg', 'name'),
    [
        (dict(type='CaffeNet', channels=(4, 8, 6, 6, 4)), 'CaffeNet'),
        (dict(type='CaffeNet', in_channels=1), 'CaffeNet'),
        (dict(type='VGG16', channels=(2, 3, 4, 5, 6)), 'VGG16'),
        (dict(type='SqueezeNet'), "SqueezeNet(version='1.1')"),
        (
            dict(type='SqueezeNet', version='1.0', num_classes=7),
            "SqueezeNet(version='1.0')",
        ),
    ],
)
def test_identify(cfg, name):
    shapes = shapes_of(**{**cfg, 'type': f'mmxdistill.{cfg["type"]}'})
    network = identify(shapes)
    assert network.name == name
    assert problems(shapes) == []


def test_identify_nothing():
    assert identify({'backbone.layer1.weight': (2, 3, 3, 3)}) is None
    assert identify({}) is None


def test_parts_that_may_be_absent():
    assert problems(detector()) == []
    classifier = {k: v for k, v in detector().items() if '.fc_' not in k}
    classifier |= {'head.fc.weight': (5, 10), 'head.fc.bias': (5,)}
    assert problems(classifier) == []
    mask_head = {k: v for k, v in classifier.items() if 'head.fc.' not in k}
    mask_head |= shapes_of(
        'roi_head.mask_head.',
        type='mmxdistill.HypercolumnMaskHead',
        num_classes=3,
        fc7_channels=10,
        maps=dict(
            pool2=dict(in_channels=8, kernel_size=3, scale=1.0),
            conv4=dict(in_channels=6, kernel_size=1, scale=1.0),
        ),
    )
    assert problems(mask_head) == []
    mask_head['roi_head.mask_head.conv_conv4.weight'] = (75, 8, 1, 1)
    assert problems(mask_head) == [
        'wrong shape: x.roi_head.mask_head.conv_conv4.weight is (75, 8, 1, 1)'
        ', expected (75, 6, 1, 1)'
    ]


@pytest.mark.parametrize(
    ('key', 'shape', 'expected'),
    [
        ('backbone.conv3.bias', None, 'missing: x.backbone.conv3.bias'),
        (f'{HEAD}fc_cls.bias', None, f'missing: x.{HEAD}fc_cls.bias'),
        (  # without groups
            'backbone.conv2.weight',
            (8, 4, 5, 5),
            'is (8, 4, 5, 5), expected (8, 2, 5, 5)',
        ),
        (
            'backbone.conv3.weight',
            (6, 8, 5, 5),
            'is (6, 8, 5, 5), expected (6, 8, 3, 3)',
        ),
        # Not a multiple of conv5's width, or no square.
        (f'{HEAD}fc6.weight', (10, 150), 'expected (10, 144)'),
        (f'{HEAD}fc6.weight', (10, 120), 'expected (10, 100)'),
        (f'{HEAD}fc7.weight', (12, 10), 'expected (10, 10)'),
        (f'{HEAD}fc_reg.weight', (4, 10), 'expected (8, 10)'),
    ],
)
def test_problems_are_listed(key, shape, expected):
    shapes = detector()
    del shapes[key]
    if shape:
        shapes[key] = shape
    (problem,) = problems(shapes)
    assert problem.endswith(expected)


def definition(*parts, pads=(5, 2, 1, 1, 1), pool_pad=1):
    """A CaffeNet as a Caffe file describes it, some layers replaced."""
    parts = {name: layer for name, *layer in parts}
    layers = []

    def add(name, kind, bottom, settings=None):
        kind, settings = parts.get(name, (kind, settings))
        if kind:
            layers.append(
                CaffeLayer(
                    name, kind, (bottom,), (name,), settings=settings or {}
                )
            )
        return name if kind else bottom

    blob = 'data'
    for i, pad in enumerate(pads, start=1):
        conv = dict(
            pad=[pad],
            stride=[4] if i == 1 else [],
            group=2 if i in (2, 4, 5) else 1,
        )
        blob = add(
            f'conv{i}', 'Convolution', blob, dict(convolution_param=conv)
        )
        blob = add(f'relu{i}', 'ReLU', blob)
        if i < 3:
            pool = dict(
                pooling_param=dict(POOL['pooling_param'], pad=pool_pad)
            )
            blob = add(f'pool{i}', 'Pooling', blob, pool)
            blob = add(f'norm{i}', 'LRN', blob, LRN)
    return layers


def compare(layers):
    return compare_definition(identify(caffenet()), layers)


@pytest.mark.parametrize(
    ('pads', 'pool_pad', 'name', 'remarks'),
    [
        ((5, 2, 1, 1, 1), 1, "CaffeNet(geometry='rgb')", 0),
        ((7, 2, 1, 1, 1), 0, "CaffeNet(geometry='hha')", 0),
        # BVLC's reference network: the weights serve, the borders differ.
        ((0, 2, 1, 1, 1), 0, "CaffeNet(geometry='hha')", 1),
    ],
)
def test_geometry_is_that_of_the_file(pads, pool_pad, name, remarks):
    found, differences, notes = compare(
        definition(pads=pads, pool_pad=pool_pad)
    )
    assert found == name
    assert differences == []
    assert len(notes) == remarks
    assert all('padding of conv1: (0, 0) in the file' in n for n in notes)


def test_alexnet_that_normalizes_before_pooling_is_refused():
    layers = definition(('pool1', 'LRN', LRN), ('norm1', 'Pooling', POOL))
    _, differences, _ = compare(layers)
    (difference,) = differences
    assert 'between conv1 and conv2 the file has ReLU(), LRN(' in difference
    assert "but CaffeNet(geometry='rgb') has" in difference


@pytest.mark.parametrize(
    ('part', 'message'),
    [
        (('norm1', 'LRN', dict(lrn_param=dict(local_size=3))), 'local_size 3'),
        (
            (
                'norm2',
                'LRN',
                dict(lrn_param=dict(LRN['lrn_param'], norm_region=1)),
            ),
            'WITHIN_CHANNEL',
        ),
        (
            (
                'norm1',
                'LRN',
                dict(lrn_param=dict(LRN['lrn_param'], k=2.0)),
            ),
            'k 2.0',
        ),
        (
            (
                'pool2',
                'Pooling',
                dict(pooling_param=dict(kernel_size=2, stride=2, pad=1)),
            ),
            r'kernel \(2, 2\)',
        ),
        (
            (
                'pool2',
                'Pooling',
                dict(pooling_param=dict(POOL['pooling_param'], pool=1, pad=1)),
            ),
            'pool AVE',
        ),
        (('relu3', 'PReLU', {}), r'PReLU\(\)'),
        (('relu3', None, {}), 'the file has nothing'),
        (
            ('relu4', 'ReLU', dict(relu_param=dict(negative_slope=0.1))),
            'negative_slope 0.1',
        ),
        (
            (
                'conv1',
                'Convolution',
                dict(convolution_param=dict(pad=[5], stride=[2])),
            ),
            r'conv1 is Convolution\(stride \(2, 2\)',
        ),
        (
            (
                'conv3',
                'Convolution',
                dict(convolution_param=dict(pad=[2], dilation=[2])),
            ),
            r'dilation \(2, 2\)',
        ),
    ],
)
def test_other_settings_are_refused(part, message):
    _, differences, _ = compare(definition(part))
    assert len(differences) == 1
    assert re.search(message, differences[0])


def test_files_that_say_nothing_are_noted():
    name, differences, remarks = compare(
        [CaffeLayer(f'conv{i}', 'Convolution') for i in range(1, 6)]
    )
    assert name == 'CaffeNet'
    assert not differences
    assert '--prototxt' in remarks[-1]
