"""Maxima of many rectangular windows of feature maps.

Shapes: N images, C channels, maps of H x W cells, R RoIs of P x Q windows.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# Bytes of the sparse table and of one scratch buffer. On the CPU they keep
# the work in the caches; a GPU wants few, large kernels.
_CPU_BYTES = (16 << 20, 2 << 20)
_GPU_BYTES = (512 << 20, 128 << 20)


class Windows(NamedTuple):
    """A P x Q grid of windows per RoI, in cells, int64 on the CPU.

    Attributes:
        image (Tensor): Batch index of each RoI, (R,).
        top (Tensor): First row, (R, P).
        bottom (Tensor): One past the last row, (R, P); empty if not above
            ``top``.
        left (Tensor): First column, (R, Q).
        right (Tensor): One past the last column, (R, Q).
    """

    image: Tensor
    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor


def memory_budget(device: torch.device) -> tuple[int, int]:
    """Bytes allowed for (a lookup table, one scratch buffer) on a device."""
    return _CPU_BYTES if device.type == 'cpu' else _GPU_BYTES


def window_max(maps: Tensor, windows: Windows, out: Tensor) -> None:
    """Write the maximum of every window and channel; 0 for empty windows.

    A sparse table holds the maxima of all 2^i x 2^j windows; any window is
    the union of four of them. The table is channels-last, so that a lookup
    copies contiguous channels, and is built for as many channels at a time
    as fit :func:`memory_budget` (at least one). Peak extra memory: the table,
    two scratch buffers and 32 bytes per window.

    Args:
        maps (Tensor): Maps of any real type, (N, C, H, W), free of NaN.
        windows (Windows): R x P x Q windows that lie inside the maps.
        out (Tensor): Receives the maxima, (R, C, P, Q), contiguous.
    """
    channels, (num_rois, _, *bins) = maps.shape[1], out.shape
    num_bins = math.prod(bins)
    index, levels = _corner_index(maps.shape, windows)
    index = index.to(maps.device)

    table_bytes, chunk_bytes = memory_budget(maps.device)
    rows = math.prod(levels) * maps.shape[0] * maps[0, 0].numel() + 1
    fitting = max(1, table_bytes // (rows * maps.element_size()))
    block = math.ceil(channels / math.ceil(channels / fitting))
    chunk = max(1, chunk_bytes // (num_bins * block * maps.element_size()))
    chunk = min(chunk, num_rois)
    for c in range(0, channels, block):
        table = _sparse_table(maps[:, c : c + block], levels)
        best_rows, other_rows = table.new_empty(
            (2, chunk * num_bins, table.shape[1])
        )
        for r in range(0, num_rois, chunk):
            corners = index[:, r : r + chunk].flatten(1)
            best = best_rows[: corners.shape[1]]
            other = other_rows[: corners.shape[1]]
            torch.index_select(table, 0, corners[0], out=best)
            for corner in corners[1:]:
                torch.index_select(table, 0, corner, out=other)
                torch.maximum(best, other, out=best)
            best = best.view(-1, *bins, table.shape[1])
            out[r : r + chunk, c : c + block] = best.movedim(-1, 1)


def _corner_index(
    shape: torch.Size, windows: Windows
) -> tuple[Tensor, tuple[int, int]]:
    """Rows of the sparse table that cover each window.

    Returns:
        tuple[Tensor, tuple[int, int]]: Indices of the four covering
            power-of-two windows, (4, R, P * Q), and the number of row and
            column levels that the table needs.
    """
    num_images, _, height, width = shape
    ys, row_level = _covering_pair(windows.top, windows.bottom)
    xs, col_level = _covering_pair(windows.left, windows.right)
    levels = int(row_level.max()) + 1, int(col_level.max()) + 1

    plane = row_level[:, :, None] * levels[1] + col_level[:, None]
    plane = plane * num_images + windows.image[:, None, None]
    index = torch.stack(
        [
            (plane * height + y[:, :, None]) * width + x[:, None]
            for y in ys
            for x in xs
        ]
    )
    no_row = windows.bottom <= windows.top
    no_col = windows.right <= windows.left
    # The row after all levels stands for the empty window.
    index.masked_fill_(
        no_row[:, :, None] | no_col[:, None],
        math.prod(levels) * num_images * height * width,
    )
    return index.flatten(2), levels


def _covering_pair(
    start: Tensor, stop: Tensor
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Starts and level of the two 2^level ranges that cover [start, stop)."""
    # frexp is exact: n = mantissa * 2^exponent with mantissa in [0.5, 1).
    exponent = torch.frexp((stop - start).clamp(min=1).double()).exponent
    level = exponent.long() - 1
    return (start, stop - (torch.ones_like(level) << level)), level


def _sparse_table(maps: Tensor, levels: tuple[int, int]) -> Tensor:
    """Maxima of all 2^i x 2^j windows, by their top left cell.

    Returns:
        Tensor: (levels_y * levels_x * N * H * W + 1, C), channels last; the
            last row is 0. Windows that would leave the map are not
            initialised.
    """
    num_images, channels, height, width = maps.shape
    rows = math.prod(levels) * num_images * height * width
    table = maps.new_empty((rows + 1, channels))
    table[-1] = 0
    grid = table[:-1].view(*levels, num_images, height, width, channels)
    grid[0, 0] = maps.permute(0, 2, 3, 1)
    for i in range(levels[0]):
        if i > 0:
            _double(grid[i - 1, 0], grid[i, 0], 1, 1 << (i - 1))
        for j in range(1, levels[1]):
            _double(grid[i, j - 1], grid[i, j], 2, 1 << (j - 1))
    return table


def _double(source: Tensor, target: Tensor, dim: int, size: int) -> None:
    """Maxima of ranges of 2 * size cells from those of size cells."""
    count = source.shape[dim] - 2 * size + 1
    torch.maximum(
        source.narrow(dim, 0, count),
        source.narrow(dim, size, count),
        out=target.narrow(dim, 0, count),
    )
