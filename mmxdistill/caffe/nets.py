"""The networks that the converters know: which layers, of which shapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mmxdistill.caffe.caffemodel import Blob

__all__ = ['Blobs', 'Net', 'find_problems', 'identify']

Blobs = tuple[Blob, ...]


class _Conv(NamedTuple):
    """What a convolution's weights must look like.

    Attributes:
        kernel: Height and width of the kernel.
        groups: Number of groups.
        bottoms: Convolutions whose concatenated outputs are its input; none
            for the first.
    """

    kernel: int
    groups: int
    bottoms: tuple[str, ...]


class Net(NamedTuple):
    """A network's convolutions; its head is the same for all networks.

    Attributes:
        name: Registered backbone, with arguments that its keys depend on.
        convs: Convolutions by layer name, in order.
        classifier: Name of a convolution that may be absent.
        fc6_bottom: Convolution that RoI pooling for fc6 reads, if known.
    """

    name: str
    convs: dict[str, _Conv]
    classifier: str | None = None
    fc6_bottom: str | None = None

    @property
    def layer_names(self) -> tuple[str, ...]:
        """All layers with weights that the network can have, in order."""
        return (*self.convs, *_HEAD_LAYERS)


def _chain(convs: Sequence[tuple[str, int, int]]) -> dict[str, _Conv]:
    """Link convolutions (name, kernel, groups) one after the other."""
    names: list[tuple[str, ...]] = [(), *((name,) for name, _, _ in convs)]
    return {
        name: _Conv(kernel, groups, bottoms)
        for (name, kernel, groups), bottoms in zip(convs, names, strict=False)
    }


def _squeezenet(version: str, conv1_kernel: int) -> Net:
    convs = {'conv1': _Conv(conv1_kernel, 1, ())}
    bottoms: tuple[str, ...] = ('conv1',)
    for i in range(2, 10):
        squeeze = f'fire{i}/squeeze1x1'
        convs[squeeze] = _Conv(1, 1, bottoms)
        convs[f'fire{i}/expand1x1'] = _Conv(1, 1, (squeeze,))
        convs[f'fire{i}/expand3x3'] = _Conv(3, 1, (squeeze,))
        bottoms = (f'fire{i}/expand1x1', f'fire{i}/expand3x3')
    convs['conv10'] = _Conv(1, 1, bottoms)
    return Net(f"SqueezeNet(version='{version}')", convs, 'conv10')


_NETS = (
    Net(
        'CaffeNet',
        _chain(
            [
                ('conv1', 11, 1),
                ('conv2', 5, 2),
                ('conv3', 3, 1),
                ('conv4', 3, 2),
                ('conv5', 3, 2),
            ]
        ),
        fc6_bottom='conv5',
    ),
    Net(
        'VGG16',
        _chain(
            [
                (f'conv{block}_{i}', 3, 1)
                for block, convs in enumerate((2, 2, 3, 3, 3), start=1)
                for i in range(1, convs + 1)
            ]
        ),
        fc6_bottom='conv5_3',
    ),
    _squeezenet('1.0', 7),
    _squeezenet('1.1', 3),
)

# Inner products of detectors and ImageNet classifiers, in order; each needs
# the others that its set names.
_HEAD_LAYERS = {
    'fc6': {'fc7'},
    'fc7': {'fc6'},
    'fc8': {'fc6', 'fc7'},
    'cls_score': {'fc6', 'fc7', 'bbox_pred'},
    'bbox_pred': {'fc6', 'fc7', 'cls_score'},
}


def identify(layers: Mapping[str, Blobs]) -> Net | None:
    """Return the network whose layer names, then kernels, fit best.

    Args:
        layers: Blobs by layer name, without stream prefix.

    Returns:
        The network, or None if no convolution has a name of a known one.
    """

    def fit(net: Net) -> tuple[int, int]:
        common = net.convs.keys() & layers.keys()
        kernels = sum(
            layers[name][0].shape[2:] == (net.convs[name].kernel,) * 2
            for name in common
        )
        return len(common), kernels

    net = max(_NETS, key=fit)
    return net if fit(net)[0] else None


def find_problems(
    net: Net, layers: Mapping[str, Blobs], label: Callable[[str], str]
) -> list[str]:
    """List the layers that are missing or of another shape.

    Args:
        net: The network that the layers should form.
        layers: Blobs by layer name, without stream prefix.
        label: Gives the name to print for a layer.

    Returns:
        One line a problem, empty if the layers fit.
    """
    needed = net.convs.keys() - {net.classifier}
    for name in _HEAD_LAYERS.keys() & layers.keys():
        needed |= _HEAD_LAYERS[name]
    problems = [
        f'missing: {label(name)}'
        for name in net.layer_names
        if name in needed and name not in layers
    ]
    for name in net.layer_names:
        if name in layers:
            found = [blob.shape for blob in layers[name]]
            expected = _expected_shapes(net, name, layers)
            if found != expected:
                problems.append(
                    f'wrong shape: {label(name)} is {_text(found)}, '
                    f'expected {_text(expected)}'
                )
    return problems


def _expected_shapes(
    net: Net, name: str, layers: Mapping[str, Blobs]
) -> list[tuple[int, ...]]:
    """Shapes of weight and bias, given the widths of the other layers.

    Free widths (outputs, and inputs that no other layer fixes) are taken from
    the layer itself.
    """

    def outputs(layer: str) -> int | None:
        shape = layers[layer][0].shape if layer in layers else ()
        return shape[0] if shape else None

    weight = layers[name][0].shape
    out = weight[0] if weight else 1
    free = weight[1] if len(weight) > 1 else 1
    if name in net.convs:
        kernel, groups, bottoms = net.convs[name]
        widths = [outputs(bottom) for bottom in bottoms]
        fixed = widths and None not in widths
        inputs = sum(w or 0 for w in widths) // groups if fixed else free
        out -= out % groups
        return [(out, inputs, kernel, kernel), (out,)]
    if name == 'fc6':
        width = outputs(net.fc6_bottom) if net.fc6_bottom else None
        inputs = free - free % width if width else free
    else:
        inputs = outputs('fc6' if name == 'fc7' else 'fc7') or free
    if name == 'bbox_pred':
        out = 4 * (outputs('cls_score') or out // 4)
    return [(out, inputs), (out,)]


def _text(shapes: Sequence[tuple[int, ...]]) -> str:
    return ' and '.join(map(str, shapes)) or 'no blobs'
