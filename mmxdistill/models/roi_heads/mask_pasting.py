"""From the masks of boxes to regions of the image, as in the SDS release."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ['paste_masks', 'superpixel_means', 'superpixel_regions']


def paste_masks(
    masks: Tensor, boxes: Tensor, image_size: tuple[int, int]
) -> Tensor:
    """Paste masks into images of their own.

    Corners of the boxes are rounded up and clipped to the image. Each pixel
    takes the mask's cell that it lies in (no interpolation).

    Args:
        masks (Tensor): Masks of the boxes, (R, h, w).
        boxes (Tensor): Inclusive corners in pixels of the image, (R, 4).
        image_size (tuple[int, int]): Height and width of the image.

    Returns:
        Tensor: Of the type of ``masks``, 0 outside of the boxes, (R, H, W).
    """
    pasted = masks.new_zeros((len(masks), *image_size))
    for image, (window, patch) in zip(
        pasted, _patches(masks, boxes, image_size), strict=True
    ):
        image[window] = patch
    return pasted


def superpixel_means(
    masks: Tensor, boxes: Tensor, superpixels: Tensor
) -> Tensor:
    """Average the pasted masks over superpixels.

    The part of a superpixel outside of the box counts as 0. Memory is bounded
    by one image, however many boxes.

    Args:
        masks (Tensor): Masks of the boxes, (R, h, w).
        boxes (Tensor): Inclusive corners in pixels of the image, (R, 4).
        superpixels (Tensor): Superpixel of each pixel, from 1, integer,
            (H, W).

    Returns:
        Tensor: Float64, (R, S); S is the highest superpixel.

    Raises:
        ValueError: If a superpixel is below 1.
    """
    index = _superpixel_index(superpixels)
    areas = torch.bincount(index.flatten())
    sums = areas.new_zeros((len(masks), len(areas)), dtype=torch.float64)
    for row, (window, patch) in zip(
        sums, _patches(masks, boxes, tuple(index.shape)), strict=True
    ):
        row.copy_(
            torch.bincount(
                index[window].flatten(),
                patch.flatten().double(),
                minlength=len(areas),
            )
        )
    return sums / areas.clamp(min=1)


def superpixel_regions(
    means: Tensor, superpixels: Tensor, threshold: float = 0.4
) -> Tensor:
    """Regions of the superpixels whose mean reaches the threshold.

    Args:
        means (Tensor): From :func:`superpixel_means`, (R, S).
        superpixels (Tensor): Superpixel of each pixel, from 1, (H, W).
        threshold (float): Lowest mean of a superpixel in the region. Defaults
            to the released 0.4.

    Returns:
        Tensor: Bool, (R, H, W).

    Raises:
        ValueError: If a superpixel is below 1.
    """
    return (means >= threshold)[:, _superpixel_index(superpixels)]


def _superpixel_index(superpixels: Tensor) -> Tensor:
    index = superpixels.long() - 1
    if index.numel() and index.min() < 0:
        raise ValueError(
            'superpixels must be numbered from 1, found '
            f'{int(index.min()) + 1}'
        )
    return index


def _patches(
    masks: Tensor, boxes: Tensor, image_size: tuple[int, ...]
) -> Iterator[tuple[tuple[slice, slice], Tensor]]:
    """Window in the image and pixels of each mask."""
    height, width = image_size
    limit = boxes.new_tensor([width, height, width, height]) - 1
    corners = torch.minimum(boxes.ceil(), limit).clamp(min=0).long()
    # One by one: a box touches only its own pixels.
    for mask, (x1, y1, x2, y2) in zip(masks, corners.tolist(), strict=True):
        rows = _cells(y2 - y1 + 1, mask.shape[0], mask.device)
        cols = _cells(x2 - x1 + 1, mask.shape[1], mask.device)
        window = slice(y1, y1 + len(rows)), slice(x1, x1 + len(cols))
        yield window, mask[rows[:, None], cols]


def _cells(pixels: int, cells: int, device: torch.device) -> Tensor:
    """Cell that each pixel of an axis lies in; none for a reversed box."""
    pixel = torch.arange(max(pixels, 0), device=device)
    return pixel * cells // max(pixels, 1)
