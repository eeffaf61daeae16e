"""Putting channels together and taking them apart, by OpenCV.

The same bytes as ``np.concatenate`` and slices give, several times as fast:
NumPy copies interleaved channels value by value.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

__all__ = ['directions', 'split_channels', 'stack_channels']

# What OpenCV's matrices can be.
_DTYPES = frozenset(
    map(np.dtype, 'uint8 int8 uint16 int16 int32 float32 float64'.split())
)
_MAX_CHANNELS = 512


def stack_channels(images: Sequence[np.ndarray]) -> np.ndarray:
    """Stack images of the same size along their channels.

    Args:
        images (Sequence[np.ndarray]): (H, W) or (H, W, channels) each.

    Returns:
        np.ndarray: (H, W, sum of channels), contiguous; of the common dtype.
    """
    parts = [x if x.ndim == 3 else x[..., None] for x in images]
    if len(parts) == 1:
        return parts[0]
    total = sum(part.shape[2] for part in parts)
    if len({part.dtype for part in parts}) > 1 or not _fits(parts[0], total):
        return np.concatenate(parts, axis=2)
    if total == len(parts):  # of one channel each
        return cv2.merge(parts)
    stack = np.empty((*parts[0].shape[:2], total), parts[0].dtype)
    cv2.mixChannels(parts, [stack], _one_to_one(total))
    return stack


def split_channels(image: np.ndarray) -> np.ndarray:
    """Bring an image into the order of a network's input.

    Args:
        image (np.ndarray): (H, W) or (H, W, channels); a flipped view is as
            fast as a contiguous image.

    Returns:
        np.ndarray: (channels, H, W), contiguous.
    """
    image = np.atleast_3d(image)
    channels = image.shape[2]
    if not _fits(image, channels):
        return np.ascontiguousarray(image.transpose(2, 0, 1))
    # OpenCV cannot look at views that run backwards.
    down, right = directions(image)
    planes = np.empty((channels, *image.shape[:2]), image.dtype)
    cv2.mixChannels(
        [image[::down, ::right]], list(planes), _one_to_one(channels)
    )
    if (down, right) == (1, 1):
        return planes
    axes = {(1, -1): 1, (-1, 1): 0, (-1, -1): -1}[down, right]
    return np.stack([cv2.flip(plane, axes) for plane in planes])


def directions(image: np.ndarray) -> tuple[int, int]:
    """Tell how a view runs through its rows and columns: 1 or -1."""
    down, right = (-1 if step < 0 else 1 for step in image.strides[:2])
    return down, right


def _fits(image: np.ndarray, channels: int) -> bool:
    return (
        image.dtype in _DTYPES and channels <= _MAX_CHANNELS and image.size > 0
    )


def _one_to_one(channels: int) -> list[int]:
    return [index for index in range(channels) for _ in range(2)]
