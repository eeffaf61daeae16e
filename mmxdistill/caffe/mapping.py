"""Caffe layers <-> parameters of mmdet-style models.

========================  ==========================================
Caffe layer               parameters (``.weight`` and ``.bias``)
========================  ==========================================
convolution ``a/b``       ``backbone.a.b``
``fc6``, ``fc7``          ``roi_head.bbox_head.fc6``, ``...fc7``
``cls_score``             ``roi_head.bbox_head.fc_cls``
``bbox_pred``             ``roi_head.bbox_head.fc_reg``
``fc8`` (ImageNet)        ``head.fc``
========================  ==========================================

Caffe's background is class 0 and has box outputs (which no loss ever trains);
mmdet's is the last class and has none. Everything else is copied: the layout
of the weights, the flatten order before fc6 and the channel order of conv1
(BGR for the released networks) are the same on both sides.

A Caffe network has one or two streams; the layers of the second carry the
prefix ``da_``. Two streams become ``streams.<name>.`` of a late-fusion
detector; a single stream becomes a detector of its own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from mmxdistill.caffe.caffemodel import Blob, CaffeLayer
from mmxdistill.caffe.nets import Blobs, Net, find_problems, identify

__all__ = [
    'STREAM_PREFIXES',
    'FromCaffe',
    'Report',
    'ToCaffe',
    'caffe_to_mm',
    'collect_blobs',
    'mm_to_caffe',
]

# Prefixes of the layers of the first and the second stream.
STREAM_PREFIXES = ('', 'da_')
_BACKBONE = 'backbone.'
_HEAD_KEYS = {
    'fc6': 'roi_head.bbox_head.fc6',
    'fc7': 'roi_head.bbox_head.fc7',
    'fc8': 'head.fc',
    'cls_score': 'roi_head.bbox_head.fc_cls',
    'bbox_pred': 'roi_head.bbox_head.fc_reg',
}
_HEAD_LAYERS = {key: layer for layer, key in _HEAD_KEYS.items()}
_BOX_SIZE = 4
_MAX_LISTED = 8
_PARAMETERS = ('weight', 'bias')


class Report(NamedTuple):
    """What a conversion did.

    Attributes:
        nets: Network of each stream, by the prefix of its Caffe layers.
        mapped: Caffe layer, key without ``.weight``, and shape of the Caffe
            weight, for each layer.
        skipped: Layers or parameters that were left out.
    """

    nets: dict[str, str]
    mapped: list[tuple[str, str, tuple[int, ...]]]
    skipped: list[str]


class FromCaffe(NamedTuple):
    """Result of :func:`caffe_to_mm`.

    Attributes:
        state_dict: Parameters by key.
        background_boxes: Rows of Caffe's ``bbox_pred`` that ``fc_reg`` has no
            place for, by the key of the parameter they were cut from.
        report: What was mapped.
    """

    state_dict: dict[str, Blob]
    background_boxes: dict[str, Blob]
    report: Report


class ToCaffe(NamedTuple):
    """Result of :func:`mm_to_caffe`: layers, and what was mapped."""

    layers: tuple[CaffeLayer, ...]
    report: Report


def collect_blobs(layers: Iterable[CaffeLayer]) -> dict[str, Blobs]:
    """Return the blobs of all layers that have some, by layer name.

    Args:
        layers: Layers of one file, or of several that are to be joined.

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
    skip_extra: bool = False,
) -> FromCaffe:
    """Map Caffe layers to the parameters of a model.

    Args:
        layers: Blobs by layer name.
        stream_names: Names of the stream with plain layer names and of the
            one with the prefix ``da_``.
        stream: Convert only this stream, to a model of its own.
        skip_extra: Leave out layers that no known network has, as Caffe does,
            instead of raising an error.

    Returns:
        The parameters of a single detector (or its backbone) for one stream,
        of a late-fusion detector for two.

    Raises:
        ValueError: Naming all layers that are missing, unknown or of another
            shape; or if there is no known network, or no such stream.
    """
    names = _names_by_prefix(stream_names, stream)
    plain, second = STREAM_PREFIXES
    streams: dict[str, dict[str, Blobs]] = {plain: {}, second: {}}
    for full_name, blobs in layers.items():
        prefix = second if full_name.startswith(second) else plain
        streams[prefix][full_name.removeprefix(prefix)] = blobs
    streams = {p: streams[p] for p in names if streams[p]}
    if stream is not None and not streams:
        raise ValueError(f'the Caffe layers have no stream {stream!r}')

    nets, skipped = _check(streams, '{}{}'.format, [], skip_extra)
    state_dict, background_boxes = {}, {}
    report = Report({p: net.name for p, net in nets.items()}, [], skipped)
    for prefix, name in _layers_in_order(nets, streams):
        scope = f'streams.{names[prefix]}.' if len(nets) > 1 else ''
        key = scope + _key(name)
        blobs = streams[prefix][name]
        report.mapped.append((prefix + name, key, blobs[0].shape))
        for parameter, blob in zip(_PARAMETERS, blobs, strict=True):
            full_key = f'{key}.{parameter}'
            state_dict[full_key] = blob
            if name == 'cls_score':
                state_dict[full_key] = np.roll(blob, -1, axis=0)
            elif name == 'bbox_pred':
                background_boxes[full_key] = blob[:_BOX_SIZE]
                state_dict[full_key] = blob[_BOX_SIZE:]
    return FromCaffe(state_dict, background_boxes, report)


