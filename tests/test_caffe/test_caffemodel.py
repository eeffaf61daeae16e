import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxdistill.caffe import (
    CaffeLayer,
    CaffeModel,
    collect_blobs,
    read_caffemodel,
    write_caffemodel,
)


def field(number: int, payload: bytes | int) -> bytes:
    """Encode one protobuf field, by hand."""

    def varint(value: int) -> bytes:
        out = b''
        while value > 127:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def small_model() -> CaffeModel:
    weight = np.arange(24, dtype=np.float32).reshape(4, 6)
    weight[0, :3] = np.nan, np.inf, -0.0
    bias = np.full(4, np.float32(1e-42))  # denormal
    return CaffeModel(
        'small',
        (
            CaffeLayer('data', 'Input', tops=('data',)),
            CaffeLayer(
                'fc/a', 'InnerProduct', ('data',), ('b', 'c'), (weight, bias)
            ),
            CaffeLayer('empty', 'Scale', blobs=(np.zeros((0, 3), 'f4'),)),
            CaffeLayer('scalar', 'Scale', blobs=(np.array(2, 'f4'),)),
        ),
    )


def assert_same(found: CaffeModel, expected: CaffeModel) -> None:
    assert found.name == expected.name
    for a, b in zip(found.layers, expected.layers, strict=True):
        assert (a.name, a.type) == (b.name, b.type)
        assert (a.bottoms, a.tops) == (b.bottoms, b.tops)
        for blob, other in zip(a.blobs, b.blobs, strict=True):
            assert blob.dtype == np.float32
            assert blob.shape == other.shape
            assert blob.tobytes() == other.tobytes()


def test_round_trip_is_bit_exact(tmp_path: Path) -> None:
    path = tmp_path / 'net.caffemodel'
    write_caffemodel(path, small_model())
    assert_same(read_caffemodel(path), small_model())
    assert list(tmp_path.iterdir()) == [path]


def test_only_float32_is_written(tmp_path: Path) -> None:
    path = tmp_path / 'net.caffemodel'
    write_caffemodel(path, small_model())
    wrong = CaffeLayer('fc', 'InnerProduct', blobs=(np.zeros((2, 2)),))
    with pytest.raises(TypeError, match=r"'fc' is float64"):
        write_caffemodel(path, CaffeModel('net', (wrong,)))
    assert_same(read_caffemodel(path), small_model())  # not half written


def test_v1(tmp_path: Path) -> None:
    weight = np.arange(6, dtype='<f4')

    def blob(*dims: int) -> bytes:
        legacy = b''.join(field(i, d) for i, d in enumerate(dims, start=1))
        size = int(np.prod(dims))
        # A packed array may come in several pieces.
        head, tail = weight[:1].tobytes(), weight[1:size].tobytes()
        return field(6, legacy + field(5, head) + field(5, tail))

    layers = [
        field(4, b'fc') + field(5, 14) + blob(1, 1, 2, 3) + blob(1, 1, 1, 2),
        field(4, b'conv') + field(5, 4) + blob(1, 1, 3, 2) + blob(1, 1, 1, 1),
        field(2, b'fc') + field(3, b'x') + field(4, b'relu') + field(5, 18),
    ]
    path = tmp_path / 'net.caffemodel'
    data = field(1, b'old') + field(4, 10) + field(8, field(1, 3))
    path.write_bytes(data + b''.join(field(2, layer) for layer in layers))
    model = read_caffemodel(path)
    assert model.name == 'old'
    assert [layer.name for layer in model.layers] == ['fc', 'conv', 'relu']
    fc, conv, relu = model.layers
    assert [fc.type, conv.type] == ['InnerProduct', 'Convolution']
    assert (relu.type, relu.bottoms, relu.tops) == ('ReLU', ('fc',), ('x',))
    assert [b.shape for b in fc.blobs] == [(2, 3), (2,)]
    assert [b.shape for b in conv.blobs] == [(1, 1, 3, 2), (1,)]
    assert fc.blobs[0].ravel().tolist() == [0, 1, 2, 3, 4, 5]


