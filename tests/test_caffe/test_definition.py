from pathlib import Path

import pytest

from mmxdistill.caffe import CaffeLayer, read_caffemodel, read_prototxt
from mmxdistill.caffe.definition import (
    Operation,
    convolution,
    preprocessing,
    ways_back,
)

NEW = """
name: "net"  # as Caffe writes it today
layer {
  name: "data" type: "Data" top: "data" top: "label"
  transform_param { mirror: true scale: 0.5 mean_value: 104 mean_value: 117 }
}
layer {
  name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {
    num_output: 4 kernel_size: 3 stride_h: 2 stride_w: 1 pad: 1
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer {
  name: "norm1" type: "LRN" bottom: "conv1" top: "norm1"
  lrn_param { local_size: 3 alpha: 0.0001 norm_region: WITHIN_CHANNEL }
}
layer {
  name: "pool1" type: "Pooling" bottom: "norm1" top: "pool1"
  pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 }
}
layer { name: "drop" type: "Dropout" bottom: "pool1" top: "pool1" }
layer {
  name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 4 kernel_size: 1 group: 2 }
}
"""
V1 = """
input: "data"
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1"
  blobs_lr: 1
  convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "relu1" type: RELU bottom: "conv1" top: "conv1" }
layers { name: "pool1" type: POOLING bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layers { name: "fc" type: INNER_PRODUCT bottom: "pool1" top: "fc" }
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / 'net.prototxt'
    path.write_text(text)
    return path


def test_prototxt(tmp_path: Path) -> None:
    layers = read_prototxt(write(tmp_path, NEW))
    first = convolution(layers[1])
    assert first == Operation(
        'Convolution', dict(stride=(2, 1), dilation=(1, 1), group=1), (1, 1)
    )
    (way,) = ways_back(layers, 'conv2') or ()
    assert way.start == 'conv1'
    assert way.operations == (
        Operation('ReLU', {}),
        Operation(
            'LRN',
            dict(
                local_size=3,
                alpha=1e-4,
                beta=0.75,
                k=1.0,
                norm_region='WITHIN_CHANNEL',
            ),
        ),
        Operation(
            'Pooling', dict(pool='AVE', kernel=(3, 2), stride=(2, 2)), (1, 1)
        ),
    )
    assert preprocessing(layers) == dict(scale=0.5, mean_value=[104, 117])


def test_v1_prototxt(tmp_path: Path) -> None:
    layers = read_prototxt(write(tmp_path, V1))
    assert [layer.type for layer in layers] == [
        'Convolution',
        'ReLU',
        'Pooling',
        'InnerProduct',
    ]
    (way,) = ways_back(layers, 'fc') or ()
    assert [operation.type for operation in way.operations] == [
        'ReLU',
        'Pooling',
    ]
    assert ways_back(layers, 'conv1') == [('', ())]


def test_ways_meet_where_layers_are_concatenated() -> None:
    layers = [
        CaffeLayer('a', 'Convolution', ('x',), ('a',)),
        CaffeLayer('relu', 'ReLU', ('a',), ('a',)),
        CaffeLayer('split', 'Split', ('a',), ('a0', 'a1')),
        CaffeLayer('b', 'Convolution', ('a1',), ('b',)),
        CaffeLayer('both', 'Concat', ('a0', 'b'), ('both',)),
        CaffeLayer('c', 'Convolution', ('both',), ('c',)),
        CaffeLayer('d', 'Convolution'),
    ]
    relu = Operation('ReLU', {})
    assert ways_back(layers, 'c') == [('a', (relu,)), ('b', ())]
    assert ways_back(layers, 'd') is None
    assert ways_back(layers, 'e') is None


def test_bad_prototxt(tmp_path: Path) -> None:
    for text in ('layer {', 'no network', '', 'name: "x"', 'pool: { 3'):
        with pytest.raises(ValueError, match=r'net\.prototxt is no network'):
            read_prototxt(write(tmp_path, text))
    (tmp_path / 'net.prototxt').write_bytes(b'\xff\xfe\0')
    with pytest.raises(ValueError, match='no network definition'):
        read_prototxt(tmp_path / 'net.prototxt')


@pytest.mark.golden
def test_golden_files_say_what_their_definitions_say(data_root: Path) -> None:
    """.caffemodel files, V1 too, against the text that Caffe built."""
    compared = 0
    for path in (data_root / 'caffe_golden').glob('net_*.caffemodel'):
        name = path.stem.removesuffix('_v1')
        text = read_prototxt(path.with_name(f'{name}.prototxt'))
        stored = {layer.name: layer for layer in read_caffemodel(path).layers}
        layers = tuple(stored.values())
        for layer in text:
            if layer.type != 'Convolution':
                continue
            assert convolution(stored[layer.name]) == convolution(layer)
            assert ways_back(layers, layer.name) == ways_back(text, layer.name)
            compared += 1
    assert compared > 20
