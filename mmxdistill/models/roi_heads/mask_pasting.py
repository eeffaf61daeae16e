"""From the masks of boxes to regions of the image, as in the SDS release.

Shapes: R boxes with masks of h x w cells, an image of H x W pixels with S
superpixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

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
        Threshold the masks first where a region is wanted: cells are not
            mixed, and bits take a quarter of the memory.
    """
    corners = _corners(boxes, image_size)
    height, width = image_size
    rows, cols = masks.shape[1:]
    row = _cells(corners[:, 1::2], rows, height)
    col = _cells(corners[:, 0::2], cols, width)
    # An empty cell at the end of each axis stands for pixels outside. Columns
    # first: after that, whole rows are copied.
    wide = F.pad(masks, (0, 1, 0, 1))
    wide = wide.gather(2, col[:, None].expand(-1, rows + 1, -1))
    row = row + (rows + 1) * _numbers(len(masks), masks)[:, None]
    pasted = wide.flatten(0, 1).index_select(0, row.flatten())
    return pasted.view(len(masks), height, width)


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
    corners = _corners(boxes, tuple(index.shape))
    # One by one: a box touches only its own pixels.
    for total, mask, (x1, y1, x2, y2) in zip(
        sums, masks, corners.tolist(), strict=True
    ):
        window = index[y1 : y2 + 1, x1 : x2 + 1]
        if not window.numel():
            continue
        rows, cols = (
            _numbers(pixels, masks) * cells // pixels
            for pixels, cells in zip(window.shape, mask.shape, strict=True)
        )
        patch = mask.index_select(1, cols).index_select(0, rows)
        total.index_add_(0, window.flatten(), patch.flatten().double())
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


def _corners(boxes: Tensor, image_size: tuple[int, ...]) -> Tensor:
    """Inclusive corners in whole pixels of the image, int64, (R, 4)."""
    height, width = image_size
    limit = boxes.new_tensor([width, height, width, height]) - 1
    return torch.minimum(boxes.ceil(), limit).clamp(min=0).long()


def _cells(ends: Tensor, cells: int, pixels: int) -> Tensor:
    """Cell that each pixel of an axis lies in.

    Args:
        ends (Tensor): First and last pixel of each box, (R, 2).
        cells (int): Cells of a mask.
        pixels (int): Pixels of the image.

    Returns:
        Tensor: Int64, (R, pixels); ``cells`` outside of the box.
    """
    pixel = _numbers(pixels, ends) - ends[:, :1]
    count = ends[:, 1:] - ends[:, :1] + 1
    cell = pixel * cells // count.clamp(min=1)
    return cell.masked_fill((pixel < 0) | (pixel >= count), cells)


def _numbers(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, device=like.device)
