"""What the region (SDS) networks read for a box: coordinates and targets.

Shapes: R boxes, images of H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    'crop_masks',
    'instance_weights',
    'normalize_boxes',
    'released_test_boxes',
    'snap_boxes',
]

# Side in pixels of a box that counts fully in the training loss.
_FULL_SIDE = 224.0


def released_test_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Move detections as the released region test does: minus 1, clipped.

    Its detections are 0-based already; the subtraction is left over from a
    MATLAB pipeline. Masks are predicted for these boxes but pasted into the
    ones that were detected. Use it to reproduce the published numbers only.

    Args:
        boxes (Tensor): Inclusive corners in pixels of the image, (R, 4).
        image_size (tuple[int, int]): Height and width of the image.

    Returns:
        Tensor: The boxes to predict masks for, (R, 4).
    """
    height, width = image_size
    limit = boxes.new_tensor([width, height, width, height]) - 1
    return torch.minimum(boxes - 1, limit).clamp(min=0)


def normalize_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Corners in fractions of the image, for :class:`BoxUpsample`.

    A box ends at the outer edges of its pixels (0.5 beyond their centres);
    the released code divides by the size minus 1.

    Args:
        boxes (Tensor): Inclusive corners in pixels of the image, (R, 4).
        image_size (tuple[int, int]): Height and width of the image.

    Returns:
        Tensor: x1, y1, x2, y2, (R, 4).
    """
    height, width = image_size
    edges = boxes + boxes.new_tensor([-0.5, -0.5, 0.5, 0.5])
    return edges / (boxes.new_tensor([width, height, width, height]) - 1)


def snap_boxes(
    boxes: Tensor,
    image_size: tuple[int, int],
    input_size: tuple[int, int],
    stride: int = 16,
) -> Tensor:
    """Boxes in whole feature cells, for RoI pooling with a scale of 1.

    Unlike in the detector, both axes have a scale of their own, and half
    cells round to even.

    Args:
        boxes (Tensor): Inclusive corners in pixels of the image, (R, 4).
        image_size (tuple[int, int]): Height and width of the image.
        input_size (tuple[int, int]): Height and width of the network's input.
        stride (int): Input pixels per cell. Defaults to 16.

    Returns:
        Tensor: x1, y1, x2, y2 in cells, of the type of ``boxes``, (R, 4).
    """
    scale = boxes.new_tensor(input_size) / boxes.new_tensor(image_size)
    return (boxes * scale[[1, 0, 1, 0]] / stride).round()


def crop_masks(masks: Tensor, boxes: Tensor, size: int = 50) -> Tensor:
    """Targets of the mask head: masks at ``size * size`` points of the boxes.

    The first and last points are the corners of the box; each takes the
    nearest pixel, so labels (such as -1, ignored) never mix.

    Args:
        masks (Tensor): Mask of the object of each box, (R, H, W).
        boxes (Tensor): Inclusive corners in pixels, (R, 4).
        size (int): Points along a side, at least 2. Defaults to 50.

    Returns:
        Tensor: Of the type of ``masks``, (R, size, size).
    """
    part = torch.arange(size, dtype=torch.float64, device=boxes.device)
    part = part / (size - 1)
    start, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    points = start[:, :, None] + part * extent[:, :, None]
    x, y = points.round().long().unbind(1)
    x = x.clamp(0, masks.shape[2] - 1)
    y = y.clamp(0, masks.shape[1] - 1)
    row = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[row, y[:, :, None], x[:, None, :]]


def instance_weights(boxes: Tensor) -> Tensor:
    """Weight of each box in the loss: ``min(area / 224^2, 1)``.

    Args:
        boxes (Tensor): Inclusive corners in pixels, (R, 4).

    Returns:
        Tensor: (R,).
    """
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
    return (area / _FULL_SIDE**2).clamp(max=1)
