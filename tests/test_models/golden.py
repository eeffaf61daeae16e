"""What the tests against Caffe's numbers share."""

import re

import numpy as np
import torch
from torch import Tensor

# Worst measured agreement of an independent implementation: 2.5e-6.
TOLERANCE = 1e-5


def assert_close(
    found: Tensor | None, expected: np.ndarray, label: object
) -> None:
    """Compare shapes, and values relative to the largest of them."""
    assert found is not None, label
    array = found.detach().numpy()
    assert array.shape == expected.shape, label
    error = np.abs(array - expected).max(initial=0)
    assert error <= TOLERANCE * np.abs(expected).max(initial=0), label


def leaf(array: np.ndarray) -> Tensor:
    """A tensor that gets a gradient."""
    return torch.tensor(array, requires_grad=True)


def setting(prototxt: str, layer: str, key: str) -> float:
    """A number in the definition of a layer."""
    pattern = rf'name: "{layer}".*?\b{key}: ([\d.]+)'
    match = re.search(pattern, prototxt, re.DOTALL)
    assert match, (layer, key)
    return float(match[1])


def backbone_config(
    prototxt: str, shapes: dict[str, tuple[int, ...]], prefix: str
) -> dict:
    """The backbone of a stream, given the shapes of its Caffe weights."""
    if f'{prefix}conv1' in shapes:
        pad = setting(prototxt, f'{prefix}conv1', 'pad')
        cfg = dict(
            type='mmxdistill.CaffeNet', geometry={5: 'rgb', 7: 'hha'}[pad]
        )
        names = [f'{prefix}conv{i}' for i in range(1, 6)]
    else:
        cfg = dict(type='mmxdistill.VGG16', out_features=('conv5_3',))
        names = [f'{prefix}conv{i}_1' for i in range(1, 6)]
    return dict(cfg, channels=[shapes[name][0] for name in names])
