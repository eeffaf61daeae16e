"""Encoding of depth as disparity."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .constants import DISPARITY_SCALE, MIN_DEPTH_CM
from .depth import DepthMap, as_depth_mm, depth_cm

__all__ = ['disparity_level', 'encode_disparity', 'to_uint8']


def to_uint8(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Round non-negative values half up and saturate at 255.

    This is MATLAB's ``uint8()``; ``np.rint`` and OpenCV round half to even.
    """
    return np.minimum(values + 0.5, 255.0).astype(np.uint8)


def _level(z: NDArray[np.float64]) -> NDArray[np.uint8]:
    return to_uint8(DISPARITY_SCALE / np.maximum(z, MIN_DEPTH_CM))


_LEVEL = _level(depth_cm(np.arange(65536, dtype=np.uint16)))


def disparity_level(depth_mm: DepthMap) -> NDArray[np.uint8]:
    """Return the disparity channel, uint8 (H, W).

    ``31000 / max(z, 100)`` with z in cm, rounded half up: saturates at 255
    for depths up to 1218 mm, 255 also where depth is missing.
    """
    if depth_mm.dtype == np.uint16:
        return np.take(_LEVEL, np.asarray(depth_mm, np.uint16))
    return _level(depth_cm(depth_mm))


def encode_disparity(depth_mm: ArrayLike) -> NDArray[np.uint8]:
    """Encode depth as a disparity image (``saveDisparity`` of rcnn-depth).

    Args:
        depth_mm: (H, W) depth in millimetres with holes filled, 0 = missing;
            see `as_depth_mm`.

    Returns:
        uint8 (H, W, 3), the HHA disparity channel three times.

    Raises:
        ValueError: See `as_depth_mm`.
    """
    level = disparity_level(as_depth_mm(depth_mm))
    return np.asarray(cv2.merge((level, level, level)), dtype=np.uint8)
