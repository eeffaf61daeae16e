"""RoI pooling with the numbers of Caffe's ROIPooling layer.

Shapes: N images, C channels, maps of H x W cells, R RoIs of P x Q bins.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable
from torch.nn.modules.utils import _pair

from mmxdistill.models.layers.window_max import (
    Windows,
    memory_budget,
    window_max,
)
from mmxdistill.registry import MODELS


def roi_pool(
    features: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float,
) -> Tensor:
    """Pool RoIs as Caffe's ROIPooling layer does (Fast R-CNN, section 2.1).

    RoI corners are scaled in float32 and rounded half away from zero; the end
    is inclusive and an extent is at least one cell. Bin p of P covers the
    cells [floor(p * bin), ceil((p + 1) * bin)) from the start, with
    ``bin = extent / P`` in float32, clipped to the map. Empty bins give 0; of
    equal maxima the first in row-major order wins; NaN is never a maximum.

    The gradient of a bin goes to its arg-max, unless that cell lies behind
    the end of the RoI: reversed RoIs (end < start) pass no gradient, nor does
    a cell that a bin reaches through float32 rounding only.

    The forward pass and the arg-max are the same on every device. The
    gradient is deterministic on the CPU; on CUDA it is with
    ``torch.use_deterministic_algorithms(True)``.

    Memory beyond the result: the buffers of :func:`window_max` and a copy of
    the features in float32; if they need a gradient, about ten such copies
    and 2 bytes per output value (4 for maps of more than 32767 cells).

    Args:
        features (Tensor): Floating-point feature maps, (N, C, H, W).
        rois (Tensor): Batch index and inclusive corners x1, y1, x2, y2 in
            input pixels, (R, 5). Coordinates beyond the map are clipped by
            bin.
        output_size (int | tuple[int, int]): Bins (ph, pw), or one number for
            both.
        spatial_scale (float): Cells per input pixel.

    Returns:
        Tensor: Pooled features of the type of ``features``, (R, C, ph, pw).

    Raises:
        ValueError: If a shape, size or scale is wrong, a RoI is not finite or
            its batch index is not one of 0 .. N - 1.
        TypeError: If the features are not floating-point.
    """
    return _pool(features, rois, output_size, spatial_scale, False)[0]


def roi_pool_with_argmax(
    features: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float,
) -> tuple[Tensor, Tensor]:
    """:func:`roi_pool` and the cell that each bin took its maximum from.

    Returns:
        tuple[Tensor, Tensor]: The pooled features and the arg-max, y * W + x
            (-1 for empty bins and for bins without any number), int64,
            both (R, C, ph, pw).
    """
    pooled, argmax = _pool(features, rois, output_size, spatial_scale, True)
    assert argmax is not None
    return pooled, argmax


@MODELS.register_module()
class CaffeRoIPool(nn.Module):
    """Caffe's ROIPooling layer; see :func:`roi_pool`.

    Args:
        output_size (int | tuple[int, int]): Bins (ph, pw), or one number for
            both.
        spatial_scale (float): Cells per input pixel, e.g. 1 / 16.
    """

    def __init__(
        self, output_size: int | tuple[int, int], spatial_scale: float
    ) -> None:
        super().__init__()
        self.output_size = _check_size(output_size, spatial_scale)
        self.spatial_scale = float(spatial_scale)

    def forward(self, features: Tensor, rois: Tensor) -> Tensor:
        """Pool ``rois`` (R, 5) from ``features`` (N, C, H, W)."""
        return roi_pool(features, rois, self.output_size, self.spatial_scale)

    def extra_repr(self) -> str:
        """Settings shown by ``repr``."""
        return (
            f'output_size={self.output_size}, '
            f'spatial_scale={self.spatial_scale}'
        )


def _pool(
    features: Tensor,
    rois: Tensor,
    output_size: int | tuple[int, int],
    spatial_scale: float,
    with_argmax: bool,
) -> tuple[Tensor, Tensor | None]:
    """Check the arguments and choose the cheapest way to the result."""
    size = _check_size(output_size, spatial_scale)
    _check_tensors(features, rois)
    if len(rois) == 0:
        # Sliced, not created: the result stays in the autograd graph.
        pooled = features.reshape(-1)[:0].view(0, features.shape[1], *size)
        return pooled, torch.empty_like(pooled, dtype=torch.long)
    # Windows are made on the CPU, so that every device has the same.
    windows, ends = _roi_windows(
        rois.detach().float().cpu(), features.shape, size, spatial_scale
    )
    if with_argmax or (torch.is_grad_enabled() and features.requires_grad):
        return _RoIPool.apply(features, windows, ends, with_argmax)
    maps = _without_nan(features)
    pooled = features.new_empty((len(rois), maps.shape[1], *size))
    window_max(maps, windows, pooled)
    return pooled, None


class _RoIPool(Function):
    """RoI pooling on ranks instead of values.

    Within each image and channel the cells are ranked by value, earlier cells
    first among equals: the maximum rank of a window identifies its first
    maximum, needs two bytes, and doubles as the index for the backward pass.
    """

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        windows: Windows,
        ends: Tensor,
        with_argmax: bool,
    ) -> tuple[Tensor, Tensor | None]:
        maps = _without_nan(features)
        ranks, values, cells = _rank_cells(maps)
        image = windows.image.to(features.device)
        size = windows.top.shape[1], windows.left.shape[1]
        best = ranks.new_empty((len(image), maps.shape[1], *size))
        window_max(ranks, windows, best)
        pooled = _look_up(values.to(features.dtype), best, image)
        argmax = _look_up(cells, best, image) if with_argmax else None
        if argmax is not None:
            ctx.mark_non_differentiable(argmax)

        # Rank 0 collects the gradient that Caffe drops.
        beyond = torch.stack(
            (windows.bottom.amax(1), windows.right.amax(1)), 1
        ) > (ends + 1)
        for r in beyond.any(1).nonzero().flatten().tolist():
            cell = _look_up(cells, best[r : r + 1], image[r : r + 1])[0]
            row, col = cell // maps.shape[3], cell % maps.shape[3]
            last_row, last_col = ends[r].tolist()
            best[r].masked_fill_((row > last_row) | (col > last_col), 0)

        ctx.save_for_backward(best, cells, image)
        ctx.shape = features.shape
        return pooled, argmax

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_pooled: Tensor, _: Tensor | None
    ) -> tuple[Tensor, None, None, None]:
        best, cells, image = ctx.saved_tensors
        dtype = torch.promote_types(grad_pooled.dtype, torch.float32)
        by_rank = grad_pooled.new_zeros(cells.shape, dtype=dtype)
        for part, index in _flat_index(best, image, cells.shape[-1]):
            by_rank.view(-1).scatter_add_(
                0, index, grad_pooled[part].reshape(-1).to(dtype)
            )
        grad = torch.zeros_like(by_rank).scatter_(2, cells + 1, by_rank)
        grad = grad[:, :, 1:].to(grad_pooled.dtype)
        return grad.reshape(ctx.shape), None, None, None


def _roi_windows(
    rois: Tensor,
    shape: torch.Size,
    size: tuple[int, int],
    spatial_scale: float,
) -> tuple[Windows, Tensor]:
    """Pooling windows and the last (row, column) of each RoI, (R, 2)."""
    image = rois[:, 0]
    bad = (image < 0) | (image >= shape[0]) | (image != image.floor())
    bad |= ~rois.isfinite().all(1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise ValueError(
            f'RoI {row} is {rois[row].tolist()}: expected (batch index, x1, '
            f'y1, x2, y2), all finite, with a batch index of 0 to '
            f'{shape[0] - 1} for {shape[0]} feature map(s)'
        )
    # The product is float32 as in Caffe; float64 makes adding 0.5 exact.
    scaled = (rois[:, 1:] * spatial_scale).double().clamp(-1e9, 1e9)
    corners = (scaled + torch.copysign(scaled.new_tensor(0.5), scaled)).long()
    left, right = _bins(corners[:, 0], corners[:, 2], size[1], shape[3])
    top, bottom = _bins(corners[:, 1], corners[:, 3], size[0], shape[2])
    windows = Windows(image.long(), top, bottom, left, right)
    return windows, corners[:, [3, 2]]


def _bins(
    start: Tensor, end: Tensor, count: int, limit: int
) -> tuple[Tensor, Tensor]:
    """First and one-past-last cells of the bins of an axis, (R, count)."""
    bin_size = (end - start + 1).clamp(min=1).float()[:, None] / count
    number = torch.arange(count + 1, dtype=torch.float32)
    first = (number[:-1] * bin_size).floor().long() + start[:, None]
    stop = (number[1:] * bin_size).ceil().long() + start[:, None]
    return first.clamp(0, limit), stop.clamp(0, limit)


def _without_nan(features: Tensor) -> Tensor:
    """Features in at least float32, nothing below Caffe's start value."""
    maps = features.detach()
    maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
    lowest = torch.finfo(maps.dtype).min
    return torch.where(maps > lowest, maps, lowest)