def test_doubles(tmp_path: Path) -> None:
    blob = field(7, field(1, 2)) + field(8, struct.pack('<2d', 0.5, -3))
    layer = field(1, b'x') + field(2, b'Bias') + field(7, blob)
    path = tmp_path / 'net.caffemodel'
    path.write_bytes(field(100, layer))
    (read,) = read_caffemodel(path).layers[0].blobs
    assert read.dtype == np.float32
    assert read.tolist() == [0.5, -3]


@pytest.mark.parametrize(
    ('number', 'dtype'), [(0, '<f8'), (1, '<f4'), (2, '<f2')]
)
def test_raw_data_of_any_precision(
    tmp_path: Path, number: int, dtype: str
) -> None:
    """NVIDIA's Caffe and OpenCV's shrinkCaffeModel, type (10) and data (12).

    The first type, double, may be left out: it is the default.
    """
    weight = np.linspace(-2, 2, 6).astype(dtype).reshape(2, 3)
    kind = field(10, number) if number else b''
    shape = field(7, field(1, 2) + field(1, 3))
    path = tmp_path / 'half.caffemodel'
    path.write_bytes(blob_layer(shape + kind + field(12, weight.tobytes())))
    (read,) = read_caffemodel(path).layers[0].blobs
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, weight.astype('f4'))


def test_raw_data_of_opencv(tmp_path: Path, data_root: Path) -> None:
    if not hasattr(cv2.dnn, 'shrinkCaffeModel'):
        pytest.skip('this OpenCV no longer writes Caffe networks')
    source = data_root / 'caffe_golden' / 'net_alexnet_rgb.caffemodel'
    half = tmp_path / 'half.caffemodel'
    cv2.dnn.shrinkCaffeModel(str(source), str(half))
    assert half.stat().st_size < 0.6 * source.stat().st_size
    expected = collect_blobs(read_caffemodel(source).layers)
    found = collect_blobs(read_caffemodel(half).layers)
    assert found.keys() == expected.keys()
    for name, blobs in expected.items():
        for blob, other in zip(found[name], blobs, strict=True):
            np.testing.assert_array_equal(
                blob, other.astype('f2').astype('f4')
            )


def blob_layer(blob: bytes) -> bytes:
    return field(100, field(1, b'conv1') + field(7, blob))


