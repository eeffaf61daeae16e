"""What a loader leaves to the data preprocessor, and who must not get it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor

__all__ = ['DeviceResize', 'check_nothing_left', 'guard_stock_preprocessors']

# Keys of a sample that only MultiModalDataPreprocessor takes away.
_KEYS = ('device_resize', 'encoder_inputs')


class DeviceResize(NamedTuple):
    """What :class:`CaffeResize` leaves to do with an image.

    Attributes:
        factor: Pixels of the result per pixel that is sent.
        source: Height and width of the image that is sent.
        shape: Height and width of the result.
        flip: Whether its rows and its columns are to be reversed before.
        flip_direction: What the pipeline said about that.
        start: Rows and columns of it, flipped, that come before the image:
            part of one, if a JPEG was decoded at a reduced size.
    """

    factor: float
    source: tuple[int, int]
    shape: tuple[int, int]
    flip: tuple[bool, bool]
    flip_direction: str | None
    start: tuple[float, float] = (0.0, 0.0)


def check_nothing_left(images: Iterable[Any], samples: Sequence[Any]) -> None:
    """Refuse images that a preprocessor would take unfinished.

    Args:
        images (Iterable[Tensor]): (C, H, W).
        samples (Sequence[DetDataSample]): Their samples.

    Raises:
        ValueError: Something was left to the device that nobody does.
    """
    single = not isinstance(images, torch.Tensor)
    for image, sample in zip(images, samples, strict=False):
        left = [key for key in _KEYS if key in sample]
        size, shape = tuple(image.shape[-2:]), sample.get('img_shape')
        # Stock meta_keys: without 'device_resize', but with these. A batch
        # that somebody has stacked may be padded.
        if single and sample.get('ori_shape') == size != tuple(shape or size):
            left.append('resizing')
        if left:
            raise ValueError(
                f"'{sample.get('img_path')}': the pipeline left {left} to "
                'the device (on_device=True of CaffeResize or EncodeHHA), '
                'which takes data_preprocessor=dict(type='
                "'mmxdistill.MultiModalDataPreprocessor', ...) and the "
                "meta_keys 'device_resize', 'encoder_inputs' and "
                "'homography_matrix' of PackDetInputs; found an image of "
                f'{size[1]}x{size[0]}, whose img_shape is {shape}'
            )


def guard_stock_preprocessors() -> None:
    """Let mmdet's own preprocessor refuse images that are not finished."""
    forward = DetDataPreprocessor.forward
    if hasattr(forward, 'unguarded'):
        return

    @functools.wraps(forward)
    def guarded(self: Any, data: dict, training: bool = False) -> dict:
        check_nothing_left(data['inputs'], data.get('data_samples') or ())
        finished: dict = forward(self, data, training)
        return finished

    guarded.unguarded = forward  # type: ignore[attr-defined]
    DetDataPreprocessor.forward = guarded
