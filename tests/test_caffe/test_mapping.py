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
from mmxdistill.caffe.mapping import Blobs

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
    state, background, mapped, scopes = caffe_to_mm(layers)
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
    assert scopes == {'': ''}
    assert mapped[HEAD + 'fc_cls'] == 'cls_score'


@pytest.mark.parametrize('prefix', ['', 'da_'])
def test_single_stream_round_trip(prefix: str) -> None:
    layers = detector(prefix)
    state, background, *_ = caffe_to_mm(layers)
    assert 'backbone.conv1.weight' in state
    stream = 'hha' if prefix else 'rgb'
    back, *_ = mm_to_caffe(state, stream=stream, background_boxes=background)
    assert_same(back, layers)
    kinds = {layer.type for layer in back if layer.name.endswith('conv5')}
    assert kinds == {'Convolution'}


def test_background_boxes_default_to_zero() -> None:
    state, *_ = caffe_to_mm(detector())
    back = {layer.name: layer.blobs for layer in mm_to_caffe(state).layers}
    for blob, original in zip(
        back['bbox_pred'], detector()['bbox_pred'], strict=True
    ):
        assert (blob[:4] == 0).all()
        assert (blob[4:] == original[4:]).all()


def test_two_streams() -> None:
    rgb, depth = detector(), detector('da_', seed=1)
    names = ('color', 'depth')
    state, background, _, scopes = caffe_to_mm(rgb | depth, names)
    assert scopes == {'': 'streams.color.', 'da_': 'streams.depth.'}
    for name, layers in zip(names, (rgb, depth), strict=True):
        single, *_ = caffe_to_mm(layers)
        for key, value in single.items():
            assert (state[f'streams.{name}.{key}'] == value).all()
        # Net surgery: one stream of the fused network, in both directions.
        alone, *_ = caffe_to_mm(rgb | depth, names, stream=name)
        assert alone.keys() == single.keys()
        assert all((alone[key] == single[key]).all() for key in single)
        back, *_ = mm_to_caffe(state, names, name, background)
        assert_same(back, layers)
    back, *_ = mm_to_caffe(state, names, background_boxes=background)
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
    state, *_ = caffe_to_mm(layers)
    assert 'backbone.fire2.squeeze1x1.weight' in state
    assert 'backbone.conv10.bias' in state
    assert_same(mm_to_caffe(state).layers, layers)


def test_imagenet_classifier() -> None:
    layers = detector()
    del layers['cls_score'], layers['bbox_pred']
    layers['fc8'] = np.ones((5, 12), 'f4'), np.arange(5, dtype='f4')
    state, background, *_ = caffe_to_mm(layers)
    assert (state['head.fc.bias'] == layers['fc8'][1]).all()  # no rotation
    assert not background
    assert_same(mm_to_caffe(state).layers, layers)


@pytest.mark.parametrize('prefix', ['', 'da_'])
def test_hyper_column_layers(prefix: str) -> None:
    """The SDS networks' own layers go to the mask head."""
    layers = detector(prefix)
    del layers[f'{prefix}cls_score'], layers[f'{prefix}bbox_pred']
    for name, shape in (
        ('conv_pool2', (75, 8, 3, 3)),
        ('conv_conv4', (75, 6, 1, 1)),
        ('fcfc7', (75, 12)),
    ):
        layers[prefix + name] = np.ones(shape, 'f4'), np.ones(75, 'f4')
    state, _, mapped, _ = caffe_to_mm(layers)
    for name in ('conv_pool2', 'conv_conv4', 'fcfc7'):
        key = f'roi_head.mask_head.{name}'
        assert mapped[key] == prefix + name
        assert state[f'{key}.bias'].shape == (75,)
    stream = 'hha' if prefix else 'rgb'
    assert_same(mm_to_caffe(state, stream=stream).layers, layers)


def test_layers_without_a_place_keep_their_name() -> None:
    extra = dict(adapt=detector()['fc7'], bn=(np.ones(2, 'f4'),) * 3)
    state, *_ = caffe_to_mm(detector() | extra)
    assert {'adapt.weight', 'adapt.bias', 'bn.blob2'} < state.keys()
    with pytest.raises(ValueError, match=r'adapt\.weight has no Caffe layer'):
        mm_to_caffe(state)


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
    state, *_ = caffe_to_mm(detector() | detector('da_'), ('rgb', 'ir'))
    with pytest.raises(ValueError, match="no stream 'hha', only 'ir', 'rgb'"):
        mm_to_caffe(state)


def test_no_convolution() -> None:
    with pytest.raises(ValueError, match='no convolution; found: fc6'):
        caffe_to_mm({'fc6': detector()['fc6']})
    with pytest.raises(ValueError, match='found: no weights'):
        caffe_to_mm({})


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
        state, background, _, scopes = caffe_to_mm(blobs)
        only_second = list(scopes) == ['da_']
        back, *_ = mm_to_caffe(
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
            state, *_ = caffe_to_mm(blobs, stream=stream)
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
