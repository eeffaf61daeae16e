"""Depth maps in millimetres: input check, and what HHA takes from depth.

Most depth is a 16-bit number of millimetres, and whatever depends on such a
value alone is a table of 65536 entries. Everything else (tenths of a
millimetre, metres of a float TIFF, far scenes) goes through the same formulas
in float64. Depth is never rounded: the original rounds grey levels only.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    'DepthMap',
    'as_depth_mm',
    'compact_depth',
    'depth_cm',
    'inverse_depth',
]

# uint16 if all values are whole and fit, else float64.
DepthMap: TypeAlias = NDArray[np.uint16] | NDArray[np.float64]

_TABLE_SIZE = 65536
# One kilometre: farther than any depth camera or simulator.
MAX_MM = 1_000_000
# No depth camera sees a whole frame nearer than this, and few see farther
# than this many metres.
MAX_METRES = 100
# Nearer than any surface, i.e. the remains of arithmetic on a missing pixel.
# The inverse of such a depth would drown the others' in the sums of a window.
MIN_MM = 1e-3
_MISSING_FIX = 'set missing pixels to 0'


def _centimetres(depth_mm: NDArray[Any]) -> NDArray[np.float64]:
    # Same order of operations as the MATLAB code: mm -> m -> cm.
    return np.asarray(depth_mm, dtype=np.float64) / 1000.0 * 100.0


_DEPTH_CM = _centimetres(np.arange(_TABLE_SIZE))
_INVERSE_DEPTH = np.zeros(_TABLE_SIZE)
_INVERSE_DEPTH[1:] = 1.0 / _DEPTH_CM[1:]


def depth_cm(depth_mm: NDArray[Any]) -> NDArray[np.float64]:
    """Return z in cm, float64 of the same shape."""
    if depth_mm.dtype == np.uint16:
        return np.take(_DEPTH_CM, depth_mm)
    return _centimetres(depth_mm)


def inverse_depth(depth_mm: NDArray[Any]) -> NDArray[np.float64]:
    """Return 1/z in 1/cm, 0 where the depth is 0; float64."""
    if depth_mm.dtype == np.uint16:
        return np.take(_INVERSE_DEPTH, depth_mm)
    z = _centimetres(depth_mm)
    with np.errstate(divide='ignore'):
        np.divide(1.0, z, out=z)
    z[np.isinf(z)] = 0.0
    return z


def as_depth_mm(depth: ArrayLike, name: str = 'depth_mm') -> DepthMap:
    """Check a depth map and return it as millimetres, unrounded.

    Args:
        depth: (H, W) depth in millimetres, 0 = missing; any real dtype of
            more than 8 bits, any memory layout. Masked pixels of a masked
            array are missing.
        name: What error messages call the map.

    Returns:
        (H, W), C-contiguous: uint16 if all values are whole and below 65536,
        else float64. The input itself if it already is that.

    Raises:
        ValueError: The map is not a depth map in millimetres: wrong shape
            or dtype, empty, NaN or infinite, negative, in metres, beyond a
            kilometre, or positive but below a micrometre.
    """
    if isinstance(depth, np.ma.MaskedArray):
        depth = depth.filled(0)
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
        array = np.asarray(array, dtype=np.float64)
        tiny = np.count_nonzero((array > 0) & (array < MIN_MM))
        if tiny:
            raise ValueError(
                f'{name} has {tiny} positive pixels below {MIN_MM:g} mm, '
                f'which is no depth; {_MISSING_FIX}'
            )
    return compact_depth(array)


def compact_depth(depth_mm: NDArray[Any]) -> DepthMap:
    """Return depth as uint16 if nothing is lost, else as float64.

    Args:
        depth_mm: (H, W) finite, not negative.

    Returns:
        (H, W), C-contiguous.
    """
    if depth_mm.dtype == np.uint16:  # of either byte order
        return np.ascontiguousarray(depth_mm, dtype=np.uint16)
    if float(depth_mm.max()) < _TABLE_SIZE:  # float16 has no such number
        whole = np.ascontiguousarray(depth_mm, dtype=np.uint16)
        if depth_mm.dtype.kind != 'f' or np.array_equal(whole, depth_mm):
            return whole
    return np.ascontiguousarray(depth_mm, dtype=np.float64)


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
