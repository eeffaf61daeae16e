"""Depth maps in millimetres: input check, and encoding as disparity.

Depth is a 16-bit quantity, so whatever depends on the depth value alone is
a table of 65536 entries.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .constants import DISPARITY_SCALE, MIN_DEPTH_CM

__all__ = ['as_depth_mm', 'disparity_level', 'encode_disparity', 'to_uint8']

MAX_MM = 65535
# No depth camera sees a whole frame nearer than this, and few see farther
# than this many metres.
MAX_METRES = 100
_MISSING_FIX = 'set missing pixels to 0'


def to_uint8(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round non-negative values half up and saturate at 255.

    This is MATLAB's ``uint8()``; ``np.rint`` and OpenCV round half to even.
    """
    return np.minimum(values + 0.5, 255.0).astype(np.uint8)


def depth_cm_table() -> NDArray[np.float64]:
    """Return z in cm for every depth in mm, float64 (65536,)."""
    # Same order of operations as the MATLAB code: mm -> m -> cm.
    return np.arange(MAX_MM + 1) / 1000.0 * 100.0


_DISPARITY_LEVEL = to_uint8(
    DISPARITY_SCALE / np.maximum(depth_cm_table(), MIN_DEPTH_CM)
)


def as_depth_mm(
    depth: ArrayLike, name: str = 'depth_mm'
) -> NDArray[np.uint16]:
    """Check a depth map and return it as uint16 millimetres.

    Args:
        depth: (H, W) depth in millimetres, 0 = missing; any real dtype of
            more than 8 bits. Fractions are rounded half up.
        name: What error messages call the map.

    Returns:
        uint16 (H, W), C-contiguous; the input itself if it already is that.

    Raises:
        ValueError: The map is not a depth map in millimetres: wrong shape
            or dtype, empty, NaN or infinite, negative, in metres, or beyond
            16 bits.
    """
    array = np.asarray(depth)
    if array.ndim != 2 or not array.size:
        raise ValueError(
            f'{name} must be a non-empty (H, W) map, found shape '
            f'{array.shape}; read depth PNGs with cv2.IMREAD_UNCHANGED'
        )
    if array.dtype.kind not in 'iuf' or array.dtype.itemsize == 1:
        raise ValueError(
            f'{name} must hold millimetres in more than 8 bits, found dtype '
            f'{array.dtype}; read depth PNGs with cv2.IMREAD_UNCHANGED'
        )
    check_no_nan_no_negative(array, name)
    largest = float(array.max())
    if 0 < largest <= MAX_METRES:
        raise ValueError(
            f'{name} must be in millimetres, but its largest value is '
            f'{largest:g}: it looks like metres; multiply it by 1000'
        )
    if largest > MAX_MM:
        raise ValueError(
            f'{name} must be in millimetres up to {MAX_MM}, but its largest '
            f'value is {largest:g}: if millimetres were taken for metres and '
            'multiplied by 1000, divide by 1000; if the file has another '
            'unit, convert it to millimetres'
        )
    if array.dtype.kind == 'f':
        array = np.floor(array.astype(np.float64) + 0.5)
    return np.ascontiguousarray(array, dtype=np.uint16)


def check_no_nan_no_negative(array: NDArray[np.generic], name: str) -> None:
    """Raise ValueError if a map has NaN, infinite or negative values."""
    if array.dtype.kind == 'f':
        count = array.size - int(np.count_nonzero(np.isfinite(array)))
        if count:
            raise ValueError(
                f'{name} has {count} NaN or infinite pixels; {_MISSING_FIX}'
            )
    if array.dtype.kind in 'if' and array.min() < 0:
        raise ValueError(
            f'{name} has negative values, smallest {array.min():g}; '
            f'{_MISSING_FIX}'
        )


def disparity_level(depth_mm: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return the disparity channel, uint8 (H, W).

    ``31000 / max(z, 100)`` with z in cm, rounded half up: saturates at 255
    for depths up to 1218 mm, 255 also where depth is missing.
    """
    return np.take(_DISPARITY_LEVEL, depth_mm)


def encode_disparity(depth_mm: ArrayLike) -> NDArray[np.uint8]:
    """Encode depth as a disparity image (``saveDisparity`` of rcnn-depth).

    Args:
        depth_mm: (H, W) depth in millimetres with holes filled, 0 = missing.

    Returns:
        uint8 (H, W, 3), the HHA disparity channel three times.

    Raises:
        ValueError: See `as_depth_mm`.
    """
    level = disparity_level(as_depth_mm(depth_mm))
    return np.asarray(cv2.merge((level, level, level)), dtype=np.uint8)
