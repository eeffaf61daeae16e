"""Whether features are the same in training as in evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmxdistill.models.features.dry_run import (
    DryRun,
    companion_grid,
    untouched,
)

__all__ = ['check_training']


def check_training(
    dry_run: DryRun, entry: str, infos: Mapping[str, Any], role: str
) -> None:
    """Refuse features that are others in training than in evaluation.

    Args:
        dry_run (DryRun): Of the network.
        entry (str): The part of it that is run.
        infos (dict[str, FeatureInfo]): Feature per name, in evaluation.
        role (str): What the network is, for messages.

    Raises:
        ValueError: The shape differs (branches of a TridentNet), or labels
            are needed (queries of DINO).
    """
    size = next(iter(next(iter(infos.values())).grids))
    names = [info.name for info in infos.values()]
    with _training(dry_run.network), torch.no_grad():
        seen = dry_run.run(entry, names, size, 2, stop=True, labelled=False)
    for name, info in infos.items():
        start = (
            f"the {role}'s feature '{name}' cannot be learned: in training "
            'mode '
        )
        if name not in seen.found:
            raise ValueError(
                f'{start}the network fails before it on images without '
                f'labels ({type(seen.error).__name__}: {seen.error}); name '
                'an earlier feature'
            )
        recorded = seen.found[name]
        count = seen.rois if info.layout.per_roi else seen.images
        wanted = (count, info.channels, *info.grids[size])
        try:
            feature = info.layout.to_map(
                recorded.value, size, companion_grid(recorded)
            )
        except (AttributeError, RuntimeError, TypeError, ValueError):
            feature = None  # something else
        if feature is None or tuple(feature.shape) != wanted:
            shape = getattr(recorded.value, 'shape', None)
            raise ValueError(
                f'{start}it is {shape and tuple(shape)} of images for which '
                f'it is {wanted} as a map in evaluation; name an earlier '
                'feature'
            )


@contextmanager
def _training(network: nn.Module) -> Iterator[None]:
    """Training mode, but for what batch normalisations do."""
    with untouched(network):
        network.train()
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        yield
