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
) -> list[Move | None]:
    """Find where the images went since they were loaded.

    Args:
        name (str): Modality to be encoded.
        stand_ins (Sequence[Tensor]): (3, H, W) what became of each
            ``position_image``, best in main memory.
        samples (list[DetDataSample]): Have ``encoder_inputs``, unless they
            lack the modality, and, if the image was moved,
            ``homography_matrix``.
        resizes (list[DeviceResize | None]): What will be done to the images
            after the encoding.

    Returns:
        list[tuple[Axis, Axis] | None]: Rows and columns of each image; None
        of a sample that lacks the modality.

    Raises:
        ValueError: An image was moved in a way that cannot be followed.
    """
    moves: list[Move | None] = []
    turned = flip_images(stand_ins, resizes)
    for image, sample, resize in zip(turned, samples, resizes, strict=True):
        waiting = sample.get('encoder_inputs', {}).get(name)
        if waiting is None:
            moves.append(None)
            continue
        stand_in = image.permute(1, 2, 0).cpu().numpy()
        size = waiting['depth_mm'].shape
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
    inputs: Sequence[dict | None],
    moves: Sequence[Move | None],
) -> list[Tensor]:
    """Replace the stand-ins of a modality by what they stand for.

    Each frame is encoded as it is alone, whatever the others of the batch
    bring: a mask, a known gravity, both or neither.

    Args:
        encoder (HHAEncoder): Encodes whole depth maps.
        channels (slice): Of the modality.
        images (Sequence[Tensor]): (C, H, W) on the device where to encode.
        inputs (Sequence[dict | None]): ``encoder_inputs`` of the modality;
            None of a sample that lacks it.
        moves (Sequence[tuple[Axis, Axis] | None]): Of :func:`find_moves`.

    Returns:
        list[Tensor]: The images with the encoded modality; black stays black.
    """
    out = list(images)
    # The encoder estimates gravity for all frames of a call, or for none.
    groups: dict[bool, list[tuple[int, dict, Move]]] = {}
    for index, (item, move) in enumerate(zip(inputs, moves, strict=True)):
        if item is not None and move is not None:
            known = item['gravity'] is not None
            groups.setdefault(known, []).append((index, item, move))
    for known, group in groups.items():
        items = [item for _, item, _ in group]
        encoded = _encode(encoder, items, known, images[0].device)
        for (index, _, move), hha in zip(group, encoded, strict=True):
            filled = images[index].clone()
            filled[channels] = move_like(hha, move, filled[channels])
            out[index] = filled
    return out


def _encode(
    encoder: nn.Module,
    items: Sequence[dict],
    known: bool,
    device: torch.device,
) -> Sequence[Tensor]:
    """Encode frames whose gravity is known, or of all of which it is not."""
    depths = [_to_device(item['depth_mm'], device) for item in items]
    masks = [item['raw_depth_mm'] for item in items]
    raws = [
        # As for the loader, every positive depth is measured then.
        depth if mask is None else torch.from_numpy(mask).to(device)
        for depth, mask in zip(depths, masks, strict=True)
    ]
    encoded: Sequence[Tensor] = encoder(
        depths,
        raws,
        [item['camera'] for item in items],
        gravity=[item['gravity'] for item in items] if known else None,
    )
    return encoded


def _to_device(depth_mm: np.ndarray, device: torch.device) -> Tensor:
    """Send 16-bit depth as such: old versions of PyTorch have no uint16."""
    if depth_mm.dtype != np.uint16:
        return torch.from_numpy(depth_mm).to(device)
    signed = torch.from_numpy(depth_mm.view(np.int16)).to(device)
    return signed.int() & 0xFFFF
