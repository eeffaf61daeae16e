"""Hyper-columns: features at the cells of boxes, and grids of classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.utils import _pair

from mmxdistill.registry import MODELS

__all__ = [
    'BoxUpsample',
    'ClassifierGrid',
    'ClassifierGridLoss',
    'select_class_channels',
    'sum_hypercolumn',
]


@MODELS.register_module()
class BoxUpsample(nn.Module):
    """Bilinear samples of a class's channels at the cells of a box.

    The BoxUpsample layer of the authors' SDS network: cell i of n spans the
    part [i / n, (i + 1) / n] of the box and is sampled at its centre; beyond
    the map the border repeats. The gradient is the exact adjoint, as in their
    CUDA code (their CPU code has another).

    Memory beyond the result: one copy of the maps, and 96 bytes per cell and
    box.

    Args:
        channels: Channels per class.
        size: Cells (h, w) of a box, or one number for both.

    Raises:
        ValueError: If an argument is not positive.
    """

    def __init__(self, channels: int, size: int | tuple[int, int]) -> None:
        super().__init__()
        self.channels = channels
        self.size: tuple[int, int] = _pair(size)
        if min(channels, *self.size) < 1:
            raise ValueError(
                f'BoxUpsample: channels={channels} and size={size} must be '
                'positive'
            )

    def forward(self, maps: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
        """Sample the maps.

        Args:
            maps: Maps of all classes one after the other, (N, classes *
                channels, H, W).
            boxes: Batch index and corners x1, y1, x2, y2 in fractions of the
                map's width and height (0: left or top edge, 1: right or
                bottom edge), (R, 5).
            labels: Class of each box, int64, (R,).

        Returns:
            Features, at least float32, (R, channels, h, w).

        Raises:
            ValueError: If a shape is wrong, a box is not finite, or a batch
                index or label does not exist.
        """
        classes = _num_classes(maps, self.channels, 4)
        num_images, _, height, width = maps.shape
        if boxes.shape[1:] != (5,):
            raise ValueError(
                'boxes must be (R, 5): batch index, x1, y1, x2, y2; got shape '
                f'{tuple(boxes.shape)}'
            )
        _check_range('batch index', boxes[:, 0], len(boxes), num_images)
        _check_range('label', labels, len(boxes), classes)
        if not boxes.isfinite().all():
            raise ValueError(f'boxes must be finite, got {boxes.tolist()}')

        # A cell's channels lie side by side: four rows make one sample.
        table = maps.unflatten(1, (classes, self.channels))
        table = table.movedim(2, -1).reshape(-1, self.channels)
        table = _at_least_float32(table)
        rows, row_weights = _neighbours(boxes[:, 2::2], self.size[0], height)
        cols, col_weights = _neighbours(boxes[:, 1::2], self.size[1], width)
        plane = boxes[:, 0].long() * classes + labels
        rows += plane[:, None, None] * height
        cells = rows[:, :, None, :, None] * width + cols[:, None, :, None, :]
        weights = (
            row_weights[:, :, None, :, None] * col_weights[:, None, :, None, :]
        )
        sampled = F.embedding_bag(
            cells.view(-1, 4),
            table,
            per_sample_weights=weights.view(-1, 4).to(table.dtype),
            mode='sum',
        )
        sampled = sampled.view(len(boxes), *self.size, self.channels)
        return sampled.movedim(-1, 1)

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'channels={self.channels}, size={self.size}'


def select_class_channels(x: Tensor, labels: Tensor, channels: int) -> Tensor:
    """Each row's own class of a class-specific vector.

    The PickSlice layer of the authors' SDS network.

    Args:
        x: Vectors of all classes one after the other, (R, classes *
            channels).
        labels: Class of each row, int64, (R,).
        channels: Channels per class.

    Returns:
        The class's channels, (R, channels).

    Raises:
        ValueError: If a shape is wrong or a label does not exist.
    """
    classes = _num_classes(x, channels, 2)
    _check_range('label', labels, len(x), classes)
    rows = torch.arange(len(x), device=x.device)
    return x.unflatten(1, (classes, channels))[rows, labels]


def sum_hypercolumn(
    vector: Tensor, maps: Sequence[Tensor], size: tuple[int, int]
) -> Tensor:
    """Repeat a vector over a box and add the maps.

    The RepMat and Sum layers of the authors' SDS network.

    Args:
        vector: One vector per box, (R, C).
        maps: Maps of the boxes, each (R, C, h, w).
        size: Cells (h, w).

    Returns:
        The sum, (R, C, h, w).
    """
    return sum(maps, vector[:, :, None, None].expand(-1, -1, *size))


@MODELS.register_module()
class ClassifierGrid(nn.Module):
    """Probability of the foreground from a grid of classifiers in a box.

    The LocallyConnected layer of the authors' SDS network ("Hypercolumns",
    sec. 2.2): the box has ``grid_size * grid_size`` classifiers, each with a
    channel of logits (row-major). A pixel's probability interpolates
    bilinearly between the *probabilities* of the four nearest classifiers.

    Args:
        grid_size: Classifiers along a side of the box.
    """

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size

    def forward(self, logits: Tensor) -> Tensor:
        """Compute the probabilities.

        Args:
            logits: (R, grid_size ** 2, h, w).

        Returns:
            Probabilities, at least float32, (R, h, w).

        Raises:
            ValueError: If the number of channels is wrong.
        """
        logits, weights = _grid_weights(logits, self.grid_size)
        return (logits.sigmoid() * weights).sum(1)

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'grid_size={self.grid_size}'


@MODELS.register_module()
class ClassifierGridLoss(nn.Module):
    """Log loss of a :class:`ClassifierGrid`.

    The LocallyConnectedWithLoss layer of the authors' SDS network: ``sum over
    boxes of weight * sum over pixels of -log(p or 1 - p)``, divided by the
    number of boxes, as their CUDA code does in the gradient, too. Computed
    from the logits: saturated ones give neither infinities nor lost
    gradients.

    Args:
        grid_size: Classifiers along a side of the box.
        loss_weight: Weight of the loss.
    """

    def __init__(self, grid_size: int, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.loss_weight = loss_weight

    def forward(
        self, logits: Tensor, targets: Tensor, weights: Tensor
    ) -> Tensor:
        """Compute the loss.

        Args:
            logits: (R, grid_size ** 2, h, w).
            targets: 1 (more than 0.5) for foreground, 0 for background, -1
                (negative) for pixels to be ignored; (R, h, w).
            weights: Weight of each box, (R,).

        Returns:
            Scalar, at least float32; 0 without boxes.

        Raises:
            ValueError: If a shape is wrong.
        """
        logits, shares = _grid_weights(logits, self.grid_size)
        expected = (len(logits), *logits.shape[2:])
        if targets.shape != expected or weights.shape != expected[:1]:
            raise ValueError(
                f'targets must be {expected} and weights {expected[:1]} for '
                f'logits {tuple(logits.shape)}, got {tuple(targets.shape)} '
                f'and {tuple(weights.shape)}'
            )
        # The shares of a pixel add up to 1, so 1 - p is p of the negated
        # logits.
        sign = torch.where(targets > 0.5, 1.0, -1.0).to(logits.dtype)
        log_p = F.logsigmoid(logits * sign[:, None])
        log_p = torch.logsumexp(log_p + shares.log(), 1)
        per_box = -torch.where(targets < 0, 0.0, log_p).sum((1, 2))
        total = (per_box * weights.to(per_box.dtype)).sum()
        return total * (self.loss_weight / max(len(logits), 1))

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'grid_size={self.grid_size}, loss_weight={self.loss_weight}'


def _neighbours(
    extent: Tensor, samples: int, cells: int
) -> tuple[Tensor, Tensor]:
    """The two cells next to each sample of an axis, and their weights.

    Args:
        extent: First and last coordinate in fractions of the map, (R, 2).
        samples: Samples in between.
        cells: Cells of the map along the axis.

    Returns:
        Cells (int64) and weights (float64), both (R, samples, 2).
    """
    extent = extent.double()
    part = (_range(samples, extent) + 0.5) / samples
    low, high = extent[:, :1], extent[:, 1:]
    position = (low + part * (high - low)) * cells - 0.5
    position = position.clamp(0, cells - 1)
    first = position.floor()
    second = (first + 1).clamp(max=cells - 1)
    share = position - first
    return (
        torch.stack((first, second), 2).long(),
        torch.stack((1 - share, share), 2),
    )


def _grid_weights(logits: Tensor, grid_size: int) -> tuple[Tensor, Tensor]:
    """Logits in at least float32, and each classifier's share of a pixel.

    Returns:
        Logits (R, grid_size ** 2, h, w) and shares (grid_size ** 2, h, w),
        which add up to 1 at every pixel; at most four are not 0.
    """
    if logits.dim() != 4 or logits.shape[1] != grid_size**2:
        raise ValueError(
            f'logits of a {grid_size} x {grid_size} grid must be (R, '
            f'{grid_size**2}, h, w), got shape {tuple(logits.shape)}'
        )
    logits = _at_least_float32(logits)
    shares = []
    for pixels in logits.shape[2:]:
        position = (_range(pixels, logits) + 0.5) * grid_size / pixels - 0.5
        position = position.clamp(0, grid_size - 1)
        distance = position - _range(grid_size, logits)[:, None]
        shares.append((1 - distance.abs()).clamp(min=0))
    rows, cols = shares
    weights = rows[:, None, :, None] * cols[None, :, None, :]
    return logits, weights.flatten(0, 1).to(logits.dtype)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _range(count: int, like: Tensor) -> Tensor:
    return torch.arange(count, dtype=torch.float64, device=like.device)


def _num_classes(x: Tensor, channels: int, dims: int) -> int:
    classes, rest = divmod(x.shape[1], channels) if x.dim() > 1 else (0, 0)
    if x.dim() != dims or rest or not classes or 0 in x.shape[2:]:
        shape = '(N, C, H, W)' if dims == 4 else '(R, C)'
        raise ValueError(
            f'expected a {shape} tensor with C a multiple of {channels} '
            f'channels per class, got shape {tuple(x.shape)}'
        )
    return classes


def _check_range(name: str, values: Tensor, count: int, limit: int) -> None:
    """Check that there are ``count`` values, all from 0 to limit - 1."""
    if values.shape != (count,):
        raise ValueError(
            f'expected one {name} per box, ({count},), got shape '
            f'{tuple(values.shape)}'
        )
    if ((values < 0) | (values >= limit)).any():
        raise ValueError(
            f'a {name} must be from 0 to {limit - 1}, got {values.tolist()}'
        )
