"""Checking and stacking of the frames of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from .depth import MAX_METRES, MAX_MM, MIN_MM, as_depth_mm
from .gravity import DOWN, unit_vector
from .hha import valid_mask

__all__ = ['Frames', 'check_and_stack', 'directions']

Frames: TypeAlias = Tensor | Sequence[Tensor]


def directions(vectors: ArrayLike | None, n: int, name: str) -> Tensor:
    """Unit vectors, float64 (n, 3); by default the camera's y axis."""
    if isinstance(vectors, Tensor):
        vectors = vectors.detach().cpu().numpy()
    rows = np.asarray(DOWN if vectors is None else vectors, dtype=np.float64)
    if rows.shape not in ((3,), (n, 3)):
        raise ValueError(
            f'{name} must be one vector of 3 numbers or one for each of the '
            f'{n} frames, found shape {rows.shape}'
        )
    unit = [unit_vector(row, name) for row in np.atleast_2d(rows)]
    return torch.from_numpy(np.stack(unit)).expand(n, 3)


def check_and_stack(
    depth_mm: Frames, raw_depth_mm: Frames | None
) -> tuple[Tensor, Tensor, list[tuple[int, int]]]:
    """Check the input as `encode_hha` does, and pad it.

    Returns:
        Millimetres, float64 (N, H, W); where they are measured, bool
        (N, H, W); and the size (h, w) of each frame.
    """
    frames = list(depth_mm)
    raws = None if raw_depth_mm is None else list(raw_depth_mm)
    if not frames or (raws is not None and len(raws) != len(frames)):
        raise ValueError(
            'depth_mm and raw_depth_mm must hold the same number of frames, '
            f'at least one; found {len(frames)} and '
            f'{"none" if raws is None else len(raws)}'
        )

    def refuse(i: int) -> None:
        """Raise the error that `encode_hha` raises for a frame."""
        depth = as_depth_mm(_array(frames[i]), f'depth_mm[{i}]')
        if raws is not None:
            valid_mask(depth, _array(raws[i]), f'raw_depth_mm[{i}]')

    for i, frame in enumerate(frames):
        real = frame.element_size() > 1 and not frame.is_complex()
        sized = frame.dim() == 2 and frame.numel()
        fits = raws is None or raws[i].shape == frame.shape
        if not (real and sized and fits):
            refuse(i)
    depth = _pad(depth_mm, frames)
    high, low = depth.amax((1, 2)), depth.amin((1, 2))
    # NaN fails every comparison.
    fine = (low >= 0) & (high <= MAX_MM) & ((high == 0) | (high > MAX_METRES))
    valid = depth > 0
    fine &= ~(valid & (depth < MIN_MM)).any(2).any(1)
    if raws is not None:
        raw = _pad(raw_depth_mm, raws)
        fine &= (raw.amin((1, 2)) >= 0) & raw.amax((1, 2)).isfinite()
        valid &= raw != 0
    if not bool(fine.all()):
        for i in (~fine).nonzero().flatten().tolist():
            refuse(i)
    return depth, valid, [(f.shape[0], f.shape[1]) for f in frames]


def _array(frame: Tensor) -> np.ndarray:
    """As NumPy, which does not know all that PyTorch does (bfloat16)."""
    known = frame.dtype != torch.bfloat16
    return np.asarray((frame if known else frame.double()).cpu().numpy())


def _pad(batch: Frames | None, frames: list[Tensor]) -> Tensor:
    """Stack frames of any sizes, padded with 0; float64 (N, H, W)."""
    if isinstance(batch, Tensor):
        return batch.double()
    height = max(frame.shape[0] for frame in frames)
    width = max(frame.shape[1] for frame in frames)
    out = frames[0].new_zeros(
        (len(frames), height, width), dtype=torch.float64
    )
    for image, frame in zip(out, frames, strict=True):
        image[: frame.shape[0], : frame.shape[1]] = frame
    return out
