"""First-layer filters of networks, side by side (the paper, fig. 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

__all__ = ['draw_filters', 'filter_sheet']

_GAP = 1  # pixels between filters
_BACKGROUND = 255


def filter_sheet(weight: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Picture of the filters of a convolution.

    Each is stretched by its own largest magnitude; mid-grey is 0. Channels
    B, G, R of Caffe's networks are shown as they look; for HHA, red is the
    disparity, green the height and blue the angle.

    Args:
        weight (np.ndarray): Filters (K, C, h, w); the first three channels
            are shown, or the only one in grey.
        columns (int, optional): Filters in a row. Defaults to about as many
            as rows.

    Returns:
        np.ndarray: uint8 (H, W, 3), RGB.

    Raises:
        ValueError: These are no filters.
    """
    if weight.ndim != 4 or 0 in weight.shape:
        raise ValueError(f'filters must be (K, C, h, w), got {weight.shape}')
    count, _, height, width = weight.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    channels = [2, 1, 0] if weight.shape[1] >= 3 else [0, 0, 0]
    shown = weight[:, channels].transpose(0, 2, 3, 1).astype(np.float64)
    largest = np.abs(shown).max((1, 2, 3), keepdims=True)
    levels = 127.5 + 127.5 * shown / np.where(largest > 0, largest, 1)
    sheet = np.full(
        (
            rows * (height + _GAP) - _GAP,
            columns * (width + _GAP) - _GAP,
            3,
        ),
        _BACKGROUND,
        np.uint8,
    )
    for i, picture in enumerate(levels.round().astype(np.uint8)):
        top = i // columns * (height + _GAP)
        left = i % columns * (width + _GAP)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def draw_filters(weights: Mapping[str, np.ndarray]) -> Figure:
    """Draw the filters of several networks side by side.

    Args:
        weights (Mapping[str, np.ndarray]): Title -> filters (K, C, h, w).

    Returns:
        Figure: One panel a network.
    """
    figure = Figure(
        figsize=(3.2 * len(weights), 3.6), layout='constrained', dpi=150
    )
    panels = figure.subplots(1, len(weights), squeeze=False)[0]
    for axes, (title, weight) in zip(panels, weights.items(), strict=True):
        axes.imshow(filter_sheet(weight), interpolation='nearest')
        axes.set_title(title, fontsize=10, fontweight='bold')
        axes.set_axis_off()
    return figure
