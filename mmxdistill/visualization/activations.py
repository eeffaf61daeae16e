"""What units of networks react to most (the paper, fig. 2)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

__all__ = ['Activation', 'TopActivations', 'crop_patch', 'draw_patches']


class Activation(NamedTuple):
    """A unit's highest value in an image.

    Attributes:
        value (float): The activation.
        image (int): Number of the image.
        place (tuple[float, float]): Where, x and y in fractions of the image.
    """

    value: float
    image: int
    place: tuple[float, float]


class TopActivations:
    """The images in which units are most active, one place per image.

    Args:
        units (Sequence[int]): Channels of the feature.
        count (int): Images to keep per unit.
    """

    def __init__(self, units: Sequence[int], count: int) -> None:
        self.units = tuple(units)
        self.count = count
        self._kept: dict[int, list[Activation]] = {u: [] for u in self.units}

    def add(
        self,
        image: int,
        feature: np.ndarray,
        covered: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        """Look at an image.

        Args:
            image (int): Its number.
            feature (np.ndarray): (C, h, w).
            covered (tuple[float, float]): Width and height that the feature
                covers, in those of the image; more than 1 if that was padded
                at the right and bottom. Cells of padding do not count.

        Raises:
            ValueError: The feature has no such unit.
        """
        channels, height, width = feature.shape
        xs = (np.arange(width) + 0.5) / width * covered[0]
        ys = (np.arange(height) + 0.5) / height * covered[1]
        feature = feature[:, ys < 1][:, :, xs < 1]
        if max(self.units) >= channels or min(self.units) < 0:
            raise ValueError(
                f'units {list(self.units)}: the feature has the units 0 to '
                f'{channels - 1}'
            )
        for unit in self.units:
            cell = int(feature[unit].argmax())
            y, x = divmod(cell, feature.shape[2])
            found = Activation(
                float(feature[unit, y, x]),
                image,
                (float(xs[x]), float(ys[y])),
            )
            heapq.heappush(self._kept[unit], found)
            if len(self._kept[unit]) > self.count:
                heapq.heappop(self._kept[unit])

    def best(self, unit: int) -> list[Activation]:
        """Activations of a unit, the highest first.

        Args:
            unit (int): One of ``units``.
        """
        return sorted(self._kept[unit], reverse=True)


def crop_patch(
    image: np.ndarray, place: tuple[float, float], side: int
) -> np.ndarray:
    """A square of an image around a place, moved inside at the borders.

    Args:
        image (np.ndarray): (H, W, C).
        place (tuple[float, float]): x and y in fractions of the image.
        side (int): Side in pixels; at most the shorter side of the image.

    Returns:
        np.ndarray: (side, side, C), a view.
    """
    height, width = image.shape[:2]
    side = min(side, height, width)
    left, top = (
        min(max(round(part * extent - side / 2), 0), extent - side)
        for part, extent in zip(place, (width, height), strict=True)
    )
    return image[top : top + side, left : left + side]


def draw_patches(
    rows: Mapping[str, Sequence[Sequence[np.ndarray]]],
) -> Figure:
    """Draw patches in rows, each with its counterparts below.

    Args:
        rows (Mapping[str, Sequence[Sequence[np.ndarray]]]): Title -> per
            patch the views of it, uint8 BGR (side, side, 3): the modality
            that the unit sees, then RGB.

    Returns:
        Figure: A row of cells per title.
    """
    cells = [[np.vstack(views) for views in row] for row in rows.values()]
    columns = max(map(len, cells))
    tall = [
        max(cell.shape[0] / cell.shape[1] for cell in row) for row in cells
    ]
    figure = Figure(
        figsize=(1.1 * columns + 1.4, 1.1 * sum(tall) + 0.1 * len(tall) + 0.2),
        layout='constrained',
        dpi=150,
    )
    grid = figure.subplots(
        len(cells), columns, squeeze=False, height_ratios=tall
    )
    for panels, title, row in zip(grid, rows, cells, strict=True):
        for axes in panels:
            axes.set(xticks=[], yticks=[])
            axes.set_frame_on(False)
        panels[0].set_ylabel(
            title, rotation=0, ha='right', va='center', fontsize=8
        )
        for axes, cell in zip(panels, row, strict=False):
            axes.imshow(np.ascontiguousarray(cell[..., ::-1]))
    return figure
