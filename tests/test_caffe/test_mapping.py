import re
from pathlib import Path

import numpy as np
import pytest

from mmxdistill.caffe import (
    CaffeLayer,
    caffe_to_mm,
    collect_blobs,
    mm_to_caffe,
    read_caffemodel,
)
from mmxdistill.caffe.nets import Blobs

HEAD = 'roi_head.bbox_head.'


def detector(prefix: str = '', seed: int = 0, classes: int = 3) -> dict:
    """A small CaffeNet detector as Caffe layers, classes with background."""
    generator = np.random.default_rng(seed)
    shapes = {
        'conv1': (4, 3, 11, 11),
        'conv2': (8, 2, 5, 5),
        'conv3': (6, 8, 3, 3),
        'conv4': (6, 3, 3, 3),
        'conv5': (4, 3, 3, 3),
        'fc6': (10, 144),
        'fc7': (12, 10),
        'cls_score': (classes, 12),
        'bbox_pred': (4 * classes, 12),
    }
    return {
        prefix + name: tuple(
            generator.normal(size=s).astype('f4') for s in (shape, shape[:1])
        )
        for name, shape in shapes.items()
    }


def assert_same(layers: tuple[CaffeLayer, ...], expected: dict) -> None:
    assert [layer.name for layer in layers] == list(expected)
    for layer in layers:
        for blob, other in zip(layer.blobs, expected[layer.name], strict=True):
            assert blob.shape == other.shape, layer.name
            assert blob.tobytes() == other.tobytes(), layer.name


def test_keys_and_class_order() -> None:
    layers = detector()
    state, background, report = caffe_to_mm(layers)
    names = [f'backbone.conv{i}' for i in range(1, 6)]
    names += [HEAD + n for n in ('fc6', 'fc7', 'fc_cls', 'fc_reg')]
    assert list(state) == [
        f'{name}.{kind}' for name in names for kind in ('weight', 'bias')
    ]
    for name in ('conv1', 'conv4'):
        assert (state[f'backbone.{name}.weight'] == layers[name][0]).all()
    assert (state[HEAD + 'fc6.weight'] == layers['fc6'][0]).all()
    # Caffe: background, a, b. mm: a, b, background; and no background box.
    for i, kind in enumerate(('weight', 'bias')):
        scores, boxes = layers['cls_score'][i], layers['bbox_pred'][i]
        assert (state[f'{HEAD}fc_cls.{kind}'] == scores[[1, 2, 0]]).all()
        assert (state[f'{HEAD}fc_reg.{kind}'] == boxes[4:]).all()
        assert (background[f'{HEAD}fc_reg.{kind}'] == boxes[:4]).all()
    assert report.nets == {'': 'CaffeNet'}
    assert ('cls_score', HEAD + 'fc_cls', (3, 12)) in report.mapped


@pytest.mark.parametrize('prefix', ['', 'da_'])
def test_single_stream_round_trip(prefix: str) -> None:
    layers = detector(prefix)
    state, background, _ = caffe_to_mm(layers)
    assert 'backbone.conv1.weight' in state
    stream = 'hha' if prefix else 'rgb'
    back, _ = mm_to_caffe(state, stream=stream, background_boxes=background)
    assert_same(back, layers)
    kinds = {layer.type for layer in back if layer.name.endswith('conv5')}
    assert kinds == {'Convolution'}


def test_background_boxes_default_to_zero() -> None:
    state, _, _ = caffe_to_mm(detector())
    back = {layer.name: layer.blobs for layer in mm_to_caffe(state).layers}
    for blob, original in zip(
        back['bbox_pred'], detector()['bbox_pred'], strict=True
    ):
        assert (blob[:4] == 0).all()
        assert (blob[4:] == original[4:]).all()


def test_two_streams() -> None:
    rgb, depth = detector(), detector('da_', seed=1)
    names = ('color', 'depth')
    state, background, report = caffe_to_mm(rgb | depth, names)
    assert report.nets == {'': 'CaffeNet', 'da_': 'CaffeNet'}
    for name, layers in zip(names, (rgb, depth), strict=True):
        single, *_ = caffe_to_mm(layers)
        for key, value in single.items():
            assert (state[f'streams.{name}.{key}'] == value).all()
        # Net surgery: one stream of the fused network, in both directions.
        alone, *_ = caffe_to_mm(rgb | depth, names, stream=name)
        assert alone.keys() == single.keys()
        assert all((alone[key] == single[key]).all() for key in single)
        back, _ = mm_to_caffe(state, names, name, background)
        assert_same(back, layers)
    back, _ = mm_to_caffe(state, names, background_boxes=background)
    assert_same(back, rgb | depth)


def squeezenet(prefix: str = '') -> dict[str, Blobs]:
    def layer(*shape: int) -> Blobs:
        return np.ones(shape, 'f4'), np.zeros(shape[0], 'f4')

    layers = {'conv1': layer(4, 3, 3, 3)}
    for i in range(2, 10):
        layers[f'fire{i}/squeeze1x1'] = layer(2, 4 if i == 2 else 8, 1, 1)
        layers[f'fire{i}/expand1x1'] = layer(4, 2, 1, 1)
        layers[f'fire{i}/expand3x3'] = layer(4, 2, 3, 3)
    layers['conv10'] = layer(5, 8, 1, 1)
    return {prefix + name: blobs for name, blobs in layers.items()}


def test_slashes_become_dots() -> None:
    layers = squeezenet()
    state, _, _ = caffe_to_mm(layers)
    assert 'backbone.fire2.squeeze1x1.weight' in state
    assert 'backbone.conv10.bias' in state
    assert_same(mm_to_caffe(state).layers, layers)


