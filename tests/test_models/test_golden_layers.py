"""Caffe's numbers for layers that are parts of networks and heads.

What drives them: a convolution is run inside the network that has one of
the same kernel, stride, padding and groups (CaffeNet in both geometries,
VGG16, the adaptation layer). Settings that no network has go to the class
that all of them are made of, by the name that a config gives it. An inner
product is fc6 of the Fast R-CNN head, which flattens its input itself; ReLU
and dropout are those of the head and the backbones.
"""

import itertools

import numpy as np
import pytest
import torch
from golden import TOLERANCE, assert_close, leaf
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import nn

from mmxdistill.registry import MODELS


def networks(cin, cout):
    """Networks that could have a convolution of these widths."""
    for geometry in ('rgb', 'hha'):
        # conv1 (and conv3); conv2, conv4 and conv5.
        for widths in ([cout] * 5, [cin, cout, cin, cout, cin]):
            yield dict(
                type='mmxdistill.CaffeNet',
                geometry=geometry,
                in_channels=cin,
                channels=widths,
            )
    yield dict(
        type='mmxdistill.VGG16', in_channels=cin, channels=[cout] + [1] * 4
    )
    yield dict(
        type='mmxdistill.AdaptationNeck', in_channels=cin, out_channels=cout
    )


def find_convolution(cfg):
    """A network's convolution of these settings, or None."""
    for network_cfg in networks(cfg['in_channels'], cfg['out_channels']):
        try:
            network = MODELS.build(network_cfg)
        except ValueError:  # CaffeNet's widths must be even
            continue
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and all(
                getattr(module, key) in (value, (value, value))
                for key, value in cfg.items()
            ):
                return module
    return None


def with_even_outputs(arrays):
    """The same layer with a filter of zeros added."""

    def grow(name, axis):
        array = arrays[name]
        return np.pad(array, [(0, i == axis) for i in range(array.ndim)])

    return dict(
        arrays,
        weight=grow('weight', 0),
        bias=grow('bias', 0),
        top_diff=grow('top_diff', 1),
    )


@pytest.mark.golden
def test_golden_convolution(caffe_golden):
    meta, groups = caffe_golden('layer_convolution')
    in_networks = set()
    for case, settings in meta.items():
        expected = arrays = groups[case]
        outputs = len(expected['weight'])
        if settings['group'] == 1 and outputs % 2:
            arrays = with_even_outputs(arrays)
        cfg = dict(
            in_channels=arrays['bottom'].shape[1],
            out_channels=len(arrays['weight']),
            kernel_size=settings['kernel'],
            stride=settings['stride'],
            padding=settings['pad'],
            groups=settings['group'],
        )
        conv = find_convolution(cfg)
        if conv is None:
            conv = MMENGINE_MODELS.build(dict(type='Conv2d', **cfg))
        else:
            in_networks.add((settings['kernel'], settings['pad']))
        conv.load_state_dict(
            {name: torch.tensor(arrays[name]) for name in ('weight', 'bias')}
        )
        bottom = leaf(arrays['bottom'])
        top = conv(bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        assert_close(top[:, :outputs], expected['top'], case)
        assert_close(bottom.grad, expected['bottom_diff'], case)
        assert_close(conv.weight.grad[:outputs], expected['weight_diff'], case)
        assert_close(conv.bias.grad[:outputs], expected['bias_diff'], case)
    # The two geometries of conv1 at least.
    assert in_networks >= {(11, 5), (11, 7)}


def head(**kwargs):
    return MODELS.build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            num_classes=2,
            **{'fc_channels': 4, **kwargs},
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        )
    )


def output_of(layer, model, x):
    """What a layer gives inside its model, before ReLU overwrites it."""
    outputs = []
    layer.register_forward_hook(lambda *args: outputs.append(args[-1].clone()))
    model(x)
    (output,) = outputs
    return output


@pytest.mark.golden
def test_golden_inner_product(caffe_golden):
    meta, groups = caffe_golden('layer_inner_product')
    assert any(arrays['bottom'].ndim == 4 for arrays in groups.values())
    for case in meta:
        arrays = groups[case]
        outputs, inputs = arrays['weight'].shape
        model = head(in_channels=inputs, roi_feat_size=1, fc_channels=outputs)
        model.fc6.load_state_dict(
            {name: torch.tensor(arrays[name]) for name in ('weight', 'bias')}
        )
        bottom = leaf(arrays['bottom'])
        top = output_of(model.fc6, model, bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        assert_close(top, arrays['top'], case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)
        assert_close(model.fc6.weight.grad, arrays['weight_diff'], case)
        assert_close(model.fc6.bias.grad, arrays['bias_diff'], case)


def relu_of_a_backbone(x):
    """conv1_1's ReLU, behind a convolution that changes nothing."""
    channels = x.shape[1]
    net = MODELS.build(
        dict(
            type='mmxdistill.VGG16',
            in_channels=channels,
            channels=[channels] * 5,
            out_features=['conv1_1'],
            init_cfg=dict(type='Constant', layer='Conv2d', val=0, bias=0),
        )
    )
    net.init_weights()
    nn.init.dirac_(net.conv1_1.weight)
    return net(x)[0]


@pytest.mark.golden
def test_golden_relu(caffe_golden):
    meta, groups = caffe_golden('layer_elementwise')
    cases = [case for case in meta if case.startswith('relu')]
    assert cases
    for case in cases:
        arrays = groups[case]
        shape = arrays['bottom'].shape
        relus = [head(in_channels=1).relu6]
        if len(shape) == 4:
            relus.append(relu_of_a_backbone)
        for relu in relus:
            bottom = leaf(arrays['bottom'])
            top = relu(bottom * 1)  # works in place
            top.backward(torch.tensor(arrays['top_diff']))
            np.testing.assert_array_equal(top.detach(), arrays['top'])
            np.testing.assert_array_equal(bottom.grad, arrays['bottom_diff'])


@pytest.mark.golden
def test_golden_dropout(caffe_golden):
    """The mask is random: compare each number under some equal decision."""
    meta, groups = caffe_golden('layer_elementwise')
    cases = [case for case in meta if 'ratio' in meta[case]]
    phases = {case.split('_')[1] for case in cases}
    assert phases == {'train', 'test'}
    torch.manual_seed(0)
    for case in cases:
        arrays = groups[case]
        training = 'train' in case
        drop = head(in_channels=1, dropout=meta[case]['ratio']).drop6
        drop.train(training)
        kept = arrays['bottom_diff'] != 0
        unseen = np.ones_like(kept)
        for draw in itertools.count():
            assert draw < 1000
            bottom = leaf(arrays['bottom'])
            top = drop(bottom)
            top.backward(torch.tensor(arrays['top_diff']))
            same = (bottom.grad.numpy() != 0) == kept
            for found, name in ((top, 'top'), (bottom.grad, 'bottom_diff')):
                expected = arrays[name]
                error = np.abs(found.detach().numpy() - expected)[same]
                assert error.max() <= TOLERANCE * np.abs(expected).max()
            unseen &= ~same
            if not unseen.any():
                break
        # Without dropout the first draw is the only one there is.
        assert training or draw == 0
