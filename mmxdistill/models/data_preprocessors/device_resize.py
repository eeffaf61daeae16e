"""Flipping and Caffe's resizing on the device."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from mmdet.structures import SampleList
from torch import Tensor

from mmxdistill.datasets.transforms.left_to_device import DeviceResize

__all__ = [
    'Resizes',
    'find_resizes',
    'flip_images',
    'resize_images',
    'widen',
]

Resizes: TypeAlias = list[DeviceResize | None]


def find_resizes(images: Sequence[Tensor], samples: SampleList) -> Resizes:
    """Find what the loader left to do with each image.

    Args:
        images (Sequence[Tensor]): (C, H, W) each.
        samples (list[DetDataSample]): Their samples.

    Returns:
        list[DeviceResize | None]: None if the image is finished.

    Raises:
        ValueError: An image was moved after :class:`CaffeResize`.
    """
    if not samples:
        return [None] * len(images)
    found: Resizes = []
    for image, sample in zip(images, samples, strict=True):
        left = sample.get('device_resize')
        found.append(None if left is None else DeviceResize(*left))
        if found[-1] is None:
            continue
        resize = found[-1]
        direction = sample.get('flip_direction', resize.flip_direction)
        if (
            tuple(image.shape[-2:]) != resize.source
            or tuple(sample.get('img_shape', resize.shape)) != resize.shape
            or direction != resize.flip_direction
        ):
            raise ValueError(
                f"'{sample.get('img_path')}': an image that CaffeResize("
                'on_device=True) left to the device was moved afterwards: '
                'put flips, crops and all else before CaffeResize and '
                'padding into the data_preprocessor, or resize in the loader '
                '(on_device=False)'
            )
    return found


def widen(image: Tensor) -> Tensor:
    """Make images of 16 or more unsigned bits signed, with as many values.

    PyTorch stores such tensors, but does next to nothing with them.

    Args:
        image (Tensor): Of any type.

    Returns:
        Tensor: int32 for uint16, int64 for uint32; others as they were.
    """
    bytes_ = image.element_size()
    if image.dtype.is_signed or bytes_ == 1:
        return image
    return image.int() if bytes_ == 2 else image.long()


def flip_images(images: Sequence[Tensor], resizes: Resizes) -> list[Tensor]:
    """Reverse rows and columns as the loader wanted it.

    Args:
        images (Sequence[Tensor]): (C, H, W) each.
        resizes (list[DeviceResize | None]): Of :func:`find_resizes`.

    Returns:
        list[Tensor]: The images.
    """
    out = []
    for image, resize in zip(images, resizes, strict=True):
        flips = (False, False) if resize is None else resize.flip
        dims = [dim for dim, flip in zip((-2, -1), flips, strict=True) if flip]
        out.append(image.flip(dims) if dims else image)
    return out


def resize_images(images: Sequence[Tensor], resizes: Resizes) -> list[Tensor]:
    """Resize as :class:`CaffeResize` does in the loader.

    Bilinear with step 1 / factor: equal to it up to float32 rounding (less
    than 1e-3 grey levels).

    Args:
        images (Sequence[Tensor]): (C, H, W) each, of any type.
        resizes (list[DeviceResize | None]): Of :func:`find_resizes`.

    Returns:
        list[Tensor]: float32 (C, H', W'); finished images are as they were.
    """
    first = resizes[0]
    same = {r and (r.source, r.factor, r.shape, r.start) for r in resizes}
    if first is not None and len(same) == 1:
        return list(_resize(torch.stack(list(images)), first))
    return [
        image if resize is None else _resize(image, resize)
        for image, resize in zip(images, resizes, strict=True)
    ]


def _resize(images: Tensor, resize: DeviceResize) -> Tensor:
    """Resize (..., H, W); columns first, as OpenCV does."""
    for dim in (-1, -2):
        low, high, weight = _taps(
            resize.source[dim],
            resize.shape[dim],
            resize.factor,
            resize.start[dim],
            images.device,
        )
        if dim == -2:
            weight = weight[:, None]
        first = images.index_select(dim, low).float()
        images = first.lerp(images.index_select(dim, high).float(), weight)
    return images


@functools.lru_cache(maxsize=64)
def _taps(
    size: int,
    length: int,
    factor: float,
    start: float,
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Input pixels on both sides of each output pixel, and their mixture."""
    source = start + (np.arange(length) + 0.5) / factor - 0.5
    source = source.clip(0, size - 1)
    low = np.floor(source).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = (source - low).astype(np.float32)
    low_, high_, weight_ = (
        torch.from_numpy(x).to(device) for x in (low, high, weight)
    )
    return low_, high_, weight_
