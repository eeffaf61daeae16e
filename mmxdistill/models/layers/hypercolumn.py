"""Hyper-columns: features at the cells of boxes, and grids of classifiers.

Shapes: N images, R boxes, K classes, C channels of a class, G x G classifiers
in a box (C = G * G), maps of H x W cells, boxes of h x w pixels.
"""

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
    'check_boxes',
    'select_class_channels',
    'sum_hypercolumn',
]

_OUTSIDE = 'a {} must be from 0 to {}, got {}'


@MODELS.register_module()
class BoxUpsample(nn.Module):
    """Bilinear samples of a class's channels at the cells of a box.

    The BoxUpsample layer of the authors' SDS network: cell i of n spans the
    part [i / n, (i + 1) / n] of the box and is sampled at its centre; beyond
    the map the border repeats. The gradient is the exact adjoint, as in their
    CUDA code (their CPU code has another).

    Memory beyond the result: the class's maps of every box, (R, C, H, W).

    Args:
        channels (int): C, channels of a class.
        size (int | tuple[int, int]): (h, w), or one number for both.

    Raises:
        ValueError: An argument is not positive.
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

    def forward(
        self,
        maps: Tensor,
        boxes: Tensor,
        labels: Tensor,
        checked: bool = False,
    ) -> Tensor:
        """Sample the maps.

        Args:
            maps (Tensor): Maps of all classes one after the other, (N, K * C,
                H, W).
            boxes (Tensor): Batch index and corners x1, y1, x2, y2 in
                fractions of the map's width and height (0: left or top edge,
                1: right or bottom edge), (R, 5).
            labels (Tensor): Class of each box, int64, (R,).
            checked (bool): Whether :func:`check_boxes` has seen them: it
                waits for the device. Defaults to False.

        Returns:
            Tensor: Features, at least float32, (R, C, h, w).

        Raises:
            ValueError: A shape is wrong, a box is not finite, or a batch
                index or label does not exist.
        """
        classes = _num_classes(maps, self.channels, 4)
        if boxes.shape[1:] != (5,) or labels.shape != boxes.shape[:1]:
            raise ValueError(
                'boxes must be (R, 5): batch index, x1, y1, x2, y2; and '
                f'labels (R,); got shapes {tuple(boxes.shape)} and '
                f'{tuple(labels.shape)}'
            )
        if not checked:
            check_boxes(boxes, labels, len(maps), classes)
        maps = _at_least_float32(maps).unflatten(1, (classes, self.channels))
        maps = maps[boxes[:, 0].long(), labels]
        # Double: the positions lose digits with the size of the map.
        corners = 2 * boxes[:, 1:].double() - 1
        x = _centres(corners[:, 0::2], self.size[1])[:, None, :]
        y = _centres(corners[:, 1::2], self.size[0])[:, :, None]
        grid = torch.stack(torch.broadcast_tensors(x, y), 3).to(maps.dtype)
        return F.grid_sample(
            maps, grid, padding_mode='border', align_corners=False
        )

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'channels={self.channels}, size={self.size}'


def select_class_channels(
    x: Tensor, labels: Tensor, channels: int, checked: bool = False
) -> Tensor:
    """Each row's own class of a class-specific vector.

    The PickSlice layer of the authors' SDS network.

    Args:
        x (Tensor): Vectors of all classes one after the other, (R, K * C).
        labels (Tensor): Class of each row, int64, (R,).
        channels (int): C.
        checked (bool): See :class:`BoxUpsample`.

    Returns:
        Tensor: The class's channels, (R, C).

    Raises:
        ValueError: A shape is wrong or a label does not exist.
    """
    classes = _num_classes(x, channels, 2)
    if labels.shape != x.shape[:1]:
        raise ValueError(
            f'expected one label per row, ({len(x)},), got shape '
            f'{tuple(labels.shape)}'
        )
    if not checked and ((labels < 0) | (labels >= classes)).any():
        raise ValueError(
            _OUTSIDE.format('label', classes - 1, labels.tolist())
        )
    rows = torch.arange(len(x), device=x.device)
    return x.unflatten(1, (classes, channels))[rows, labels]


def sum_hypercolumn(
    vector: Tensor, maps: Sequence[Tensor], size: tuple[int, int]
) -> Tensor:
    """Repeat a vector over a box and add the maps.

    The RepMat and Sum layers of the authors' SDS network.

    Args:
        vector (Tensor): One vector per box, (R, C).
        maps (Sequence[Tensor]): Maps of the boxes, each (R, C, h, w).
        size (tuple[int, int]): (h, w).

    Returns:
        Tensor: The sum, (R, C, h, w).
    """
    return sum(maps, vector[:, :, None, None].expand(-1, -1, *size))


@MODELS.register_module()
class ClassifierGrid(nn.Module):
    """Probability of the foreground from a grid of classifiers in a box.

    The LocallyConnected layer of the authors' SDS network ("Hypercolumns",
    sec. 2.2): the box has G x G classifiers, each with a channel of logits
    (row-major). A pixel's probability interpolates bilinearly between the
    *probabilities* of the four nearest classifiers.

    Args:
        grid_size (int): G, classifiers along a side of the box.
    """

    def __init__(self, grid_size: int) -> None:
        super().__init__()
        self.grid_size = grid_size

    def forward(self, logits: Tensor) -> Tensor:
        """Compute the probabilities.

        Args:
            logits (Tensor): (R, G * G, h, w), or of several classes one after
                the other, (R, K * G * G, h, w).

        Returns:
            Tensor: Probabilities, at least float32: (R, h, w), or one map a
            class, (R, K, h, w).

        Raises:
            ValueError: The number of channels is wrong.
        """
        logits, shares = _grid_shares(logits, self.grid_size)
        return (logits.sigmoid() * shares).sum(-3)

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
        grid_size (int): G, classifiers along a side of the box.
        loss_weight (float): Weight of the loss. Defaults to 1.
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
            logits (Tensor): (R, G * G, h, w), or of several classes one after
                the other, (R, K * G * G, h, w).
            targets (Tensor): 1 (more than 0.5) for foreground, 0 for
                background, -1 (negative) for pixels to be ignored; (R, h, w),
                or one map a class, (R, K, h, w).
            weights (Tensor): Weight of each box, (R,).

        Returns:
            Tensor: Scalar, at least float32; 0 without boxes.

        Raises:
            ValueError: A shape is wrong.
        """
        logits, shares = _grid_shares(logits, self.grid_size)
        expected = (*logits.shape[:-3], *logits.shape[-2:])
        if targets.shape != expected or weights.shape != expected[:1]:
            raise ValueError(
                f'targets must be {expected} and weights {expected[:1]} for '
                f'logits {tuple(logits.shape)}, got {tuple(targets.shape)} '
                f'and {tuple(weights.shape)}'
            )
        # The shares of a pixel add up to 1, so 1 - p is p of the negated
        # logits.
        sign = torch.where(targets > 0.5, 1.0, -1.0).to(logits.dtype)
        log_p = F.logsigmoid(logits * sign.unsqueeze(-3))
        log_p = torch.logsumexp(log_p + shares.log(), -3)
        per_box = -torch.where(targets < 0, 0.0, log_p).flatten(1).sum(1)
        total = (per_box * weights.to(per_box.dtype)).sum()
        return total * (self.loss_weight / max(len(logits), 1))

    def extra_repr(self) -> str:
        """Settings shown by ``print``."""
        return f'grid_size={self.grid_size}, loss_weight={self.loss_weight}'


