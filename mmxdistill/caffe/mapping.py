"""Caffe layers <-> parameters of mmdet-style models.

========================  ==========================================
Caffe layer               parameters (``.weight`` and ``.bias``)
========================  ==========================================
convolution ``a/b``       ``backbone.a.b``
``fc6``, ``fc7``          ``roi_head.bbox_head.fc6``, ``...fc7``
``cls_score``             ``roi_head.bbox_head.fc_cls``
``bbox_pred``             ``roi_head.bbox_head.fc_reg``
``fcfc7``, ``conv_pool2`` ``roi_head.mask_head.fcfc7``, ...
(SDS: any ``conv_<map>``)
``fc8`` (ImageNet)        ``head.fc``
========================  ==========================================

Caffe's background is class 0 and has box outputs (which no loss ever trains);
mmdet's is the last class and has none. Everything else is copied: the layout
of the weights, the flatten order before fc6 and the channel order of conv1
(BGR for the released networks) are the same on both sides.

A Caffe network has one or two streams; the layers of the second carry the
prefix ``da_``. Two streams become ``streams.<name>.`` of a late-fusion
detector; a single stream becomes a detector of its own.

Names only: whether the layers form a network that a model can take is found
out by comparison with the model (:mod:`mmxdistill.models.caffe_nets`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmxdistill.caffe.caffemodel import Blob, CaffeLayer

__all__ = [
    'STREAM_PREFIXES',
    'Blobs',
    'FromCaffe',
    'ToCaffe',
    'caffe_to_mm',
    'collect_blobs',
    'mm_to_caffe',
    'stream_scopes',
]

Blobs = tuple[Blob, ...]

# Prefixes of the layers of the first and the second stream.
STREAM_PREFIXES = ('', 'da_')
_BACKBONE = 'backbone.'
_MASK_HEAD = 'roi_head.mask_head.'
_HEAD_KEYS = {
    'fc6': 'roi_head.bbox_head.fc6',
    'fc7': 'roi_head.bbox_head.fc7',
    'fc8': 'head.fc',
    'cls_score': 'roi_head.bbox_head.fc_cls',
    'bbox_pred': 'roi_head.bbox_head.fc_reg',
    'fcfc7': f'{_MASK_HEAD}fcfc7',
}
_HEAD_LAYERS = {key: layer for layer, key in _HEAD_KEYS.items()}
_MAP_PREFIX = 'conv_'  # of the SDS networks' convolutions on feature maps
_BOX_SIZE = 4
_PARAMETERS = ('weight', 'bias')
_CONVOLUTION_AXES = 4


class FromCaffe(NamedTuple):
    """Result of :func:`caffe_to_mm`.

    Attributes:
        state_dict (dict[str, Blob]): Parameters by key.
        background_boxes (dict[str, Blob]): Rows of Caffe's ``bbox_pred`` that
            ``fc_reg`` has no place for, by the key of the parameter they were
            cut from.
        layers (dict[str, str]): Caffe layer by key without ``.weight``.
        scopes (dict[str, str]): Start of the keys of each stream, by the
            prefix of its layers.
    """

    state_dict: dict[str, Blob]
    background_boxes: dict[str, Blob]
    layers: dict[str, str]
    scopes: dict[str, str]


class ToCaffe(NamedTuple):
    """Result of :func:`mm_to_caffe`.

    Attributes:
        layers (tuple[CaffeLayer, ...]): Layers in the order of the parameters,
            the plain stream first.
        keys (dict[str, str]): Key without ``.weight`` by Caffe layer.
        scopes (dict[str, str]): Start of the keys of each stream, by the
            prefix of its layers.
    """

    layers: tuple[CaffeLayer, ...]
    keys: dict[str, str]
    scopes: dict[str, str]


def collect_blobs(layers: Iterable[CaffeLayer]) -> dict[str, Blobs]:
    """Return the blobs of all layers that have some, by layer name.

    Args:
        layers (Iterable[CaffeLayer]): Layers of one file, or of several that
            are to be joined.

    Raises:
        ValueError: If a name occurs twice.
    """
    learned = [layer for layer in layers if layer.blobs]
    counts = Counter(layer.name for layer in learned)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f'these layers occur more than once: {", ".join(repeated)}'
        )
    return {layer.name: layer.blobs for layer in learned}


def caffe_to_mm(
    layers: Mapping[str, Blobs],
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
) -> FromCaffe:
    """Map Caffe layers to the parameters of a model.

    Args:
        layers (Mapping[str, Blobs]): Blobs by layer name.
        stream_names (Sequence[str]): Names of the stream with plain layer
            names and of the one with the prefix ``da_``.
        stream (str, optional): Convert only this stream, to a model of its
            own.

    Returns:
        FromCaffe: The parameters of a single detector (or its backbone) for
            one stream, of a late-fusion detector for two. A stream is what has
            a convolution; layers without a place in a model keep their name as
            key.

    Raises:
        ValueError: If there is no stream, or not the one that is asked for.
    """
    names = _names_by_prefix(stream_names, stream)
    plain, second = STREAM_PREFIXES
    streams: dict[str, dict[str, Blobs]] = {plain: {}, second: {}}
    for full_name, blobs in layers.items():
        prefix = second if full_name.startswith(second) else plain
        streams[prefix][full_name.removeprefix(prefix)] = blobs
    found = [p for p in names if any(map(_is_conv, streams[p].values()))]
    if not found:
        wanted = 'convolution' if stream is None else f'stream {stream!r}'
        raise ValueError(
            f'the Caffe layers have no {wanted}; found: '
            f'{", ".join(layers) or "no weights"}'
        )
    result = FromCaffe(
        {},
        {},
        {},
        {p: f'streams.{names[p]}.' if found[1:] else '' for p in found},
    )
    for prefix, scope in result.scopes.items():
        for name, blobs in streams[prefix].items():
            key = scope + _key(name, blobs)
            result.layers[key] = prefix + name
            for parameter, blob in _by_parameter(blobs):
                full_key = f'{key}.{parameter}'
                result.state_dict[full_key] = blob
                if name == 'cls_score':
                    result.state_dict[full_key] = np.roll(blob, -1, axis=0)
                elif name == 'bbox_pred':
                    result.background_boxes[full_key] = blob[:_BOX_SIZE]
                    result.state_dict[full_key] = blob[_BOX_SIZE:]
    return result


def mm_to_caffe(
    state_dict: Mapping[str, Blob],
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
    background_boxes: Mapping[str, Blob] | None = None,
) -> ToCaffe:
    """Map the parameters of a model to Caffe layers.

    Args:
        state_dict (Mapping[str, Blob]): Parameters of a detector, a backbone
            under ``backbone.``, or a late-fusion detector with both
            ``stream_names``.
        stream_names (Sequence[str]): Names of the stream that gets plain layer
            names and of the one that gets the prefix ``da_``.
        stream (str, optional): For a late-fusion detector: convert only this
            stream. Else: which of the two the model is; default the first.
        background_boxes (Mapping[str, Blob], optional): Rows of ``bbox_pred``
            for the background class, by the key of the parameter that they
            extend. Default: zeros.

    Returns:
        ToCaffe: Layers in the order of the parameters, the plain stream first.

    Raises:
        ValueError: If a parameter has no Caffe layer, or there is no such
            stream.
    """
    scopes = stream_scopes(state_dict, stream_names, stream)
    streams: dict[str, dict[str, dict[str, Blob]]] = {p: {} for p in scopes}
    keys: dict[str, str] = {}
    for prefix, scope in scopes.items():
        for key in filter(lambda k: k.startswith(scope), state_dict):
            path, _, parameter = key.removeprefix(scope).rpartition('.')
            name = _layer(path)
            if name is None or parameter not in _PARAMETERS:
                raise ValueError(f'{key} has no Caffe layer')
            value = state_dict[key]
            if name == 'cls_score':
                value = np.roll(value, 1, axis=0)
            elif name == 'bbox_pred':
                rows = (background_boxes or {}).get(key)
                if rows is None:
                    rows = np.zeros_like(value[:_BOX_SIZE])
                value = np.concatenate([rows, value])
            keys[prefix + name] = scope + path
            streams[prefix].setdefault(name, {})[parameter] = value
    layers = []
    for prefix, named in streams.items():
        for name, values in named.items():
            blobs = tuple(values[p] for p in _PARAMETERS if p in values)
            kind = 'Convolution' if _is_conv(blobs) else 'InnerProduct'
            layers.append(CaffeLayer(prefix + name, kind, blobs=blobs))
    return ToCaffe(tuple(layers), keys, scopes)


def stream_scopes(
    state_dict: Mapping[str, Blob],
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
) -> dict[str, str]:
    """Start of the keys of the streams to convert, by Caffe prefix.

    Args:
        state_dict (Mapping[str, Blob]): Parameters; see :func:`mm_to_caffe`.
        stream_names (Sequence[str]): See :func:`mm_to_caffe`.
        stream (str, optional): See :func:`mm_to_caffe`.

    Raises:
        ValueError: If there is no such stream.
    """
    names = _names_by_prefix(stream_names, stream)
    present = {k.split('.')[1] for k in state_dict if k.startswith('streams.')}
    if not present:
        return {next(iter(names)): ''}
    absent = [name for name in names.values() if name not in present]
    if absent:
        raise ValueError(
            f'the checkpoint has no stream {", ".join(map(repr, absent))}, '
            f'only {", ".join(map(repr, sorted(present)))}'
        )
    return {prefix: f'streams.{name}.' for prefix, name in names.items()}


def _names_by_prefix(
    stream_names: Sequence[str], stream: str | None
) -> dict[str, str]:
    """Return the names of the streams to convert, by layer prefix."""
    if len(set(stream_names)) != len(STREAM_PREFIXES):
        raise ValueError(f'expected two stream names, got {stream_names}')
    if stream is not None and stream not in stream_names:
        raise ValueError(
            f'unknown stream {stream!r}, the streams are called '
            f'{" and ".join(map(repr, stream_names))}'
        )
    names = zip(STREAM_PREFIXES, stream_names, strict=True)
    return {p: name for p, name in names if stream in (None, name)}


def _is_conv(blobs: Blobs) -> bool:
    return bool(blobs) and blobs[0].ndim == _CONVOLUTION_AXES


def _by_parameter(blobs: Blobs) -> Iterable[tuple[str, Blob]]:
    """Name and value of the blobs; those that no model has are numbered."""
    for i, blob in enumerate(blobs):
        yield _PARAMETERS[i] if i < len(_PARAMETERS) else f'blob{i}', blob


def _key(layer: str, blobs: Blobs) -> str:
    if layer in _HEAD_KEYS:
        return _HEAD_KEYS[layer]
    if layer.startswith(_MAP_PREFIX):
        return _MASK_HEAD + layer
    if not _is_conv(blobs):
        return layer
    return _BACKBONE + layer.replace('/', '.')


def _layer(key: str) -> str | None:
    if key.startswith(_BACKBONE):
        return key.removeprefix(_BACKBONE).replace('.', '/')
    if key.startswith(_MASK_HEAD + _MAP_PREFIX):
        return key.removeprefix(_MASK_HEAD)
    return _HEAD_LAYERS.get(key)
