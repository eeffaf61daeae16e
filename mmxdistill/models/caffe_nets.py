"""Whether weights from or for Caffe fit a network of ours.

Shapes are compared with the state dict of the built model, and what a Caffe
file says about its layers (order, strides, groups, normalisation, padding)
with the built backbone's modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mmxdistill.caffe.caffemodel import CaffeLayer
from mmxdistill.caffe.definition import (
    Operation,
    Way,
    convolution,
    ways_back,
)
from mmxdistill.models.backbones.caffe_backbone import CaffeBackbone
from mmxdistill.models.layers import CaffeLRN, CaffeMaxPool
from mmxdistill.registry import MODELS

__all__ = ['Network', 'compare_definition', 'find_problems', 'identify']

Shapes = Mapping[str, tuple[int, ...]]

_BACKBONE = 'backbone.'
_BOX_HEAD = 'roi_head.bbox_head.'
_MASK_HEAD = 'roi_head.mask_head.'
_CLASSIFIER = 'head.fc.'
_PREDICTORS = ('fc_cls', 'fc_reg')
_GRID_SIZE = 5  # of all SDS networks
_RELU = Operation('ReLU', {})


class Network(NamedTuple):
    """A network that weights may fill.

    Attributes:
        name (str): Registered backbone, with the arguments that its weights
            need.
        backbone (CaffeBackbone): The backbone, on the meta device.
        shapes (dict[str, tuple[int, ...]]): Shapes of the parameters that the
            weights should have, by key: those of the backbone, and of the
            heads that the weights have.
    """

    name: str
    backbone: CaffeBackbone
    shapes: dict[str, tuple[int, ...]]


def identify(shapes: Shapes) -> Network | None:
    """Find the network whose parameters the weights have.

    Widths that are free are those of the weights.

    Args:
        shapes (Shapes): Shapes of the weights of one stream, by the keys of a
            detector (``backbone.conv1.weight``).

    Returns:
        Network | None: The network with the most parameters in common, or None
            if the weights are of another one.
    """

    def fit(backbone: CaffeBackbone) -> tuple[int, int]:
        expected = _shapes_of(backbone, _BACKBONE)
        common = expected.keys() & shapes.keys()
        return len(common), sum(shapes[k] == expected[k] for k in common)

    candidates = [
        (f'{cfg["type"].removeprefix("mmxdistill.")}{arguments}', _build(cfg))
        for cfg, arguments in _backbone_configs(shapes)
    ]
    name, backbone = max(candidates, key=lambda named: fit(named[1]))
    if not fit(backbone)[0]:
        return None
    expected = _shapes_of(backbone, _BACKBONE)
    expected |= _head_shapes(backbone, shapes)
    return Network(name, backbone, expected)


def find_problems(
    network: Network, shapes: Shapes, label: Callable[[str], str]
) -> list[str]:
    """List the parameters that are missing or of another shape.

    Args:
        network (Network): The network that the weights should fill.
        shapes (Shapes): Shapes of the weights, by key.
        label (Callable[[str], str]): Gives what to print for a key.

    Returns:
        list[str]: One line a problem, empty if the weights fit.
    """
    problems = []
    for key, expected in network.shapes.items():
        if key not in shapes:
            problems.append(f'missing: {label(key)}')
        elif shapes[key] != expected:
            problems.append(
                f'wrong shape: {label(key)} is {shapes[key]}, expected '
                f'{expected}'
            )
    return problems


def compare_definition(
    network: Network, layers: Sequence[CaffeLayer], prefix: str = ''
) -> tuple[str, list[str], list[str]]:
    """Compare what a Caffe file says about its layers with a network.

    Args:
        network (Network): The network that the weights fill.
        layers (Sequence[CaffeLayer]): The layers of the file, or of a
            prototxt.
        prefix (str): Prefix of the stream's layers (``'da_'``).

    Returns:
        tuple[str, list[str], list[str]]: The name of the network, with its
            geometry if the file tells it; differences that give other
            features, one a line; and remarks (padding, or that there was
            nothing to compare).
    """
    known = {layer.name for layer in layers}
    asked = [
        prefix + _caffe_name(name)
        for name, module in network.backbone.named_modules()
        if isinstance(module, nn.Conv2d)
        and network.shapes.keys() >= {f'{_BACKBONE}{name}.weight'}
    ]
    compared = [
        _Comparison(name, backbone, layers, prefix)
        for name, backbone in _geometries(network)
    ]
    best = min(compared, key=lambda found: len(found.paddings))
    silent = best.silent or not known.issuperset(asked)
    remarks = best.paddings
    if silent:
        remarks = [
            *remarks,
            'the file does not say how all of its layers are connected; '
            'compare them with its network definition: --prototxt',
        ]
    name = network.name if best.silent else best.name
    return name, best.problems, remarks


class _Comparison:
    """Differences between a backbone and the layers of a Caffe file."""

    def __init__(
        self,
        name: str,
        backbone: CaffeBackbone,
        layers: Sequence[CaffeLayer],
        prefix: str,
    ) -> None:
        self.name = name
        self.problems: list[str] = []
        self.paddings: list[str] = []
        self.silent = False
        self._layers = layers
        self._prefix = prefix
        self._by_name = {layer.name: layer for layer in layers}
        operations: list[Operation] = []
        starts: list[str] = []
        maps: dict[str, tuple[list[str], list[Operation]]] = {}
        for feature in backbone.feature_names:
            module = getattr(backbone, feature)
            convs = {
                _caffe_name(f'{feature}.{inner}'.rstrip('.')): conv
                for inner, conv in module.named_modules()
                if isinstance(conv, nn.Conv2d)
            }
            for conv_name, conv in convs.items():
                self._compare_settings(conv_name, conv)
            if convs:
                first, *expand = convs  # of a fire module
                self._compare(first, starts, [operations])
                for conv_name in expand:
                    self._compare(conv_name, [first], [[_RELU]])
                starts, operations = expand or [first], [_RELU]
            else:
                operations = [*operations, *_operations_of(module)]
            maps[feature] = starts, operations
        last, before = maps[backbone.out_features[-1]]
        roi_pool = Operation('ROIPooling', {})
        pooled = [[*before, roi_pool]]
        if 'pool5' in maps:
            pooled.append(maps['pool5'][1])
        self._compare('fc6', last, pooled)
        self._compare('fc7', ['fc6'], [[_RELU]])
        for layer in ('fc8', 'cls_score', 'bbox_pred', 'fcfc7'):
            self._compare(layer, ['fc7'], [[_RELU]])
        for feature, (starts, operations) in maps.items():
            fixed = [
                [*operations, Operation(kind, {})]
                for kind in ('Scale', 'Power')
            ]
            self._compare(f'conv_{feature}', starts, fixed)

    def _compare_settings(self, name: str, conv: nn.Conv2d) -> None:
        """Compare stride, dilation, groups and padding of a convolution."""
        layer = self._by_name.get(self._prefix + name)
        found = convolution(layer) if layer else None
        if found is None:
            self.silent = True
            return
        expected = Operation(
            'Convolution',
            dict(
                stride=tuple(conv.stride),
                dilation=tuple(conv.dilation),
                group=conv.groups,
            ),
            _pair(conv.padding),
        )
        if found.settings != expected.settings:
            self.problems.append(
                f'{self._prefix}{name} is {found} in the file, {expected} in '
                f'{self.name}'
            )
        self._compare_padding(self._prefix + name, found, expected)

    def _compare(
        self,
        name: str,
        starts: Sequence[str],
        allowed: Sequence[Sequence[Operation]],
    ) -> None:
        """Compare what lies between a layer and the learned ones before."""
        if self._prefix + name not in self._by_name:
            return
        ways = ways_back(self._layers, self._prefix + name)
        sources = {self._prefix + start for start in starts}
        if not ways or (sources and any(not way.start for way in ways)):
            self.silent = True
            return
        for way in ways:
            fitting = [ops for ops in allowed if _same(ops, way.operations)]
            if fitting and (way.start in sources or not sources):
                for mine, other in zip(
                    fitting[0], way.operations, strict=True
                ):
                    place = f'{mine.type} before {self._prefix}{name}'
                    if mine.settings and not other.settings:
                        self.silent = True
                        continue
                    self._compare_padding(place, other, mine)
            else:
                source = ' and '.join(sorted(sources)) or 'the input'
                self.problems.append(
                    f'between {way.start or "the input"} and {self._prefix}'
                    f'{name} the file has {_listed(way)}, but {self.name} '
                    f'has, after {source}, '
                    f'{_listed(Way("", tuple(allowed[0])))}'
                )

    def _compare_padding(
        self, place: str, found: Operation, expected: Operation
    ) -> None:
        if found.pad != expected.pad:
            self.paddings.append(
                f'padding of {place}: {found.pad} in the file, {expected.pad} '
                f'in {self.name}; the weights are the same, the features at '
                'the borders are not'
            )


def _listed(way: Way) -> str:
    return ', '.join(map(str, way.operations)) or 'nothing'


def _same(expected: Sequence[Operation], found: Sequence[Operation]) -> bool:
    """Whether types and settings are the same, as far as they are said."""
    return len(expected) == len(found) and all(
        mine.type == other.type
        and (mine.settings == other.settings or not other.settings)
        for mine, other in zip(expected, found, strict=True)
    )


def _operations_of(module: nn.Module) -> list[Operation]:
    """What Caffe calls a module without parameters."""
    if isinstance(module, CaffeMaxPool):
        return [
            Operation(
                'Pooling',
                dict(
                    pool='MAX',
                    kernel=_pair(module.kernel_size),
                    stride=_pair(module.stride),
                ),
                _pair(module.padding),
            )
        ]
    if isinstance(module, CaffeLRN):
        return [
            Operation(
                'LRN',
                dict(
                    local_size=module.size,
                    alpha=module.alpha,
                    beta=module.beta,
                    k=module.k,
                ),
            )
        ]
    return [Operation('Pooling', {'pool': 'AVE', 'global': True})]


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _caffe_name(path: str) -> str:
    return path.replace('.', '/')


def _geometries(network: Network) -> list[tuple[str, CaffeBackbone]]:
    """The backbone in all paddings that it may have."""
    if network.name != 'CaffeNet':
        return [(network.name, network.backbone)]
    channels = [network.backbone.feature_channels(f) for f in _CAFFENET]
    return [
        (
            f"CaffeNet(geometry='{geometry}')",
            _build(
                dict(
                    type='mmxdistill.CaffeNet',
                    channels=channels,
                    geometry=geometry,
                )
            ),
        )
        for geometry in ('rgb', 'hha')
    ]


_CAFFENET = tuple(f'conv{i}' for i in range(1, 6))
_VGG16 = tuple(f'conv{i}_1' for i in range(1, 6))


def _backbone_configs(shapes: Shapes) -> list[tuple[dict[str, Any], str]]:
    """Backbones with the free widths of the weights, and what to call them."""

    def size(name: str, axis: int, default: int) -> int:
        shape = shapes.get(f'{_BACKBONE}{name}.weight', ())
        return shape[axis] if len(shape) > axis else default

    def widths(names: Sequence[str]) -> list[int]:
        # An odd width does not fit CaffeNet's groups: a wrong shape.
        return [max(2, size(name, 0, 2) // 2 * 2) for name in names]

    configs: list[tuple[dict[str, Any], str]] = [
        (
            dict(
                type='mmxdistill.CaffeNet',
                channels=widths(_CAFFENET),
                in_channels=size('conv1', 1, 3),
            ),
            '',
        ),
        (
            dict(
                type='mmxdistill.VGG16',
                channels=[size(name, 0, 2) for name in _VGG16],
                in_channels=size('conv1_1', 1, 3),
            ),
            '',
        ),
    ]
    for version in ('1.0', '1.1'):
        squeezenet = dict(
            type='mmxdistill.SqueezeNet',
            version=version,
            in_channels=size('conv1', 1, 3),
            num_classes=size('conv10', 0, 0) or None,
        )
        configs.append((squeezenet, f"(version='{version}')"))
    return configs


def _head_shapes(
    backbone: CaffeBackbone, shapes: Shapes
) -> dict[str, tuple[int, ...]]:
    """Shapes of the heads of which the weights have parts."""
    starts = (_BOX_HEAD, _MASK_HEAD, _CLASSIFIER)
    if not any(key.startswith(starts) for key in shapes):
        return {}

    def size(key: str, axis: int, default: int) -> int:
        shape = shapes.get(f'{key}.weight', ())
        return shape[axis] if len(shape) > axis else default

    channels = backbone.feature_channels(backbone.out_features[-1])
    width = size(f'{_BOX_HEAD}fc6', 0, 1)
    cells = size(f'{_BOX_HEAD}fc6', 1, channels) // channels
    boxes = size(f'{_BOX_HEAD}fc_reg', 0, 4) // 4
    head = _build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=channels,
            roi_feat_size=max(1, math.isqrt(cells)),
            fc_channels=width,
            num_classes=size(f'{_BOX_HEAD}fc_cls', 0, boxes + 1) - 1,
        )
    )
    expected = _shapes_of(head, _BOX_HEAD)
    predictors = tuple(_BOX_HEAD + name for name in _PREDICTORS)
    if not any(key.startswith(predictors) for key in shapes):
        expected = {
            key: shape
            for key, shape in expected.items()
            if not key.startswith(predictors)
        }
    if any(key.startswith(_CLASSIFIER) for key in shapes):
        classes = size('head.fc', 0, 1)
        linear = nn.Linear(width, classes, device='meta')
        expected |= _shapes_of(linear, _CLASSIFIER)
    if any(key.startswith(_MASK_HEAD) for key in shapes):
        expected |= _mask_head_shapes(backbone, shapes, width)
    return expected


def _mask_head_shapes(
    backbone: CaffeBackbone, shapes: Shapes, width: int
) -> dict[str, tuple[int, ...]]:
    """Shapes of the hyper-column head on the maps that the weights name."""
    start = f'{_MASK_HEAD}conv_'
    kernels = {
        key.removeprefix(start).removesuffix('.weight'): shape[-1]
        for key, shape in shapes.items()
        if key.startswith(start) and key.endswith('.weight')
    }
    rows = shapes.get(f'{_MASK_HEAD}fcfc7.weight', (_GRID_SIZE**2,))[0]
    head = _build(
        dict(
            type='mmxdistill.HypercolumnMaskHead',
            num_classes=max(1, rows // _GRID_SIZE**2),
            maps={
                name: dict(
                    in_channels=backbone.feature_channels(name),
                    kernel_size=kernel,
                    scale=1.0,
                )
                for name, kernel in kernels.items()
                if name in backbone.feature_names
            },
            fc7_channels=width,
            grid_size=_GRID_SIZE,
        )
    )
    return _shapes_of(head, _MASK_HEAD)


def _build(cfg: dict[str, Any]) -> Any:
    with torch.device('meta'):
        return MODELS.build(cfg)


def _shapes_of(module: nn.Module, scope: str) -> dict[str, tuple[int, ...]]:
    return {
        scope + key: tuple(tensor.shape)
        for key, tensor in module.state_dict().items()
    }
