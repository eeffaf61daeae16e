"""Resizing and flipping as in Caffe's Fast R-CNN."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmdet.datasets.transforms import RandomFlip as MMDetRandomFlip
from mmdet.datasets.transforms import Resize as MMDetResize
from mmdet.structures.bbox import autocast_box_type

from mmxdistill.datasets.transforms.channels import (
    directions,
    split_channels,
)
from mmxdistill.datasets.transforms.left_to_device import (
    DeviceResize,
    guard_stock_preprocessors,
)
from mmxdistill.datasets.transforms.reduced_jpeg import (
    Decoded,
    UndecodedImage,
)
from mmxdistill.registry import TRANSFORMS

__all__ = ['CaffeRandomFlip', 'CaffeResize']


@TRANSFORMS.register_module()
class CaffeResize(MMDetResize):
    """Resize to a shorter side, in float32, sampling with step 1 / scale.

    As the released data layer (*Fast R-CNN*, ``utils/blob.py``): the scale is
    ``scale / shorter side``, or ``max_size / longer side`` if that is smaller,
    and OpenCV gets the scale (``fx, fy``) rather than a target size, so that
    it is the same on both axes and the last row and column may see less than
    a whole pixel. mmdet's ``Resize`` stretches the image to whole pixels and
    rounds uint8 images again. Means may be subtracted before or after:
    bilinear resampling is affine.

    Put it behind :class:`CaffeRandomFlip`: the two do not commute.

    Resizing and flipping can be left to the device (``on_device``): the
    loader then sends the bytes of the files, a quarter of what float32 takes
    at the same size, and does next to nothing but decode them. Boxes, masks
    and all that is known about the image are those of the result.

    Required Keys:

    - img (uint8 or float, (H, W, channels)): any number of channels; or
      what :class:`LoadModalities` with ``reduced_jpeg`` has not decoded yet,
      which is then decoded as small as the result allows
    - gt_bboxes, gt_masks, gt_seg_map (optional)

    Modified Keys:

    - img (np.float32), img_shape
    - gt_bboxes: times the scale, neither rounded nor clipped
    - gt_masks, gt_seg_map

    Added Keys:

    - scale (w, h of the result), scale_factor (s, s), keep_ratio
    - homography_matrix (np.float64)
    - device_resize (:class:`DeviceResize`): if ``on_device``

    Args:
        scale (int): Length of the shorter side in pixels. Defaults to 688.
        max_size (int): Largest length of the longer side. Defaults to 2000.
        on_device (bool): Leave the image to
            :class:`MultiModalDataPreprocessor`, which resizes it, and flips
            it before if the pipeline does. Nothing may move or edit the image
            afterwards. Defaults to False.

    Raises:
        ValueError: A length is not positive.
    """

    def __init__(
        self, scale: int = 688, max_size: int = 2000, on_device: bool = False
    ) -> None:
        if min(scale, max_size) <= 0:
            raise ValueError(
                'CaffeResize: scale and max_size are lengths of image sides '
                f'in pixels, found scale={scale}, max_size={max_size}'
            )
        super().__init__(scale=scale, clip_object_border=False)
        self.target = scale
        self.max_size = max_size
        self.on_device = on_device
        if on_device:
            guard_stock_preprocessors()

    def _resize_img(self, results: dict) -> None:
        image = results['img']
        short, long = sorted(image.shape[:2])
        factor = self.target / short
        if round(factor * long) > self.max_size:
            factor = self.max_size / long
        shape = _scaled(image.shape, factor)
        if isinstance(image, UndecodedImage):
            decoded = image.decode(factor)
        else:
            decoded = Decoded(image, 1, (0.0, 0.0))
        if self.on_device:
            self._leave_to_device(results, decoded, factor, shape)
        else:
            resized = _resize(decoded, factor, shape)
            results['img'] = resized if image.ndim == 3 else resized[..., 0]
        results['img_shape'] = shape
        results['scale'] = shape[::-1]
        results['scale_factor'] = (factor, factor)
        results['keep_ratio'] = True

    @staticmethod
    def _leave_to_device(
        results: dict, decoded: Decoded, factor: float, shape: tuple[int, int]
    ) -> None:
        image = decoded.image
        down, right = directions(image)
        results['device_resize'] = DeviceResize(
            factor * decoded.step,
            (image.shape[0], image.shape[1]),
            shape,
            (down < 0, right < 0),
            results.get('flip_direction'),
            decoded.start,
        )
        upright = split_channels(image[::down, ::right])
        results['img'] = upright.transpose(1, 2, 0)

    def _resize_bboxes(self, results: dict) -> None:
        boxes = results.get('gt_bboxes')
        if boxes is not None:
            kind = boxes.tensor.dtype
            # One rounding, that of the product, as Caffe's RoIs have.
            boxes.tensor = boxes.tensor.double()
            boxes.rescale_(results['scale_factor'])
            boxes.tensor = boxes.tensor.to(kind)

    def _record_homography_matrix(self, results: dict) -> None:
        matrix = np.diag([*results['scale_factor'], 1.0])
        before = results.get('homography_matrix')
        results['homography_matrix'] = (
            matrix if before is None else matrix @ before
        )

    def __repr__(self) -> str:
        """Name and sizes."""
        return (
            f'{type(self).__name__}(scale={self.target}, '
            f'max_size={self.max_size}, on_device={self.on_device})'
        )


def _scaled(shape: tuple[int, ...], factor: float) -> tuple[int, int]:
    """Height and width of the result; OpenCV rounds halves to even, too."""
    return round(shape[0] * factor), round(shape[1] * factor)


def _resize(
    decoded: Decoded, factor: float, shape: tuple[int, int]
) -> np.ndarray:
    """Resize an image (H, W, channels) bilinearly, with step 1 / factor.

    Args:
        decoded (Decoded): The image; the steps are in pixels of its file.
        factor (float): Pixels of the result per pixel of the file.
        shape (tuple[int, int]): Of the result. A reduced image may end with
            a block that the file fills in part, so its own may be larger.

    Returns:
        np.ndarray: float32 (H', W', channels), a view of (channels, H', W'),
        which is what a network takes and ``PackDetInputs`` need not copy.
    """
    # One by one: OpenCV computes 1, 3 or 4 channels precisely, but others
    # with positions rounded to float32 (an error of 0.01 grey levels at 560
    # pixels).
    planes = [p.astype(np.float32) for p in split_channels(decoded.image)]
    if decoded.step > 1:
        factor *= decoded.step
        planes = [_shift(plane, decoded.start) for plane in planes]
    first = _resize_plane(planes[0], factor)
    resized = np.empty((len(planes), *first.shape), np.float32)
    resized[0] = first
    for plane, out in zip(planes[1:], resized[1:], strict=True):
        _resize_plane(plane, factor, out)
    if first.shape != shape:
        resized = resized[:, : shape[0], : shape[1]].copy()
    return resized.transpose(1, 2, 0)


def _shift(plane: np.ndarray, start: tuple[float, float]) -> np.ndarray:
    """Move a plane up and left by parts of a pixel, bilinearly."""
    for axis, part in enumerate(start):
        if part and plane.shape[axis] > 1:
            turned = plane.swapaxes(0, axis)
            following = np.concatenate([turned[1:], turned[-1:]])
            turned = turned + np.float32(part) * (following - turned)
            plane = np.ascontiguousarray(turned.swapaxes(0, axis))
    return plane


def _resize_plane(
    plane: np.ndarray, factor: float, out: np.ndarray | None = None
) -> np.ndarray:
    return cv2.resize(
        plane, None, out, factor, factor, interpolation=cv2.INTER_LINEAR
    )


@TRANSFORMS.register_module()
class CaffeRandomFlip(MMDetRandomFlip):
    """``mmdet.RandomFlip`` for boxes whose corners are pixels, both inclusive.

    A flipped box has ``x1' = W - x2 - 1``, ``x2' = W - x1 - 1`` (as the
    flipped copies of *Fast R-CNN*, ``datasets/imdb.py``), where mmdet has
    ``W - x2`` and ``W - x1``. Keys are those of ``mmdet.RandomFlip``.

    Caffe trains on the originals and on their flipped copies, each once an
    epoch: two data sets in a ``ConcatDataset``, with ``prob=0.0`` and
    ``prob=1.0``.

    Args:
        prob (float | list[float]): See ``mmdet.RandomFlip``.
        direction (str | list[str]): See ``mmdet.RandomFlip``. Defaults to
            'horizontal'.
    """

    clip_object_border = False

    @autocast_box_type()
    def _flip(self, results: dict) -> None:
        super()._flip(results)
        boxes: Any = results.get('gt_bboxes')
        if boxes is not None:
            boxes.translate_(self._shift(results))

    def _record_homography_matrix(self, results: dict) -> None:
        super()._record_homography_matrix(results)
        shift = np.eye(3)
        shift[:2, 2] = self._shift(results)
        results['homography_matrix'] = shift @ results['homography_matrix']

    @staticmethod
    def _shift(results: dict) -> tuple[float, float]:
        direction = results['flip_direction']
        return (
            -1.0 if direction in ('horizontal', 'diagonal') else 0.0,
            -1.0 if direction in ('vertical', 'diagonal') else 0.0,
        )