BAD_FILES = {
    'empty': (b'', 'no layers'),
    'no layers': (field(1, b'net'), 'no layers'),
    'prototxt': (b'name: "net"\nlayer { name: "x" }\n', 'text file'),
    'other text': (b'layers of an onion', 'text file'),
    'picture': (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR' + bytes(9), 'another kind'),
    'zip': (b'PK\x03\x04' + bytes(99), 'another kind'),
    'zeros': (bytes(100), 'another kind'),
    'V0': (field(2, field(1, b'\n\0')), 'V0 format'),
    'V1 type': (field(2, field(4, b'a') + field(5, 99)), 'no V1 layer type'),
    'solverstate': (field(1, 7) + field(2, b'net'), 'byte 0'),
    # A length of 2^60 bytes, in the file and inside a layer.
    'huge field': (b'\xa2\x06' + b'\x80' * 8 + b'\x10', 'claims'),
    'huge blob': (blob_layer(b'\x2a' + b'\x80' * 8 + b'\x10'), 'no usable'),
    'cut number': (field(100, field(1, b'x')) + b'\x7d\0', 'truncated'),
    'endless number': (b'\xff' * 20, 'no number'),
    # Shapes that claim more than there is.
    'huge shape': (
        blob_layer(field(7, field(1, 1 << 40)) + field(5, bytes(8))),
        r"'conv1': shape \(1099511627776,\) does not fit 2 values",
    ),
    'negative shape': (
        blob_layer(field(7, field(1, (1 << 64) - 1) * 2) + field(5, bytes(4))),
        r'shape \(-1, -1\) does not fit',
    ),
    'many axes': (blob_layer(field(7, field(1, 2) * 99)), '99 axes'),
    'endless layers': (field(100, b'') * 20_000, 'more than 10000 layers'),
    'integers': (
        blob_layer(field(7, field(1, 1)) + field(10, 3) + field(12, bytes(4))),
        "'conv1': its raw_data has type 3; only double",
    ),
    'odd raw bytes': (
        blob_layer(field(7, field(1, 1)) + field(10, 2) + field(12, bytes(3))),
        'raw_data of 3 bytes are no whole number of float16 values',
    ),
    'twice': (
        blob_layer(
            field(7, field(1, 1)) + field(5, bytes(4)) + field(12, bytes(8))
        ),
        'raw_data and other data',
    ),
    'huge raw shape': (
        blob_layer(
            field(7, field(1, 1 << 33)) + field(10, 2) + field(12, bytes(2))
        ),
        'does not fit 1 values',
    ),
    'odd bytes': (
        blob_layer(field(7, field(1, 1)) + field(5, bytes(5))),
        'multiple',
    ),
}


@pytest.mark.parametrize('name', BAD_FILES)
def test_bad_files(name: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[name]
    path = tmp_path / 'some.caffemodel'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        read_caffemodel(path)
    assert str(path) in str(info.value)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    """Only between two layers does the rest look like a file of its own."""
    path = tmp_path / 'net.caffemodel'
    write_caffemodel(path, small_model())
    content = path.read_bytes()
    readable = []
    for size in range(len(content)):
        path.write_bytes(content[:size])
        try:
            readable.append(len(read_caffemodel(path).layers))
        except ValueError as error:
            assert str(path) in str(error)
    assert readable == [1, 2, 3]


def test_damage_is_survived(tmp_path: Path) -> None:
    """Random bytes give another model or a ValueError, nothing else."""
    path = tmp_path / 'net.caffemodel'
    write_caffemodel(path, small_model())
    content = np.frombuffer(path.read_bytes(), np.uint8)
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        damaged = content.copy()
        where = generator.integers(0, len(content), 3)
        damaged[where] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_caffemodel(path)
        except ValueError:
            refused += 1
    assert refused > 100


@pytest.mark.golden
def test_golden_parameters(data_root: Path) -> None:
    compared = 0
    for path in sorted((data_root / 'caffe_golden').glob('*.caffemodel')):
        base = path.with_name(path.name.replace('_v1.', '.'))
        arrays = np.load(base.with_suffix('.npz'))
        blobs = collect_blobs(read_caffemodel(path).layers)
        expected = {key for key in arrays if key.startswith('param/')}
        for key in expected:
            _, layer, index = key.split('/')
            blob = blobs[layer][int(index)]
            assert blob.shape == arrays[key].shape, (path.name, key)
            assert blob.tobytes() == arrays[key].tobytes(), (path.name, key)
            compared += 1
        if expected:  # the fused nets have their weights only in the file
            assert len(expected) == sum(map(len, blobs.values()))
    assert compared


@pytest.mark.golden
def test_golden_v1_equals_new(data_root: Path) -> None:
    files = sorted((data_root / 'caffe_golden').glob('*_v1.caffemodel'))
    assert files
    for path in files:
        new_path = path.with_name(path.name.replace('_v1.', '.'))
        old, new = read_caffemodel(path), read_caffemodel(new_path)
        assert old.name == new.name
        types = {layer.name: layer.type for layer in new.layers}
        for layer in old.layers:
            assert layer.type == types[layer.name], layer.name
        old_blobs = collect_blobs(old.layers)
        new_blobs = collect_blobs(new.layers)
        assert old_blobs.keys() == new_blobs.keys()
        for name, blobs in old_blobs.items():
            for a, b in zip(blobs, new_blobs[name], strict=True):
                assert a.shape == b.shape
                assert a.tobytes() == b.tobytes()


def test_file_from_the_wild(data_root: Path) -> None:
    """Batch normalisation, three blobs a layer, no biases."""
    path = data_root / 'weights' / 'mobilenetv2_yolov3_nano_voc'
    model = read_caffemodel(path / 'model.caffemodel')
    layers = {layer.name: layer for layer in model.layers}
    assert [b.shape for b in layers['layer1-conv'].blobs] == [(16, 3, 3, 3)]
    assert layers['layer1-bn'].type == 'BatchNorm'
    assert [b.shape for b in layers['layer1-bn'].blobs] == [
        (16,),
        (16,),
        (1,),
    ]
    assert all(np.isfinite(b).all() for m in model.layers for b in m.blobs)
