"""What a network computes, told apart from what others compute."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmxdistill.models.features.extractor import FeatureExtractor

__all__ = ['architecture', 'differs', 'probe', 'weights_digest']

_VALUES = 64  # per feature
# Height and width of the images of noise, whatever this run pads to: another
# one may pad less. Layers that round sizes down or up differ for odd ones;
# halved and rounded down, 95 stays odd, and so does 97 rounded up.
_SIZES = ((64, 96), (95, 97))
_ODD = (31, 33)  # of larger images, what makes them such
_TOLERANCE = 1e-2  # relative: GPUs compute with fewer digits than CPUs


def weights_digest(network: nn.Module) -> str:
    """Hash all weights and buffers by name, type, shape and value.

    Args:
        network (nn.Module): The network.

    Returns:
        str: SHA-256, the same for the same weights on any device.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f'{name} {tensor.dtype} {list(tensor.shape)};'.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(memoryview(flat.view(torch.uint8).numpy()))
    return digest.hexdigest()


def architecture(network: nn.Module) -> dict[str, str]:
    """Tell the layers of a network and their settings.

    Args:
        network (nn.Module): The network.

    Returns:
        dict[str, str]: Name of a module -> ``'Conv2d(3, 64, ...)'``, the same
        on any device.
    """
    return {
        name: f'{type(module).__name__}({_settings(module)})'
        for name, module in network.named_modules()
    }


def _settings(module: nn.Module) -> str:
    # Of parameters, they tell the device.
    if isinstance(module, (nn.ParameterList, nn.ParameterDict)):
        return ''
    return module.extra_repr()


def probe(
    extractor: FeatureExtractor, mean: Sequence[float], std: Sequence[float]
) -> dict[str, dict[str, Any]]:
    """Look at the features of a few images of noise, always the same.

    They tell what neither weights nor layers do: functions between layers,
    and how the versions of the libraries compute.

    Args:
        extractor (FeatureExtractor): Of the network.
        mean (Sequence[float]): How images are normalised, per channel of the
            network's input.
        std (Sequence[float]): The same.

    Returns:
        dict[str, dict[str, Any]]: Feature and size of the image (``'pool5 of
        95 x 97'``) -> shape, norm and some values.
    """
    found: dict[str, dict[str, Any]] = {}
    seen: set[str] = set()
    height, width = extractor.size
    larger = ((height, width), (height + _ODD[0], width + _ODD[1]))
    for sizes in (_SIZES, larger):
        if seen == set(extractor.infos):
            break
        for size in sizes:
            features = extractor.of_noise(size, mean, std)
            seen |= set(features)
            for name, feature in features.items():
                found[f'{name} of {size[0]} x {size[1]}'] = _look_at(feature)
    return found


def _look_at(feature: Tensor) -> dict[str, Any]:
    flat = feature.detach().double().cpu().flatten()
    places = torch.linspace(0, len(flat) - 1, min(_VALUES, len(flat)))
    return dict(
        shape=list(feature.shape),
        norm=float(flat.norm()),  # sees all cells
        values=flat[places.round().long()].tolist(),
    )


def differs(
    found: Mapping[str, Mapping], other: Mapping[str, Mapping]
) -> bool:
    """Compare two probes.

    Args:
        found (Mapping[str, Mapping]): Of :func:`probe`.
        other (Mapping[str, Mapping]): The other one.

    Returns:
        bool: Whether a feature has another shape, or differs by more than
        arithmetic does.
    """
    if set(found) != set(other):
        return True
    for name, one in found.items():
        two = other[name]
        if one['shape'] != two['shape']:
            return True
        for part in ('norm', 'values'):
            # A broken network is told by its features, not here.
            a, b = (
                np.nan_to_num(np.atleast_1d(row), posinf=0.0, neginf=0.0)
                for row in (one[part], two[part])
            )
            limit = _TOLERANCE * max(np.linalg.norm(a), np.linalg.norm(b))
            if not np.linalg.norm(a - b) <= limit:
                return True
    return False
