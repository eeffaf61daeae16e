"""Network definitions: prototxt files, and what lies between two layers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mmxdistill.caffe.caffemodel import CaffeLayer, parse_layer
from mmxdistill.caffe.schema import ENUM_VALUES, messages
from mmxdistill.text_files import read_text

__all__ = [
    'Operation',
    'Way',
    'convolution',
    'preprocessing',
    'read_prototxt',
    'ways_back',
]

_ENUM = re.compile(rf'\b({"|".join(ENUM_VALUES)})(\s*:\s*)([A-Z_0-9]+)\b')
# Layers at which a way ends.
_LEARNED = {'Convolution', 'Deconvolution', 'InnerProduct'}
# Layers that hand their input on when a trained network is run.
_TRANSPARENT = {'Concat', 'Dropout', 'Split'}


class Operation(NamedTuple):
    """What a layer computes.

    Attributes:
        type (str): Type of the layer.
        settings (dict[str, Any]): The hyper-parameters that decide about its
            numbers, with Caffe's defaults filled in; empty for other types,
            and if the file does not say them.
        pad (tuple[int, int]): Padding (height, width), which moves the borders
            only.
    """

    type: str
    settings: dict[str, Any]
    pad: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        listed = (f'{key} {value}' for key, value in self.settings.items())
        return f'{self.type}({", ".join(listed)})'


class Way(NamedTuple):
    """A layer, and the operations between it and a later one."""

    start: str
    operations: tuple[Operation, ...]


def read_prototxt(path: str | os.PathLike[str]) -> tuple[CaffeLayer, ...]:
    """Read the layers of a network definition.

    Args:
        path (str | os.PathLike[str]): The text file; layers of the current or
            the V1 format.

    Returns:
        tuple[CaffeLayer, ...]: Its layers, without blobs.

    Raises:
        ValueError: If it is no network definition, or has no layers.
        ImportError: If the protobuf runtime is not installed.
    """
    net = messages().NetParameter()
    from google.protobuf import text_format

    def number(match: re.Match[str]) -> str:
        key, colon, name = match.groups()
        return f'{key}{colon}{ENUM_VALUES[key].get(name, name)}'

    try:
        text = _ENUM.sub(number, read_text(path))
        text_format.Parse(text, net, allow_unknown_field=True)
        layers = tuple(map(parse_layer, (*net.layers, *net.layer)))
        if not layers:
            raise ValueError('it has no layers')
    except (ValueError, text_format.ParseError) as error:
        raise ValueError(
            f'{path} is no network definition (prototxt): {error}'
        ) from error
    return layers


def ways_back(layers: Sequence[CaffeLayer], name: str) -> list[Way] | None:
    """Follow a layer's input back to the nearest learned layers.

    Layers in place count in the order of the file, as Caffe runs them.

    Args:
        layers (Sequence[CaffeLayer]): A network's layers.
        name (str): Name of the layer whose input is followed.

    Returns:
        list[Way] | None: One way for each of them (several where layers are
            concatenated), with start ``''`` if no layer of the file writes
            what is read, as for the input of the network. None if the file
            does not say what the layer reads.
    """

    def ways_to(blob: str, before: int) -> list[Way]:
        writers = (
            i for i in range(before - 1, -1, -1) if blob in layers[i].tops
        )
        index = next(writers, None)
        if index is None or not layers[index].bottoms:
            return [Way('', ())]
        layer = layers[index]
        if layer.type in _LEARNED:
            return [Way(layer.name, ())]
        data = layer.bottoms if layer.type == 'Concat' else layer.bottoms[:1]
        found = [way for bottom in data for way in ways_to(bottom, index)]
        if layer.type in _TRANSPARENT:
            return found
        operation = _operation(layer, told)
        return [Way(way.start, (*way.operations, operation)) for way in found]

    # Some tools leave all hyper-parameters out: those are no defaults.
    told = any(layer.settings for layer in layers)
    index = next(
        (i for i, layer in enumerate(layers) if layer.name == name), None
    )
    if index is None or not layers[index].bottoms:
        return None
    return ways_to(layers[index].bottoms[0], index)


def convolution(layer: CaffeLayer) -> Operation | None:
    """Stride, dilation, groups and padding of a convolution.

    Args:
        layer (CaffeLayer): The layer.

    Returns:
        Operation | None: None if the file does not say them.
    """
    given = layer.settings.get('convolution_param')
    if given is None:
        return None
    return Operation(
        'Convolution',
        {
            'stride': _pair(given, 'stride', 1),
            'dilation': _pair(given, 'dilation', 1),
            'group': given.get('group', 1),
        },
        _pair(given, 'pad', 0),
    )


def preprocessing(layers: Sequence[CaffeLayer]) -> dict[str, Any]:
    """What the first data layer does with the pixels.

    Args:
        layers (Sequence[CaffeLayer]): A network's layers.

    Returns:
        dict[str, Any]: Its ``scale``, ``mean_value`` (list) and ``mean_file``,
            as far as the file gives them.
    """
    for layer in layers:
        found = layer.settings.get('transform_param')
        if found:
            known = {
                'scale': found.get('scale'),
                'mean_value': list(found.get('mean_value', ())),
                'mean_file': found.get('mean_file', b'').decode(),
            }
            return {key: value for key, value in known.items() if value}
    return {}


def _operation(layer: CaffeLayer, told: bool) -> Operation:
    """What a layer computes; ``told``: the file has hyper-parameters."""
    if layer.type == 'Pooling':
        given = layer.settings.get('pooling_param', {})
        names = {number: name for name, number in ENUM_VALUES['pool'].items()}
        kind = given.get('pool', 0)
        settings: dict[str, Any] = {'pool': names.get(kind, kind)}
        if given.get('global_pooling'):
            settings['global'] = True
        elif not given.keys() & {'kernel_size', 'kernel_h', 'kernel_w'}:
            return Operation('Pooling', {})
        else:
            settings['kernel'] = _pair(given, 'kernel', 1)
            settings['stride'] = _pair(given, 'stride', 1)
        if given.get('round_mode'):
            settings['round'] = 'FLOOR'
        return Operation('Pooling', settings, _pair(given, 'pad', 0))
    if layer.type == 'LRN' and told:
        given = layer.settings.get('lrn_param', {})
        settings = {
            'local_size': given.get('local_size', 5),
            'alpha': _rounded(given.get('alpha', 1)),
            'beta': _rounded(given.get('beta', 0.75)),
            'k': _rounded(given.get('k', 1)),
        }
        if given.get('norm_region'):
            settings['norm_region'] = 'WITHIN_CHANNEL'
        return Operation('LRN', settings)
    if layer.type == 'ReLU':
        given = layer.settings.get('relu_param', {})
        slope = _rounded(given.get('negative_slope', 0))
        return Operation('ReLU', {'negative_slope': slope} if slope else {})
    return Operation(layer.type, {})


def _pair(given: Mapping[str, Any], key: str, default: int) -> tuple[int, int]:
    """Height and width of a setting that has three ways to be written."""
    both = given.get('kernel_size' if key == 'kernel' else key, default)
    values = [both] if isinstance(both, int) else [*both] or [default]
    return tuple(
        given.get(f'{key}_{side}', value)
        for side, value in zip('hw', (values[0], values[-1]), strict=True)
    )


def _rounded(value: float) -> float:
    """A float32 setting as it was written."""
    return float(f'{value:.6g}')