def _centres(extent: Tensor, count: int) -> Tensor:
    """Centres of ``count`` equal parts of each extent (R, 2), (R, count)."""
    part = (_range(count, extent) + 0.5) / count
    return extent[:, :1] + part * (extent[:, 1:] - extent[:, :1])


def _grid_shares(logits: Tensor, grid_size: int) -> tuple[Tensor, Tensor]:
    """Logits in at least float32, and each classifier's share of a pixel.

    Returns:
        tuple[Tensor, Tensor]: Logits (R, G * G, h, w) or (R, K, G * G, h, w),
            and shares (G * G, h, w), which add up to 1 at every pixel; at most
            four are not 0.
    """
    count = grid_size**2
    if logits.dim() != 4 or logits.shape[1] % count or not logits.shape[1]:
        raise ValueError(
            f'logits of a {grid_size} x {grid_size} grid must be (R, '
            f'{count}, h, w), or (R, classes * {count}, h, w), got shape '
            f'{tuple(logits.shape)}'
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
    if logits.shape[1] > count:
        logits = logits.unflatten(1, (-1, count))
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


def check_boxes(
    boxes: Tensor, labels: Tensor, images: int, classes: int
) -> None:
    """Check the values; one synchronisation of the device if all is well.

    Args:
        boxes (Tensor): Batch index and corners, (R, 5).
        labels (Tensor): Class of each box, int64, (R,).
        images (int): Number of images.
        classes (int): Number of classes.

    Raises:
        ValueError: A box is not finite, or a batch index or label does not
            exist.
    """
    bad = ~boxes.isfinite().all(1)
    for values, limit in ((boxes[:, 0], images), (labels, classes)):
        bad = bad | (values < 0) | (values >= limit)
    if not bad.any():
        return
    if not boxes.isfinite().all():
        raise ValueError(f'boxes must be finite, got {boxes.tolist()}')
    for name, values, limit in (
        ('batch index', boxes[:, 0], images),
        ('label', labels, classes),
    ):
        if ((values < 0) | (values >= limit)).any():
            raise ValueError(_OUTSIDE.format(name, limit - 1, values.tolist()))
