"""Reading and writing .caffemodel files (protobuf ``NetParameter``).

Both formats are read, the current one (``layer``, field 100) and V1
(``layers``, field 2, with enumerated types and 4-D blobs); the current one is
written. The file is taken apart field by field, with every length checked
against the size of the file first, and protobuf sees one layer at a time.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mmxdistill.atomic import atomic_write
from mmxdistill.caffe.schema import SETTINGS, V1_LAYER_TYPES, messages

__all__ = [
    'Blob',
    'CaffeLayer',
    'CaffeModel',
    'parse_layer',
    'read_caffemodel',
    'write_caffemodel',
]

Blob = npt.NDArray[np.float32]

# Protobuf wire types.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
# NetParameter's fields that hold layers, and others of wire type _BYTES.
_NAME, _V1_LAYERS, _LAYER = 1, 2, 100
_BYTES_FIELDS = {_NAME, _V1_LAYERS, 3, 6, 8, _LAYER}
_MAX_BLOB_AXES = 32  # Caffe's own limit
_MAX_LAYERS = 10_000  # damage may look like millions of empty ones
# Types of BlobProto.raw_data (NVIDIA's Caffe, OpenCV): DOUBLE, FLOAT, FLOAT16.
_RAW_TYPES: dict[int, np.dtype[Any]] = {
    0: np.dtype('<f8'),
    1: np.dtype('<f4'),
    2: np.dtype('<f2'),
}
# Dimensions of weight and bias where Caffe's legacy format has always four.
_BLOB_NDIM = {
    'Convolution': (4, 1),
    'Deconvolution': (4, 1),
    'InnerProduct': (2, 1),
}


@dataclass(frozen=True, eq=False)
class CaffeLayer:
    """One layer of a .caffemodel file.

    Attributes:
        name (str): Name of the layer, by which Caffe finds its weights.
        type (str): Type as the current format writes it (``'InnerProduct'``).
        bottoms (tuple[str, ...]): Names of the input blobs.
        tops (tuple[str, ...]): Names of the output blobs.
        blobs (tuple[Blob, ...]): Learned arrays. Convolution: weight (out, in
            / group, kh, kw) and bias (out,); inner product: weight (out, in)
            and bias (out,).
        settings (dict[str, dict[str, Any]]): Hyper-parameters as the file
            gives them, by message and field: ``{'pooling_param': {'pool': 0,
            'kernel_size': 3}}``. Those of :data:`SETTINGS` only, and not
            written by :func:`write_caffemodel`.
    """

    name: str
    type: str
    bottoms: tuple[str, ...] = ()
    tops: tuple[str, ...] = ()
    blobs: tuple[Blob, ...] = ()
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CaffeModel:
    """The content of a .caffemodel file: a name and layers in file order."""

    name: str
    layers: tuple[CaffeLayer, ...]


def read_caffemodel(path: str | os.PathLike[str]) -> CaffeModel:
    """Read a .caffemodel file of the current or the V1 format.

    Args:
        path (str | os.PathLike[str]): The file.

    Returns:
        CaffeModel: All its layers, those without weights included. V1 types
            get their current names, and 4-D legacy shapes of convolutions and
            inner products lose their leading ones, so that both formats give
            the same arrays. Weights in double or half precision (``raw_data``
            of NVIDIA's Caffe and of OpenCV's ``shrinkCaffeModel``) become
            float32.

    Raises:
        ValueError: If the file is truncated, damaged, empty, a text file
            (prototxt), of the V0 format, or something else altogether.
        ImportError: If the protobuf runtime is not installed.
    """
    path = Path(path)
    decode_error = messages().DecodeError
    name, layers = '', []
    with path.open('rb') as file:
        try:
            for number, payload in _read_fields(file):
                if number == _NAME:
                    name = payload.decode()
                else:
                    layers.append(_read_layer(number, payload))
                    if len(layers) > _MAX_LAYERS:
                        raise ValueError(f'more than {_MAX_LAYERS} layers')
            if not layers:
                raise ValueError('it holds no layers')
        except (ValueError, decode_error) as error:
            file.seek(0)
            if _is_text(file.read(4096)):
                raise ValueError(
                    f'{path} is a text file; a network definition '
                    '(prototxt) has no weights, give the binary .caffemodel'
                ) from error
            raise ValueError(
                f'{path} is no usable .caffemodel: {error}'
            ) from error
    return CaffeModel(name, tuple(layers))


def write_caffemodel(path: str | os.PathLike[str], model: CaffeModel) -> None:
    """Write a .caffemodel file of the current format.

    An existing file is replaced only once the new one is complete.

    Args:
        path (str | os.PathLike[str]): The file.
        model (CaffeModel): Its content.

    Raises:
        TypeError: If a blob is not a float32 array.
        ImportError: If the protobuf runtime is not installed.
    """
    net = messages().NetParameter
    with atomic_write(path) as file:
        file.write(net(name=model.name.encode()).SerializeToString())
        for layer in model.layers:
            # Concatenated messages are one message with all their layers.
            message = net()
            _fill_layer(message.layer.add(), layer)
            file.write(message.SerializeToString())


def _read_fields(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield number and payload of the name and layer fields of a file."""
    size = os.fstat(file.fileno()).st_size
    while (start := file.tell()) < size:
        number, wire_type = divmod(_read_varint(file), 8)
        scalar = number > 0 and number not in _BYTES_FIELDS
        if wire_type == _VARINT and scalar:
            _read_varint(file)
        elif wire_type in (_FIXED32, _FIXED64) and scalar:
            file.seek(4 if wire_type == _FIXED32 else 8, os.SEEK_CUR)
        elif wire_type == _BYTES and number > 0:
            length = _read_varint(file)
            left = size - file.tell()
            if length > left:
                raise ValueError(
                    f'field {number} at byte {start} claims {length} bytes, '
                    f'but only {left} follow; the file is truncated or '
                    'of another kind'
                )
            if number in (_NAME, _V1_LAYERS, _LAYER):
                yield number, file.read(length)
            else:
                file.seek(length, os.SEEK_CUR)
        else:
            raise ValueError(
                f'byte {start} starts no field of a Caffe network; the file '
                'is damaged or of another kind'
            )
    if start > size:
        raise ValueError('the file is truncated')


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for i in range(_MAX_VARINT_BYTES):
        byte = file.read(1)
        if not byte:
            raise ValueError('the file is truncated')
        value |= (byte[0] & 0x7F) << (7 * i)
        if byte[0] < 0x80:
            return value
    raise ValueError(f'no number before byte {file.tell()}')


