"""How features are laid out in memory, and as maps (N, C, h, w)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

__all__ = ['Grid', 'Layout', 'Observation', 'find_layout']

_SPATIAL = ('map', 'channels-last map', 'tokens')
_MAX_PREFIX = 16  # class, distillation and register tokens
_STRIDES = (16, 14, 32, 8, 4, 64, 2, 1, 7, 28, 12, 24, 10, 20)


class Observation(NamedTuple):
    """A feature seen in a dry run.

    Attributes:
        shape (tuple[int, ...]): Of the tensor.
        images (int): Number of images in the batch.
        rois (int): Number of RoIs.
        size (tuple[int, int]): Height and width of the images.
        grid (tuple[int, int] | None): h and w, if the module tells them.
    """

    shape: tuple[int, ...]
    images: int
    rois: int
    size: tuple[int, int]
    grid: tuple[int, int] | None


class Grid(NamedTuple):
    """How the grid of tokens follows from the size of the image.

    Attributes:
        stride (int): Pixels per token.
        up (bool): Whether a part of a token counts as one, as far as is known.
    """

    stride: int
    up: bool

    def of(self, size: tuple[int, int]) -> tuple[int, int]:
        """Grid (h, w) of an image of ``size`` (H, W)."""
        h, w = (
            -(-s // self.stride) if self.up else s // self.stride for s in size
        )
        return h, w


class Layout(NamedTuple):
    """Order of the dimensions of a feature.

    Attributes:
        kind (str): ``'map'`` (N, C, h, w), ``'channels-last map'``
            (N, h, w, C), ``'tokens'`` (N, L, C) of a grid, ``'token list'``
            (N, L, C) without one, ``'sequence'`` (N, C, L), ``'vector'``
            (N, C).
        per_roi (bool): Whether N counts RoIs.
        prefix (int): Class and register tokens before those of the grid.
        grid (Grid | None): Of the tokens. None if the module tells h and w
            itself, or there is none.
        batch_dim (int): 1 for tokens (L, N, C).
    """

    kind: str
    per_roi: bool = False
    prefix: int = 0
    grid: Grid | None = None
    batch_dim: int = 0

    @property
    def spatial(self) -> bool:
        """Whether the feature has a cell for each part of the image."""
        return not self.per_roi and self.kind in _SPATIAL

    def to_map(
        self,
        x: Tensor,
        size: tuple[int, int],
        grid: tuple[int, int] | None = None,
    ) -> Tensor:
        """Bring a feature to the layout of convolutions.

        Args:
            x (Tensor): Of this layout.
            size (tuple[int, int]): Height and width of the images.
            grid (tuple[int, int], optional): h and w, if the module tells.

        Returns:
            Tensor: (N, C, h, w), (N, C, L, 1) of tokens without a grid, or
            (N, C).

        Raises:
            ValueError: The tokens are no grid.
        """
        if self.kind in ('map', 'vector'):
            return x
        if self.kind == 'channels-last map':
            return x.permute(0, 3, 1, 2)
        if self.kind == 'sequence':
            return x.unsqueeze(-1)
        x = x.transpose(0, self.batch_dim)
        x = x[:, self.prefix :].transpose(1, 2)
        if self.kind == 'token list':
            return x.unsqueeze(-1)
        if self.grid is not None:
            grid = self.grid.of(size)
            # The sizes of the dry run may have been multiples of the stride.
            other = self.grid._replace(up=not self.grid.up).of(size)
            if math.prod(other) == x.shape[2]:
                grid = other
        if grid is None:
            raise ValueError('the module did not tell the grid of its tokens')
        if grid[0] * grid[1] != x.shape[2]:
            raise ValueError(
                f'{x.shape[2]} tokens of an image of {size[0]} x {size[1]} '
                f'are no grid of {grid[0]} x {grid[1]}'
            )
        return x.unflatten(2, grid)


def find_layout(seen: Sequence[Observation]) -> Layout:
    """Tell the layout of a feature from its shapes.

    What grows with the image is the grid, what stays are the channels.

    Args:
        seen (Sequence[Observation]): One or two, with other numbers of images
            and RoIs, and other sizes.

    Returns:
        Layout: The layout.

    Raises:
        ValueError: The shapes are not those of a feature; the message tells
            them.
    """
    first, last = seen[0], seen[-1]
    shapes = ' and '.join(str(o.shape) for o in seen)
    if len(first.shape) != len(last.shape) or len(first.shape) not in (
        2,
        3,
        4,
    ):
        raise ValueError(f'its shapes {shapes} are not those of a feature')
    batch = _batch_dim(seen)
    per_roi = batch is None and all(o.shape[0] == o.rois for o in seen)
    if batch is None and not per_roi:
        raise ValueError(
            f'no dimension of its shapes {shapes} is the number of images '
            f'({", ".join(str(o.images) for o in seen)}): windows of tokens '
            'are no feature map, nor is what is computed for boxes that the '
            'network proposes itself; name the block around it'
        )
    batch = batch or 0
    grown = [
        d
        for d, (a, b) in enumerate(zip(first.shape, last.shape, strict=True))
        if d != batch and a != b
    ]
    kind = _kind(first.shape, grown)
    if kind != 'tokens':
        return Layout(kind, per_roi)
    if all(_tells(o) for o in seen):
        return Layout(kind, batch_dim=batch)
    return _tokens(seen, batch)


def _batch_dim(seen: Sequence[Observation]) -> int | None:
    dims = (0, 1) if len(seen[0].shape) == 3 else (0,)
    for dim in dims:
        if all(o.shape[dim] == o.images for o in seen):
            return dim
    return None


def _kind(shape: tuple[int, ...], grown: list[int]) -> str:
    if len(shape) == 2:
        return 'vector'
    if len(shape) == 3:
        return 'sequence' if grown == [2] else 'tokens'
    if grown:
        return 'channels-last map' if 1 in grown else 'map'
    # A fixed size: the square side tells.
    if shape[1] == shape[2] != shape[3]:
        return 'channels-last map'
    return 'map'


def _tells(o: Observation) -> bool:
    return o.grid is not None and math.prod(o.grid) in o.shape


def _tokens(seen: Sequence[Observation], batch: int) -> Layout:
    """Find the stride and the number of tokens before the grid."""
    for prefix in range(_MAX_PREFIX + 1):
        for stride in _STRIDES:
            for up in (True, False):
                grid = Grid(stride, up)
                tokens = [math.prod(grid.of(o.size)) for o in seen]
                if 0 not in tokens and all(
                    o.shape[1 - batch] == prefix + count
                    for o, count in zip(seen, tokens, strict=True)
                ):
                    return Layout('tokens', False, prefix, grid, batch)
    # Queries, or several levels.
    return Layout('token list', batch_dim=batch)
