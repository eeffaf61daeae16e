"""Caffe files <-> checkpoints: what tools/model_converters run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mmxdistill.atomic import atomic_write
from mmxdistill.caffe import (
    CaffeLayer,
    CaffeModel,
    caffe_to_mm,
    collect_blobs,
    mm_to_caffe,
    read_caffemodel,
    read_prototxt,
    write_caffemodel,
)
from mmxdistill.caffe.caffemodel import Blob
from mmxdistill.caffe.definition import preprocessing
from mmxdistill.caffe.mapping import STREAM_PREFIXES, stream_scopes
from mmxdistill.compat import allow_checkpoint_globals
from mmxdistill.models.caffe_nets import (
    Network,
    compare_definition,
    find_problems,
    identify,
)
from mmxdistill.models.checkpoints import check_start

__all__ = ['Report', 'caffemodel_to_checkpoint', 'checkpoint_to_caffemodel']

_MAX_LISTED = 8


class Report(NamedTuple):
    """What a conversion did.

    Attributes:
        nets (dict[str, str]): Network of each stream, by the prefix of its
            Caffe layers.
        mapped (list[tuple[str, str, tuple[int, ...]]]): Caffe layer, key
            without ``.weight``, and shape of the Caffe weight, for each layer.
        skipped (list[str]): Layers or parameters that were left out.
        remarks (list[str]): What the user should know.
    """

    nets: dict[str, str]
    mapped: list[tuple[str, str, tuple[int, ...]]]
    skipped: list[str]
    remarks: list[str]

    def __str__(self) -> str:
        width = max(len(layer) for layer, _, _ in self.mapped)
        lines = [
            f'{layer:{width}} <-> {key}  {"x".join(map(str, shape))}'
            for layer, key, shape in self.mapped
        ]
        lines += [f'skipped: {name}' for name in self.skipped]
        lines += [f'note: {remark}' for remark in self.remarks]
        return '\n'.join(lines)


def caffemodel_to_checkpoint(
    inputs: Sequence[str],
    output: str,
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
    skip_extra: bool = False,
    prototxt: str | None = None,
) -> Report:
    """Convert .caffemodel files to a checkpoint for mmengine.

    Args:
        inputs (Sequence[str]): The files; a second one gives the other stream.
        output (str): The checkpoint.
        stream_names (Sequence[str]): Names of the stream with plain Caffe
            layer names and of the one with the prefix ``da_``.
        stream (str, optional): Convert only this stream, to a detector of its
            own.
        skip_extra (bool): Leave out layers that no network of ours has, as
            Caffe does.
        prototxt (str, optional): The network definition, for files that do not
            say how their layers are connected.

    Returns:
        Report: What was done.

    Raises:
        ValueError: A file is of no use, or its layers do not form a network
            of ours: weights are missing, unknown or of another shape, or the
            file says that they are used in another way.
    """
    layers = [
        layer for path in inputs for layer in read_caffemodel(path).layers
    ]
    definition = read_prototxt(prototxt) if prototxt else layers
    try:
        blobs = collect_blobs(layers)
        found = caffe_to_mm(blobs, stream_names, stream)
        nets, extra = _check(
            found.state_dict,
            found.scopes,
            lambda key: _join(found.layers.get(_path(key), ''), key),
            skip_extra,
        )
        remarks = _compare(nets, definition)
    except ValueError as error:
        raise ValueError(f'{", ".join(inputs)}: {error}') from error
    pixels = preprocessing(definition)
    remarks += _pixel_remarks(pixels)
    # What the way back needs: the stream, and rows that mmdet cannot hold.
    caffe = {
        'background_boxes': _to_tensors(found.background_boxes),
        'prefixes': list(nets),
        'preprocessing': pixels,
    }
    kept = {k: v for k, v in found.state_dict.items() if k not in extra}
    with atomic_write(output) as file:
        torch.save(
            {'state_dict': _to_tensors(kept), 'meta': {'caffe': caffe}},
            file,
        )
    paths = {_path(key) for key in kept}
    return Report(
        {prefix: net.name for prefix, net in nets.items()},
        [
            (layer, key, blobs[layer][0].shape)
            for key, layer in found.layers.items()
            if key in paths
        ],
        sorted(found.layers.get(_path(key), key) for key in extra),
        remarks,
    )


def checkpoint_to_caffemodel(
    inputs: Sequence[str],
    output: str,
    stream_names: Sequence[str] = ('rgb', 'hha'),
    stream: str | None = None,
    skip_extra: bool = False,
) -> Report:
    """Convert checkpoints to a .caffemodel file.

    Args:
        inputs (Sequence[str]): The checkpoint; with a second one, the two
            detectors become the plain and the ``da_`` stream of one network.
        output (str): The Caffe file.
        stream_names (Sequence[str]): See :func:`caffemodel_to_checkpoint`.
        stream (str, optional): Of a late-fusion detector: convert only this
            stream. Else: which stream the detector is; None: that of the
            .caffemodel it came from, or the plain one.
        skip_extra (bool): Leave out parameters that have no Caffe layer.

    Returns:
        Report: What was done.

    Raises:
        ValueError: A file is no checkpoint, or its parameters do not form a
            network of ours.
    """
    parameters: dict[str, Blob] = {}
    background_boxes: dict[str, Blob] = {}
    for name, path in zip(stream_names, inputs, strict=False):
        tensors, caffe = _load_checkpoint(path)
        scope = f'streams.{name}.' if len(inputs) > 1 else ''
        parameters.update(_to_arrays(tensors, scope))
        boxes = caffe.get('background_boxes', {})
        background_boxes.update(_to_arrays(boxes, scope))
        prefixes = caffe.get('prefixes', ())
        if stream is None and not scope and len(prefixes) == 1:
            stream = stream_names[STREAM_PREFIXES.index(prefixes[0])]
    try:
        nets, extra = _check(
            parameters,
            stream_scopes(parameters, stream_names, stream),
            str,
            skip_extra,
        )
        kept = {k: v for k, v in parameters.items() if k not in extra}
        layers, keys, _ = mm_to_caffe(
            kept, stream_names, stream, background_boxes
        )
    except ValueError as error:
        raise ValueError(f'{", ".join(inputs)}: {error}') from error
    names = {prefix: net.name for prefix, net in nets.items()}
    write_caffemodel(output, CaffeModel('_'.join(names.values()), layers))
    return Report(
        names,
        [(la.name, keys[la.name], la.blobs[0].shape) for la in layers],
        sorted(extra),
        [],
    )


def _check(
    parameters: Mapping[str, Blob],
    scopes: Mapping[str, str],
    label: Any,
    skip_extra: bool,
) -> tuple[dict[str, Network], set[str]]:
    """Identify the network of each stream and compare the shapes.

    Args:
        parameters (Mapping[str, Blob]): By key.
        scopes (Mapping[str, str]): Start of the keys of each stream, by
            Caffe's prefix.
        label (Any): Gives what to print for a key.
        skip_extra (bool): Whether superfluous parameters are no error.

    Returns:
        tuple[dict[str, Network], set[str]]: The networks by prefix, and the
            keys of superfluous parameters.
    """
    nets: dict[str, Network] = {}
    problems: list[str] = []
    extra = {
        key
        for key in parameters
        if not key.startswith('streams.')
        and not key.startswith(tuple(scopes.values()))
    }
    for prefix, scope in scopes.items():
        shapes = {
            key.removeprefix(scope): tuple(value.shape)
            for key, value in parameters.items()
            if key.startswith(scope)
        }
        net = identify(shapes)
        if net is None:
            extra |= {scope + key for key in shapes}
            continue
        nets[prefix] = net
        extra |= {scope + key for key in shapes.keys() - net.shapes.keys()}
        labels = {key: label(scope + key) for key in net.shapes}
        problems += find_problems(net, shapes, labels.__getitem__)
    if not nets:
        found = sorted({_path(key) for key in parameters}) or ['no weights']
        more = len(found) - _MAX_LISTED
        raise ValueError(
            'nothing has the name of a convolution of CaffeNet, VGG16 or '
            f'SqueezeNet; found: {", ".join(found[:_MAX_LISTED])}'
            + (f' and {more} more' if more > 0 else '')
        )
    if extra and not skip_extra:
        problems += [f'unknown: {label(key)}' for key in sorted(extra)]
        problems.append('(unknown ones can be left out: --skip-extra)')
    if problems:
        names = ' and '.join(net.name for net in nets.values())
        raise ValueError(
            '\n  '.join([f'the layers do not fit {names}', *problems])
        )
    return nets, extra


def _compare(
    nets: dict[str, Network], layers: Sequence[CaffeLayer]
) -> list[str]:
    """Compare the networks with the definition, name them; the remarks."""
    problems: list[str] = []
    remarks: list[str] = []
    for prefix, net in nets.items():
        name, differences, notes = compare_definition(net, layers, prefix)
        nets[prefix] = net._replace(name=name)
        problems += differences
        remarks += notes
    if problems:
        raise ValueError(
            '\n  '.join(
                [
                    'the weights belong to another network, in ours they '
                    'would give other features:',
                    *problems,
                ]
            )
        )
    return remarks


def _pixel_remarks(pixels: Mapping[str, Any]) -> list[str]:
    """What the data preprocessor has to do for the converted weights."""
    remarks = []
    mean, scale = pixels.get('mean_value'), pixels.get('scale', 1.0)
    if mean or 'scale' in pixels:
        mean = [round(value, 4) for value in (mean or [0.0])]
        mean = mean * 3 if len(mean) == 1 else mean
        remarks.append(
            f'the data layer gives BGR, (pixel - {mean}) * {scale:g}: write '
            f'data_preprocessor mean={mean}, std={[1 / scale] * len(mean)}, '
            'bgr_to_rgb=False'
        )
    if 'mean_file' in pixels:
        remarks.append(
            f"the data layer subtracts the image '{pixels['mean_file']}' from "
            'BGR pixels; write its average as data_preprocessor mean (this '
            'file does not hold it)'
        )
    return remarks


def _load_checkpoint(
    path: str,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Load the parameters of a checkpoint, and what was noted in it.

    Raises:
        ValueError: If it is no checkpoint.
    """
    allow_checkpoint_globals()
    check_start(path, 'the network to convert')
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
        tensors = checkpoint.get('state_dict', checkpoint)
    except OSError:
        raise
    except Exception as error:  # torch raises a dozen types on foreign files
        raise ValueError(
            f'{path} is no checkpoint that PyTorch can load with '
            'weights_only=True'
        ) from error
    others = [
        str(key)
        for key, value in tensors.items()
        if not (isinstance(key, str) and torch.is_tensor(value))
    ]
    if others:
        raise ValueError(f'{path}: no named tensors: {", ".join(others)}')
    return tensors, (checkpoint.get('meta') or {}).get('caffe', {})


def _path(key: str) -> str:
    return key.rpartition('.')[0]


def _join(layer: str, key: str) -> str:
    return f'{layer} -> {key}' if layer else key


def _to_arrays(
    tensors: Mapping[str, torch.Tensor], scope: str
) -> dict[str, np.ndarray]:
    return {
        scope + key: tensor.detach().float().numpy()
        for key, tensor in tensors.items()
    }


def _to_tensors(arrays: Mapping[str, Blob]) -> dict[str, torch.Tensor]:
    # Copies: a view would make torch.save write the whole array.
    return {key: torch.tensor(array) for key, array in arrays.items()}
