"""Encoding after the image was moved: finding out where it went.

HHA must be computed from depth as it was measured: height and gravity change
if the image is cropped, and a resized depth map has other surfaces. When the
encoding is left to the device, the sample therefore keeps the depth map
aside, unmoved, and the image that the loader resizes, flips and crops is a
stand-in, whose grey levels tell where each pixel came from. `find_axes` turns
the recorded matrix into the map of the image, checked against the stand-in,
and `move_like` moves the encoded image along it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ['Axis', 'find_axes', 'move_like', 'position_image']

# Grey levels per pixel of the first two channels, which go up and down.
_SLOPE = 4
_RISE = 63  # pixels
# Output positions at which the stand-in is read, per axis.
_PROBES = 9
# Grey levels; a pixel off is 4.
_TOLERANCE = 1.5
_HELP = (
    'the image was moved or edited in a way that homography_matrix does not '
    'tell, so the image that is encoded on the device cannot follow. After '
    'LoadModalities use only transforms that resize, flip or crop and record '
    'it (Resize, RandomResize, RandomFlip, RandomCrop, ...), leave padding to '
    'the data_preprocessor, or encode in the loader (on_device=False)'
)


class Axis(NamedTuple):
    """Where the pixels of one axis went.

    Attributes:
        scale: Output pixels per input pixel, negative if flipped.
        offset: Output position of the input's outer edge; the centre of the
            first pixel is at 0.5.
        size: Input pixels.
    """

    scale: float
    offset: float
    size: int

    def source(self, index: NDArray[Any]) -> NDArray[np.float64]:
        """Return the input index that an output index shows."""
        return (index + 0.5 - self.offset) / self.scale - 0.5


def _wave(position: NDArray[Any]) -> NDArray[np.float64]:
    rest = np.mod(position, 2 * _RISE)
    return np.asarray(_SLOPE * np.minimum(rest, 2 * _RISE - rest))


def _overall(
    row: NDArray[Any], column: NDArray[Any], size: tuple[int, int]
) -> NDArray[np.float64]:
    return np.asarray((row / size[0] + column / size[1]) * 127.5)


def position_image(height: int, width: int) -> NDArray[np.uint8]:
    """Draw the stand-in of an image.

    Returns:
        uint8 (H, W, 3): waves that tell the column and the row to a fraction
        of a pixel, and a ramp that tells them roughly.
    """
    rows, columns = np.arange(height), np.arange(width)
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = _wave(columns)
    image[..., 1] = _wave(rows)[:, None]
    image[..., 2] = np.rint(_overall(rows[:, None], columns, (height, width)))
    return image


def find_axes(
    matrix: ArrayLike | None, size: tuple[int, int], stand_in: NDArray[Any]
) -> tuple[Axis, Axis]:
    """Find where the rows and the columns of an image went.

    Args:
        matrix: (3, 3) ``homography_matrix`` that mmdet's transforms recorded
            (x before y); None if there was none.
        size: Height and width of the image as it was loaded.
        stand_in: (H', W', 3) what became of its `position_image`.

    Returns:
        Rows and columns.

    Raises:
        ValueError: The image was rotated or sheared, or the matrix does not
            tell what happened to it.
    """
    m = np.eye(3) if matrix is None else np.asarray(matrix, np.float64)
    straight = m * [[1, 0, 1], [0, 1, 1], [0, 0, 1]]
    if (m != straight).any() or m[2, 2] != 1 or not m.diagonal().all():
        raise ValueError(f'homography_matrix is {m.tolist()}: {_HELP}')
    rows = Axis(float(m[1, 1]), float(m[1, 2]), size[0])
    columns = Axis(float(m[0, 0]), float(m[0, 2]), size[1])
    at_rows, at_columns = (_probes(length) for length in stand_in.shape[:2])
    seen = stand_in[at_rows][:, at_columns].astype(np.float64)
    rows = _best(rows, at_rows, seen[..., 1])
    columns = _best(columns, at_columns, seen[..., 0].T)
    expected = _overall(
        rows.source(at_rows)[:, None], columns.source(at_columns), size
    )
    # The outermost ones see the border instead of beyond it.
    inner = slice(1, -1)
    if _differs(seen[inner, inner, 2], expected[inner, inner]):
        raise ValueError(_HELP)
    return rows, columns


def _probes(length: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, length - 1, _PROBES).astype(np.intp))


def _differs(seen: NDArray[Any], expected: NDArray[Any]) -> bool:
    return bool((np.abs(seen - expected) > _TOLERANCE).any())


def _best(axis: Axis, index: NDArray[np.intp], seen: NDArray[Any]) -> Axis:
    """Return the axis that agrees with the waves seen at (probes, any number).

    The matrix of `CaffeRandomFlip` is that of boxes with inclusive corners,
    so the image lies a pixel further.
    """
    candidates = [axis]
    if axis.scale < 0:
        further = axis.offset - axis.scale
        candidates.append(axis._replace(offset=further))
    for candidate in candidates:
        source = candidate.source(index)
        pixel = 1 / abs(axis.scale)
        slack = 0.5 + 0.01 * pixel
        whole = -slack < source.min() and source.max() < axis.size - 1 + slack
        # Where a wave turns, as it does at the first pixel, resampling
        # rounds it; the last one sees the border.
        turn = np.abs(source - _RISE * np.rint(source / _RISE))
        clear = (turn > 1 + pixel) & (source <= axis.size - 1)
        expected = _wave(source[clear])[:, None]
        if whole and not _differs(seen[clear], expected):
            return candidate
    raise ValueError(_HELP)


def move_like(
    image: Tensor, axes: tuple[Axis, Axis], stand_in: Tensor
) -> Tensor:
    """Move an encoded image to where its stand-in went.

    Bilinear, as OpenCV resizes: between the centres of the pixels, and
    beyond the outermost ones the outermost value.

    Args:
        image: (C, H, W) encoded.
        axes: Of `find_axes`.
        stand_in: (C, H', W'); tells the size and the dtype.

    Returns:
        (C, H', W'), rounded if the dtype is an integer.
    """
    grid = []
    for axis, length in zip(axes, stand_in.shape[1:], strict=True):
        source = axis.source(np.arange(length))
        # -1 and 1 are the centres of the outermost pixels.
        unit = 2 * source / max(axis.size - 1, 1) - 1
        grid.append(torch.from_numpy(unit).float())
    rows, columns = (part.to(image.device) for part in grid)
    at = torch.stack(torch.meshgrid(columns, rows, indexing='xy'), dim=-1)
    moved = functional.grid_sample(
        image[None].float(),
        at[None],
        mode='bilinear',
        padding_mode='border',
        align_corners=True,
    )[0]
    if not stand_in.is_floating_point():
        moved = moved.round_()
    return moved.to(stand_in.dtype)
