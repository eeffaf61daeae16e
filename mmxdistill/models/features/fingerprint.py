"""What a network computes, told apart from what others compute."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from mmxdistill.models.features.extractor import FeatureExtractor

__all__ = ['differs', 'probe', 'weights_digest']

_VALUES = 64  # per feature
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


def probe(extractor: FeatureExtractor) -> dict[str, list[float]]:
    """Look at the features of one image of noise, always the same.

    They tell what weights do not: strides, activation functions, and how the
    versions of the libraries compute.

    Args:
        extractor (FeatureExtractor): Of the network.

    Returns:
        dict[str, list[float]]: Some values per feature.
    """
    found = {}
    for name, feature in extractor.of_noise().items():
        flat = feature.detach().double().cpu().flatten()
        places = torch.linspace(0, len(flat) - 1, min(_VALUES, len(flat)))
        values = flat[places.round().long()]
        # The norm sees all cells.
        found[name] = [float(flat.norm()), *values.tolist()]
    return found


def differs(
    found: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]
) -> bool:
    """Compare two probes.

    Args:
        found (Mapping[str, Sequence[float]]): Of :func:`probe`.
        other (Mapping[str, Sequence[float]]): The other one.

    Returns:
        bool: Whether a feature differs by more than arithmetic does.
    """
    if set(found) != set(other):
        return True
    for name, values in found.items():
        # A broken network is told by its features, not here.
        a, b = (
            np.nan_to_num(row, nan=0.0, posinf=0.0, neginf=0.0)
            for row in (np.asarray(values), np.asarray(other[name]))
        )
        if a.shape != b.shape:
            return True
        for one, two in ((a[:1], b[:1]), (a[1:], b[1:])):
            limit = _TOLERANCE * max(
                float(np.linalg.norm(one)), float(np.linalg.norm(two))
            )
            if not float(np.linalg.norm(one - two)) <= limit:
                return True
    return False
