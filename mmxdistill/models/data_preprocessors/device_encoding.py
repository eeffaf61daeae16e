"""Encoding of a modality on the device, behind the loader's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from mmdet.structures import SampleList
from torch import Tensor, nn

from mmxdistill.encodings.deferred import Axis, find_axes, move_like
from mmxdistill.models.data_preprocessors.device_resize import (
    Resizes,
    flip_images,
)

__all__ = ['encode_modality', 'find_moves']

Move: TypeAlias = tuple[Axis, Axis]


def find_moves(
    name: str,
    stand_ins: Sequence[Tensor],
    samples: SampleList,
    resizes: Resizes,
) -> list[Move]:
    """Find where the images went since they were loaded.

    Args:
        name (str): Modality to be encoded.
        stand_ins (Sequence[Tensor]): (3, H, W) what became of each
            ``position_image``, best in main memory.
        samples (list[DetDataSample]): Have ``encoder_inputs`` and, if the
            image was moved, ``homography_matrix``.
        resizes (list[DeviceResize | None]): What will be done to the images
            after the encoding.

    Returns:
        list[tuple[Axis, Axis]]: Rows and columns of each image.

    Raises:
        ValueError: An image was moved in a way that cannot be followed.
    """
    moves = []
    turned = flip_images(stand_ins, resizes)
    for image, sample, resize in zip(turned, samples, resizes, strict=True):
        stand_in = image.permute(1, 2, 0).cpu().numpy()
        size = sample.encoder_inputs[name]['depth_mm'].shape
        try:
            matrix = sample.get('homography_matrix')
            if matrix is not None and resize is not None:
                rest = [1 / resize.factor, 1 / resize.factor, 1]
                matrix = np.diag(rest) @ matrix
            moves.append(find_axes(matrix, size, stand_in))
        except ValueError as error:
            raise ValueError(
                f"'{sample.get('img_path')}', modality '{name}': {error}"
            ) from error
    return moves


def encode_modality(
    encoder: nn.Module,
    channels: slice,
    images: Sequence[Tensor],
    inputs: Sequence[dict],
    moves: Sequence[Move],
) -> list[Tensor]:
    """Replace the stand-ins of a modality by what they stand for.

    Args:
        encoder (HHAEncoder): Encodes whole depth maps.
        channels (slice): See :func:`find_moves`.
        images (Sequence[Tensor]): (C, H, W) on the device where to encode.
        inputs (Sequence[dict]): ``encoder_inputs`` of the modality.
        moves (Sequence[tuple[Axis, Axis]]): Of :func:`find_moves`.

    Returns:
        list[Tensor]: The images with the encoded modality.
    """
    device = images[0].device
    masks = [item['raw_depth_mm'] for item in inputs]
    gravity = [item['gravity'] for item in inputs]
    encoded = encoder(
        [_to_device(item['depth_mm'], device) for item in inputs],
        None
        if masks[0] is None
        else [torch.from_numpy(mask).to(device) for mask in masks],
        [item['camera'] for item in inputs],
        gravity=None if gravity[0] is None else gravity,
    )
    out = []
    for image, hha, move in zip(images, encoded, moves, strict=True):
        filled = image.clone()
        filled[channels] = move_like(hha, move, image[channels])
        out.append(filled)
    return out


def _to_device(depth_mm: np.ndarray, device: torch.device) -> Tensor:
    """Send 16-bit depth as such: old versions of PyTorch have no uint16."""
    if depth_mm.dtype != np.uint16:
        return torch.from_numpy(depth_mm).to(device)
    signed = torch.from_numpy(depth_mm.view(np.int16)).to(device)
    return signed.int() & 0xFFFF