def _rank_cells(maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rank the H * W cells of each map from 1 (lowest) to H * W.

    Returns:
        tuple[Tensor, Tensor, Tensor]: The rank of every cell, (N, C, H, W),
            int16 if it fits, else int32; value and cell by rank, both (N, C, H
            * W + 1), where rank 0 stands for empty windows: value 0, cell -1.
    """
    flat = (maps + 0.0).contiguous().flatten(2)  # -0 becomes 0: they tie
    order = _ascending(flat)
    values = flat.gather(2, order)
    num_cells = flat.shape[2]
    dtype = torch.int16 if num_cells < 1 << 15 else torch.int32
    rank = torch.arange(1, num_cells + 1, dtype=dtype, device=flat.device)
    ranks = torch.empty_like(flat, dtype=dtype)
    ranks.scatter_(2, order, rank.expand_as(order))
    cells = order.masked_fill_(values == torch.finfo(flat.dtype).min, -1)
    return (
        ranks.view(maps.shape),
        nn.functional.pad(values, (1, 0)),
        nn.functional.pad(cells, (1, 0), value=-1),
    )


def _ascending(flat: Tensor) -> Tensor:
    """Cells of (N, C, cells) by ascending value, equal ones backwards."""
    last = flat.shape[2] - 1
    if flat.dtype != torch.float32 or flat.device.type != 'cpu':
        return last - flat.flip(2).sort(dim=2, stable=True).indices
    # NumPy's vectorised sort of (value, reversed cell) packed into an int64
    # takes half the time of a stable sort.
    bits = flat.view(torch.int32)
    bits = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # orders negative floats
    key = (bits.long() << 32) | torch.arange(last, -1, -1)
    key.numpy().sort(axis=-1)
    return key.bitwise_and_(0xFFFFFFFF).neg_().add_(last)


def _flat_index(
    ranks: Tensor, image: Tensor, num_ranks: int
) -> Iterator[tuple[slice, Tensor]]:
    """Chunks of RoIs and their places in a flat (N, C, num_ranks) table."""
    num_rois, channels = ranks.shape[:2]
    chunk = memory_budget(ranks.device)[1] // (8 * ranks[0].numel())
    chunk = min(max(1, chunk), num_rois)
    buffer = torch.empty_like(ranks[:chunk], dtype=torch.long)
    channel = torch.arange(channels, device=ranks.device)
    for first in range(0, num_rois, chunk):
        part = slice(first, first + chunk)
        base = (image[part, None] * channels + channel) * num_ranks
        index = buffer[: len(base)].copy_(ranks[part])
        index += base[:, :, None, None]
        yield part, index.view(-1)


def _look_up(table: Tensor, ranks: Tensor, image: Tensor) -> Tensor:
    """Entries of a (N, C, num_ranks) table at ranks (R, C, P, Q)."""
    found = torch.empty_like(ranks, dtype=table.dtype)
    for part, index in _flat_index(ranks, image, table.shape[2]):
        torch.index_select(table.view(-1), 0, index, out=found[part].view(-1))
    return found


def _check_size(
    output_size: int | tuple[int, int], spatial_scale: float
) -> tuple[int, int]:
    height, width = _pair(output_size)
    if not (height == int(height) > 0 and width == int(width) > 0):
        raise ValueError(
            f'output_size must be one or two positive integers, '
            f'got {output_size!r}'
        )
    if not (math.isfinite(spatial_scale) and spatial_scale > 0):
        raise ValueError(
            f'spatial_scale must be positive, got {spatial_scale!r}'
        )
    return int(height), int(width)


def _check_tensors(features: Tensor, rois: Tensor) -> None:
    if not features.is_floating_point():
        raise TypeError(
            f'features must be floating-point, got {features.dtype}'
        )
    if features.ndim != 4 or 0 in features.shape[1:]:
        raise ValueError(
            f'features must be a non-empty (N, C, H, W) tensor, '
            f'got shape {tuple(features.shape)}'
        )
    if rois.shape[1:] != (5,):
        raise ValueError(
            f'rois must be (R, 5): batch index, x1, y1, x2, y2; '
            f'got shape {tuple(rois.shape)}'
        )
    if rois.device != features.device:
        raise ValueError(
            f'features are on {features.device} but rois on {rois.device}; '
            'move them to one device'
        )
