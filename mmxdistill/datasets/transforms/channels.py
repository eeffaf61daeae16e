"""Putting channels together and taking them apart, plane by plane.

A stack has the shape (H, W, channels), and its channels lie one behind the
other in memory. OpenCV splits an image into planes several times as fast as
anything interleaves two images, resizes single planes faster than five or more
channels at once, and gives each the values that it has in an image of three;
and ``PackDetInputs`` sends planes as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

__all__ = [
    'directions',
    'pick_channels',
    'repeat_channel',
    'split_channels',
    'stack_channels',
]

# What OpenCV's matrices can be.
_DTYPES = frozenset(
    map(np.dtype, 'uint8 int8 uint16 int16 int32 float32 float64'.split())
)
_FAST_CHANNELS = 4  # beyond them, mixChannels is faster than split
_MAX_CHANNELS = 512


def stack_channels(images: Sequence[np.ndarray]) -> np.ndarray:
    """Stack images of the same size along their channels.

    Args:
        images (Sequence[np.ndarray]): (H, W) or (H, W, channels) each.

    Returns:
        np.ndarray: (H, W, sum of channels), of the common dtype: a view of
        planes (channels, H, W), or the image itself if there is one. What
        :func:`repeat_channel` made is copied.

    Raises:
        ValueError: The images have different sizes.
    """
    parts = [np.atleast_3d(image) for image in images]
    if len(parts) == 1:
        image = parts[0]
        if image.strides[2] == 0 and image.shape[2] > 1:
            image = cv2.merge([image[..., 0]] * image.shape[2])
        return image
    sizes = sorted({part.shape[:2] for part in parts})
    if len(sizes) > 1:
        raise ValueError(
            f'images of different sizes cannot be stacked: {sizes}'
        )
    widths = [part.shape[2] for part in parts]
    planes = np.empty((sum(widths), *sizes[0]), np.result_type(*parts))
    ends = np.cumsum(widths)
    for part, width, end in zip(parts, widths, ends, strict=True):
        _copy_planes(part, planes[end - width : end])
    return planes.transpose(1, 2, 0)


def split_channels(image: np.ndarray) -> np.ndarray:
    """Bring an image into the order of a network's input.

    Args:
        image (np.ndarray): (H, W) or (H, W, channels); a flipped view is as
            fast as a contiguous image.

    Returns:
        np.ndarray: (channels, H, W), contiguous. Of a stack, the planes
        themselves.
    """
    image = np.atleast_3d(image)
    planes = image.transpose(2, 0, 1)
    if planes.flags.c_contiguous:
        return planes
    # OpenCV cannot look at views that run backwards.
    down, right = directions(image)
    upright = planes[:, ::down, ::right]
    if not upright.flags.c_contiguous:
        upright = np.empty(planes.shape, image.dtype)
        _copy_planes(image[::down, ::right], upright)
    if (down, right) == (1, 1):
        return upright
    if not _fits(image):
        return np.ascontiguousarray(upright[:, ::down, ::right])
    axes = {(1, -1): 1, (-1, 1): 0, (-1, -1): -1}[down, right]
    return np.stack([cv2.flip(plane, axes) for plane in upright])


def repeat_channel(image: np.ndarray, number: int) -> np.ndarray:
    """Look at a channel as at several; :func:`stack_channels` copies them.

    Args:
        image (np.ndarray): (H, W).
        number (int): How often it is repeated.

    Returns:
        np.ndarray: (H, W, number), a view; of several, one that cannot be
        written to.
    """
    image = image[..., None]
    if number > 1:
        image = np.broadcast_to(image, (*image.shape[:2], number))
    return image


def pick_channels(image: np.ndarray, channels: Iterable[int]) -> np.ndarray:
    """Copy some channels of an image into one of their own.

    Args:
        image (np.ndarray): (H, W) or (H, W, channels).
        channels (Iterable[int]): Which, in order; one may come twice.

    Returns:
        np.ndarray: (H, W, number), contiguous.
    """
    image, wanted = np.atleast_3d(image), list(channels)
    if not _fits(image):
        return np.ascontiguousarray(image[..., wanted])
    planes = split_channels(image)
    return np.atleast_3d(cv2.merge([planes[index] for index in wanted]))


def directions(image: np.ndarray) -> tuple[int, int]:
    """Tell how a view runs through its rows and columns: 1 or -1."""
    down, right = (-1 if step < 0 else 1 for step in image.strides[:2])
    return down, right


def _copy_planes(image: np.ndarray, planes: np.ndarray) -> None:
    """Copy (H, W, channels) to planes (channels, H, W)."""
    channels = image.shape[2]
    interleaved = image.strides[2] == image.itemsize and channels > 1
    if not interleaved or image.dtype != planes.dtype or not _fits(image):
        planes[:] = image.transpose(2, 0, 1)
    elif channels <= _FAST_CHANNELS:
        cv2.split(image, list(planes))
    else:
        cv2.mixChannels([image], list(planes), _one_to_one(channels))


def _fits(image: np.ndarray) -> bool:
    return (
        image.dtype in _DTYPES
        and image.shape[2] <= _MAX_CHANNELS
        and image.size > 0
    )


def _one_to_one(channels: int) -> list[int]:
    return [index for index in range(channels) for _ in range(2)]