def mm_to_caffe(
    state_dict: Mapping[str, Blob],
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
    background_boxes: Mapping[str, Blob] | None = None,
    skip_extra: bool = False,
) -> ToCaffe:
    """Map the parameters of a model to Caffe layers.

    Args:
        state_dict: Parameters of a detector, a backbone under ``backbone.``,
            or a late-fusion detector with both ``stream_names``.
        stream_names: Names of the stream that gets plain layer names and of
            the one that gets the prefix ``da_``.
        stream: For a late-fusion detector: convert only this stream. Else:
            which of the two the model is; default the first.
        background_boxes: Rows of ``bbox_pred`` for the background class, by
            the key of the parameter that they extend. Default: zeros.
        skip_extra: Leave out parameters that have no Caffe layer, instead of
            raising an error.

    Returns:
        Layers in network order, the plain stream first.

    Raises:
        ValueError: Naming all parameters that are missing, unknown or of
            another shape; or if there is no known network, or no such stream.
    """
    names = _names_by_prefix(stream_names, stream)
    present = {k.split('.')[1] for k in state_dict if k.startswith('streams.')}
    if present:
        scopes = {p: f'streams.{name}.' for p, name in names.items()}
        known_scopes = tuple(f'streams.{name}.' for name in stream_names)
        extra = [k for k in state_dict if not k.startswith(known_scopes)]
    else:
        scopes, extra = {next(iter(names)): ''}, []
    absent = [name for name in names.values() if name not in present]
    if present and absent:
        raise ValueError(
            f'the checkpoint has no stream {", ".join(map(repr, absent))}, '
            f'only {", ".join(map(repr, sorted(present)))}'
        )

    streams: dict[str, dict[str, Blobs]] = {}
    for prefix, scope in scopes.items():
        parameters: dict[str, dict[str, Blob]] = {}
        for key in filter(lambda k: k.startswith(scope), state_dict):
            path, _, parameter = key.removeprefix(scope).rpartition('.')
            name = _layer(path)
            if name is None or parameter not in _PARAMETERS:
                extra.append(key)
                continue
            value = state_dict[key]
            if name == 'cls_score':
                value = np.roll(value, 1, axis=0)
            elif name == 'bbox_pred':
                rows = (background_boxes or {}).get(key)
                if rows is None:
                    rows = np.zeros_like(value[:_BOX_SIZE])
                value = np.concatenate([rows, value])
            parameters.setdefault(name, {})[parameter] = value
        streams[prefix] = {
            name: tuple(values[p] for p in _PARAMETERS if p in values)
            for name, values in parameters.items()
        }

    def key_of(prefix: str, name: str) -> str:
        return scopes[prefix] + _key(name)

    nets, skipped = _check(
        streams,
        lambda prefix, name: f'{key_of(prefix, name)} -> {prefix}{name}',
        extra,
        skip_extra,
    )
    layers = []
    report = Report({p: net.name for p, net in nets.items()}, [], skipped)
    for prefix, name in _layers_in_order(nets, streams):
        blobs = streams[prefix][name]
        kind = 'InnerProduct' if name in _HEAD_KEYS else 'Convolution'
        layers.append(CaffeLayer(prefix + name, kind, blobs=blobs))
        report.mapped.append(
            (prefix + name, key_of(prefix, name), blobs[0].shape)
        )
    return ToCaffe(tuple(layers), report)


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


def _check(
    streams: Mapping[str, dict[str, Blobs]],
    label: Callable[[str, str], str],
    extra: Sequence[str],
    skip_extra: bool,
) -> tuple[dict[str, Net], list[str]]:
    """Identify the network of each stream and check its layers.

    Args:
        streams: Layers by prefix.
        label: Gives the name to print for a layer (prefix, name).
        extra: What is known to be superfluous already.
        skip_extra: Whether superfluous layers are no error.

    Returns:
        The networks by prefix, and the superfluous layers.
    """
    nets = {}
    problems = []
    extra = list(extra)
    for prefix, layers in streams.items():
        net = identify(layers)
        if net is None:
            extra += [label(prefix, name) for name in layers]
            continue
        nets[prefix] = net
        unknown = [name for name in layers if name not in net.layer_names]
        extra += [label(prefix, name) for name in unknown]
        problems += find_problems(net, layers, partial(label, prefix))
    if not nets:
        found = ', '.join(extra[:_MAX_LISTED]) or 'no weights'
        if len(extra) > _MAX_LISTED:
            found += f' and {len(extra) - _MAX_LISTED} more'
        raise ValueError(
            'nothing has the name of a convolution of CaffeNet, VGG16 or '
            f'SqueezeNet; found: {found}'
        )
    if extra and not skip_extra:
        problems += [f'unknown: {name}' for name in extra]
        problems.append('(unknown ones can be left out: skip-extra)')
    if problems:
        raise ValueError(
            '\n  '.join(
                [
                    'the layers do not fit '
                    + ' and '.join(net.name for net in nets.values()),
                    *problems,
                ]
            )
        )
    return nets, extra


def _layers_in_order(
    nets: Mapping[str, Net], streams: Mapping[str, Mapping[str, Blobs]]
) -> list[tuple[str, str]]:
    """Return (prefix, name) of all layers that are there, in order."""
    return [
        (prefix, name)
        for prefix, net in nets.items()
        for name in net.layer_names
        if name in streams[prefix]
    ]


def _key(layer: str) -> str:
    return _HEAD_KEYS.get(layer) or _BACKBONE + layer.replace('/', '.')


def _layer(key: str) -> str | None:
    if key.startswith(_BACKBONE):
        return key.removeprefix(_BACKBONE).replace('.', '/')
    return _HEAD_LAYERS.get(key)