def _is_text(head: bytes) -> bool:
    text = head.decode(errors='ignore')
    return bool(text) and all(c.isprintable() or c.isspace() for c in text)


def _read_layer(number: int, payload: bytes) -> CaffeLayer:
    """Read a ``layer`` or a V1 ``layers`` field."""
    kind = 'LayerParameter' if number == _LAYER else 'V1LayerParameter'
    return parse_layer(getattr(messages(), kind).FromString(payload))


def parse_layer(message: Any) -> CaffeLayer:
    """Take a ``LayerParameter`` or ``V1LayerParameter`` message apart.

    Args:
        message (Any): Of :func:`messages`.

    Raises:
        ValueError: If it is of the V0 format, or does not make sense.
    """
    if isinstance(message, messages().LayerParameter):
        kind = message.type.decode()
    elif message.HasField('layer'):
        raise ValueError(
            "it has the old V0 format; run Caffe's "
            'upgrade_net_proto_binary on it'
        )
    elif 0 <= message.type < len(V1_LAYER_TYPES):
        kind = V1_LAYER_TYPES[message.type]
    else:
        raise ValueError(f'there is no V1 layer type {message.type}')
    name = message.name.decode()
    ndim = _BLOB_NDIM.get(kind, ())
    blobs = []
    for i, blob in enumerate(message.blobs):
        try:
            blobs.append(_to_array(blob, ndim[i] if i < len(ndim) else None))
        except ValueError as error:
            raise ValueError(f'blob {i} of layer {name!r}: {error}') from error
    return CaffeLayer(
        name,
        kind,
        tuple(bottom.decode() for bottom in message.bottom),
        tuple(top.decode() for top in message.top),
        tuple(blobs),
        {
            key: {
                descriptor.name: value
                for descriptor, value in getattr(message, key).ListFields()
            }
            for key in SETTINGS
            if message.HasField(key)
        },
    )


def _to_array(blob: Any, ndim: int | None) -> Blob:
    """Turn a ``BlobProto`` into an array, of ``ndim`` axes if legacy."""
    legacy = any(
        blob.HasField(dim) for dim in ('num', 'channels', 'height', 'width')
    )
    if legacy:
        shape: tuple[int, ...] = (
            blob.num,
            blob.channels,
            blob.height,
            blob.width,
        )
        while ndim is not None and len(shape) > ndim and shape[0] == 1:
            shape = shape[1:]
    else:
        shape = tuple(blob.shape.dim)
    if len(shape) > _MAX_BLOB_AXES:
        raise ValueError(f'{len(shape)} axes, at most {_MAX_BLOB_AXES} exist')
    values = _values(blob)
    if min(shape, default=0) < 0 or math.prod(shape) != values.size:
        raise ValueError(f'shape {shape} does not fit {values.size} values')
    return values.astype(np.float32).reshape(shape)


def _values(blob: Any) -> npt.NDArray[np.floating]:
    """All numbers of a ``BlobProto``, in the precision of the file."""
    if not blob.HasField('raw_data'):
        if blob.double_data:
            return np.frombuffer(b''.join(blob.double_data), '<f8')
        return np.frombuffer(b''.join(blob.data), '<f4')
    if blob.data or blob.double_data:
        raise ValueError('it has raw_data and other data: which is right?')
    kind = _RAW_TYPES.get(blob.raw_data_type)
    if kind is None:
        raise ValueError(
            f'its raw_data has type {blob.raw_data_type}; only double (0), '
            'float (1) and half precision (2) are weights'
        )
    if len(blob.raw_data) % kind.itemsize:
        raise ValueError(
            f'its raw_data of {len(blob.raw_data)} bytes are no whole number '
            f'of {kind.name} values'
        )
    return np.frombuffer(blob.raw_data, kind)


def _fill_layer(message: Any, layer: CaffeLayer) -> None:
    """Copy ``layer`` into a ``LayerParameter`` message."""
    message.name = layer.name.encode()
    message.type = layer.type.encode()
    message.bottom.extend(bottom.encode() for bottom in layer.bottoms)
    message.top.extend(top.encode() for top in layer.tops)
    for i, blob in enumerate(layer.blobs):
        if blob.dtype != np.float32:
            raise TypeError(
                f'blob {i} of layer {layer.name!r} is {blob.dtype}, '
                'Caffe stores float32'
            )
        blob_message = message.blobs.add()
        blob_message.shape.dim.extend(blob.shape)
        blob_message.data.append(blob.astype('<f4', copy=False).tobytes())
