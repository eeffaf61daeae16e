"""What all Caffe-named backbones promise, and their golden numbers."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import assert_close, backbone_config
from torch import Tensor, nn

from mmxdistill.caffe import collect_blobs, read_caffemodel
from mmxdistill.models.backbones.caffe_backbone import CaffeBackbone
from mmxdistill.registry import MODELS

# A small configuration, its deepest feature, and its number of stages.
CONFIGS = {
    'CaffeNet': (
        dict(type='mmxdistill.CaffeNet', channels=(4, 8, 6, 6, 4)),
        'pool5',
        5,
    ),
    'VGG16': (
        dict(type='mmxdistill.VGG16', channels=(2, 3, 4, 5, 6)),
        'pool5',
        5,
    ),
    'SqueezeNet': (
        dict(type='mmxdistill.SqueezeNet', num_classes=7),
        'pool10',
        10,
    ),
}


def build(name: str, **kwargs: object) -> CaffeBackbone:
    return MODELS.build(CONFIGS[name][0] | kwargs)


@pytest.fixture
def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 50 * torch.randn(2, 3, 70, 90, generator=generator)


@pytest.mark.parametrize('name', CONFIGS)
def test_every_feature(name: str, images: Tensor) -> None:
    net = build(name).eval()
    net.out_features = net.feature_names
    outs = net(images)
    assert len(outs) == len(net.feature_names)
    for feature, out in zip(net.feature_names, outs, strict=True):
        assert out.shape[:2] == (2, net.feature_channels(feature)), feature
        assert out.min() >= 0, feature  # after ReLU
    # Any selection, in any order, gives the same features.
    chosen = net.feature_names[4], net.feature_names[1]
    net.out_features = chosen
    for feature, out in zip(chosen, net(images), strict=True):
        assert out.equal(outs[net.feature_names.index(feature)])


@pytest.mark.parametrize('name', CONFIGS)
def test_computes_nothing_deeper(name: str, images: Tensor) -> None:
    net = build(name)
    net.out_features = net.feature_names[3], net.feature_names[0]
    called = []
    for feature in net.feature_names:
        getattr(net, feature).register_forward_hook(
            lambda *_, feature=feature: called.append(feature)
        )
    net(images)
    assert called == list(net.feature_names[:4])


@pytest.mark.parametrize('name', CONFIGS)
def test_unknown_features(name: str) -> None:
    net = build(name)
    for names in (('conv1', 'conv99'), 'layer4'):
        with pytest.raises(ValueError, match=r'conv99|layer4') as info:
            net.out_features = names
        assert all(feature in str(info.value) for feature in net.feature_names)
    with pytest.raises(ValueError, match='conv99'):
        net.feature_channels('conv99')
    with pytest.raises(ValueError, match='empty'):
        net.out_features = ()
    with pytest.raises(ValueError, match='conv99'):
        build(name, out_features=['conv99'])


@pytest.mark.parametrize('name', CONFIGS)
def test_gradients_reach_every_parameter(name: str, images: Tensor) -> None:
    torch.manual_seed(0)
    net = build(name)
    net.init_weights()
    net.out_features = (CONFIGS[name][1],)
    net(images)[0].square().sum().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize('name', CONFIGS)
def test_freezing(name: str, images: Tensor) -> None:
    stages = CONFIGS[name][2]
    for frozen in (-1, 0, 2, stages):
        net = build(name, frozen_stages=frozen).train()
        for key, parameter in net.named_parameters():
            stage = int(re.search(r'\d+', key).group())
            assert parameter.requires_grad == (stage > frozen), (frozen, key)
        for module in net.feature_names:
            stage = int(re.search(r'\d+', module).group())
            assert getattr(net, module).training == (stage > frozen)
        assert net.training
    assert not net(images)[0].requires_grad
    for wrong in (-2, stages + 1):
        with pytest.raises(ValueError, match='frozen_stages'):
            build(name, frozen_stages=wrong)


@pytest.mark.parametrize('name', CONFIGS)
def test_init_cfg_overrides_the_default(name: str) -> None:
    init_cfg = dict(type='Constant', layer='Conv2d', val=0.25, bias=0.5)
    net = build(name, init_cfg=init_cfg)
    net.init_weights()
    for key, parameter in net.named_parameters():
        value = 0.5 if key.endswith('bias') else 0.25
        assert (parameter == value).all(), key


def golden_backbones(
    file: Path,
) -> Iterator[tuple[CaffeBackbone, Tensor, dict[str, np.ndarray]]]:
    """Yield the backbones of a golden net: network, input, its features."""
    arrays = np.load(file)
    prototxt = file.with_suffix('.prototxt').read_text()
    weights: dict[str, list[np.ndarray]] = {}
    for key in (key for key in arrays if key.startswith('param/')):
        weights.setdefault(key.split('/')[1], []).append(arrays[key])
    if not weights:  # two-stream nets have them in the .caffemodel only
        layers = read_caffemodel(file.with_suffix('.caffemodel')).layers
        weights = collect_blobs(layers)
    shapes = {name: arrays[0].shape for name, arrays in weights.items()}
    for prefix in ('', 'da_'):
        first = {f'{prefix}conv1', f'{prefix}conv1_1'} & weights.keys()
        if not first:
            continue
        net = MODELS.build(backbone_config(prototxt, shapes, prefix))
        state_dict = {}
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d):
                weight, bias = map(torch.tensor, weights[prefix + name])
                state_dict |= {f'{name}.weight': weight, f'{name}.bias': bias}
        net.load_state_dict(state_dict)
        blobs = {
            name: arrays[f'blob/{prefix}{name}']
            for name in net.feature_names
            # RoI pooling also writes a blob pool5, but is called roi_pool5.
            if f'blob/{prefix}{name}' in arrays
            and f'name: "{prefix}{name}"' in prototxt
        }
        data = re.search(
            rf'name: "{first.pop()}".*?bottom: "(\w+)"', prototxt, re.DOTALL
        )
        yield net, torch.tensor(arrays[f'input/{data[1]}']), blobs


@pytest.mark.golden
def test_golden_blobs(data_root: Path) -> None:
    """Of all nets, from the arrays; whole nets: test_golden_nets.py."""
    kinds = set()
    for file in sorted((data_root / 'caffe_golden').glob('net_*.npz')):
        if not file.with_suffix('.prototxt').is_file():
            continue
        for net, images, blobs in golden_backbones(file):
            kinds.add(type(net).__name__)
            assert blobs
            net.out_features = tuple(blobs)
            with torch.no_grad():
                outs = net(images)
            for out, (name, blob) in zip(outs, blobs.items(), strict=True):
                assert_close(out, blob, (file.name, name))
    assert kinds == {'CaffeNet', 'VGG16'}


@pytest.mark.golden
@pytest.mark.parametrize(
    ('net_name', 'cfg'),
    [
        ('alexnet_rgb', dict(type='mmxdistill.CaffeNet', channels=[2] * 5)),
        (
            'alexnet_hha',
            dict(type='mmxdistill.CaffeNet', channels=[2] * 5, geometry='hha'),
        ),
        ('vgg16', dict(type='mmxdistill.VGG16', channels=[1] * 5)),
    ],
)
def test_golden_sizes(data_root: Path, net_name: str, cfg: dict) -> None:
    shapes = np.load(data_root / 'caffe_golden' / 'net_shapes.npz')
    blobs = shapes[f'{net_name}/blob'].tolist()
    extents = shapes[f'{net_name}/extent']
    net = MODELS.build(cfg | dict(in_channels=1))
    assert blobs == ['data', *net.feature_names]
    net.out_features = net.feature_names
    for rows, columns in zip(extents, extents[::-1], strict=True):
        with torch.no_grad():
            outs = net(torch.zeros(1, 1, rows[0], columns[0]))
        sizes = [tuple(out.shape[2:]) for out in outs]
        expected = zip(rows[1:], columns[1:], strict=True)
        assert sizes == list(expected), (rows[0], columns[0])