def test_imagenet_classifier() -> None:
    layers = detector()
    del layers['cls_score'], layers['bbox_pred']
    layers['fc8'] = np.ones((5, 12), 'f4'), np.arange(5, dtype='f4')
    state, background, _ = caffe_to_mm(layers)
    assert (state['head.fc.bias'] == layers['fc8'][1]).all()  # no rotation
    assert not background
    assert_same(mm_to_caffe(state).layers, layers)


def test_caffe_errors_list_all_layers() -> None:
    layers = detector() | detector('da_')
    del layers['conv3'], layers['da_fc7']
    layers['adapt'] = layers['da_extra'] = layers['fc6']
    layers['da_conv1'] = detector()['conv2']
    with pytest.raises(ValueError, match='do not fit CaffeNet') as info:
        caffe_to_mm(layers)
    message = str(info.value)
    for problem in (
        'missing: conv3',
        'missing: da_fc7',
        'unknown: adapt',
        'unknown: da_extra',
        'wrong shape: da_conv1',
    ):
        assert problem in message
    assert message.count('missing') == 2


def test_mm_errors_name_the_keys() -> None:
    state, _, _ = caffe_to_mm(detector())
    del state['backbone.conv3.weight'], state['backbone.conv3.bias']
    del state['backbone.conv5.bias']
    state['neck.conv.weight'] = state['backbone.bn.running_mean'] = np.ones(3)
    state[HEAD + 'fc_reg.weight'] = np.ones((4, 12), 'f4')  # class-agnostic
    with pytest.raises(ValueError, match='do not fit CaffeNet') as info:
        mm_to_caffe(state)
    for problem in (
        'missing: backbone.conv3 -> conv3',
        'unknown: neck.conv.weight',
        'unknown: backbone.bn.running_mean',
        'wrong shape: backbone.conv5',
        f'wrong shape: {HEAD}fc_reg -> bbox_pred is (8, 12)',
    ):
        assert problem in str(info.value)


def test_skip_extra() -> None:
    layers = detector()
    state, _, report = caffe_to_mm(
        layers | {'adapt': layers['fc7']}, skip_extra=True
    )
    assert report.skipped == ['adapt']
    assert not any('adapt' in key for key in state)
    state['adaptation.conv.weight'] = np.ones(3, 'f4')
    back, report = mm_to_caffe(state, skip_extra=True)
    assert report.skipped == ['adaptation.conv.weight']
    assert len(back) == len(layers)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(stream='thermal'), "'rgb' and 'hha'"),
        (dict(stream='hha'), "no stream 'hha'"),
        (dict(stream_names=('rgb', 'rgb')), 'two stream names'),
    ],
)
def test_bad_streams(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        caffe_to_mm(detector(), **kwargs)


def test_stream_absent_from_checkpoint() -> None:
    state, _, _ = caffe_to_mm(detector() | detector('da_'), ('rgb', 'ir'))
    with pytest.raises(ValueError, match="no stream 'hha', only 'ir', 'rgb'"):
        mm_to_caffe(state)


def test_unknown_networks() -> None:
    with pytest.raises(ValueError, match=r'found: a, b, .* and 18 more'):
        caffe_to_mm(dict.fromkeys('abcdefghijklmnopqrstuvwxyz', ([],)))
    with pytest.raises(ValueError, match='found: no weights'):
        mm_to_caffe({})


def test_repeated_layers() -> None:
    twice = [CaffeLayer('a', 'Scale', blobs=(np.ones(1, 'f4'),))] * 2
    without_blobs = [CaffeLayer('sum', 'Eltwise')] * 2
    assert collect_blobs(without_blobs) == {}
    with pytest.raises(ValueError, match=re.escape('more than once: a')):
        collect_blobs(twice + without_blobs)


@pytest.mark.golden
def test_golden_round_trip(data_root: Path) -> None:
    files = sorted((data_root / 'caffe_golden').glob('*.caffemodel'))
    assert files
    for path in files:
        blobs = collect_blobs(read_caffemodel(path).layers)
        state, background, report = caffe_to_mm(blobs)
        only_second = list(report.nets) == ['da_']
        back, _ = mm_to_caffe(
            state,
            stream='hha' if only_second else None,
            background_boxes=background,
        )
        assert_same(back, blobs)


@pytest.mark.golden
def test_golden_head(data_root: Path) -> None:
    """The head's outputs in mm's class order, from Caffe's fc7."""
    checked = 0
    for path in sorted((data_root / 'caffe_golden').glob('net_*.caffemodel')):
        arrays = np.load(
            path.with_name(path.name.replace('_v1.', '.')).with_suffix('.npz')
        )
        blobs = collect_blobs(read_caffemodel(path).layers)
        for stream, prefix, i in (('rgb', '', 0), ('hha', 'da_', 1)):
            if f'{prefix}fc7' not in blobs:
                continue
            state, _, _ = caffe_to_mm(blobs, stream=stream)
            fc7 = arrays[f'blob/{prefix}fc7']
            for layer, key in (
                ('cls_score', 'fc_cls'),
                ('bbox_pred', 'fc_reg'),
            ):
                top = arrays[f'blob/{layer}_{i}']
                if layer == 'cls_score':
                    top = np.concatenate([top[:, 1:], top[:, :1]], axis=1)
                else:
                    top = top[:, 4:]
                weight = state[f'{HEAD}{key}.weight']
                found = fc7 @ weight.T + state[f'{HEAD}{key}.bias']
                error = np.abs(found - top).max() / np.abs(top).max()
                assert error < 1e-5, (path.name, layer)
                checked += 1
    assert checked
