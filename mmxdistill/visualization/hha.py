"""A depth map, its HHA channels and the image they make."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmxdistill.visualization.images import draw_depth, draw_image

__all__ = ['draw_hha']

# Channel of the image, title, what the levels mean, ticks and their labels.
CHANNELS = (
    (2, 'disparity', 'metres', {255: '1.2', 155: '2', 78: '4', 39: '8'}),
    (1, 'height', 'metres above ground', {0: '0', 100: '1', 200: '2'}),
    (
        0,
        'angle to gravity',
        'surface',
        {38: 'floor', 128: 'wall', 218: 'ceiling'},
    ),
)


def _draw_channel(
    axes: Axes,
    level: np.ndarray,
    title: str,
    label: str,
    ticks: dict[int, str],
) -> None:
    """Draw a channel in grey with a scale below."""
    drawn = axes.imshow(level, cmap='gray', vmin=0, vmax=255)
    axes.set_title(title, fontweight='bold')
    axes.set_xticks([])
    axes.set_yticks([])
    scale = axes.figure.colorbar(
        drawn,
        cax=axes.inset_axes((0, -0.08, 1, 0.05)),
        orientation='horizontal',
        label=label,
    )
    scale.set_ticks(list(ticks), labels=list(ticks.values()))


def draw_hha(
    depth: np.ndarray,
    measured: np.ndarray,
    color: np.ndarray | None,
    hha: np.ndarray,
) -> Figure:
    """Draw the depth map, the channels and the image they make.

    Args:
        depth (np.ndarray): (H, W) millimetres, 0 = missing.
        measured (np.ndarray): (H, W) bool, where the sensor saw something.
        color (np.ndarray, optional): (H, W, 3) uint8, BGR.
        hha (np.ndarray): (H, W, 3) uint8: angle, height, disparity.

    Returns:
        Figure: The picture.
    """
    figure = Figure((7.2, 5.2))
    # The scales hang below the images, where no layout engine sees them.
    figure.subplots_adjust(0.02, 0.14, 0.98, 0.94, wspace=0.1, hspace=0.65)
    cells = figure.subplots(2, 3).flat
    if color is not None:
        draw_image(next(cells), color, 'colour')
    draw_depth(next(cells), np.where(measured, depth, 0), 'depth')
    for channel, title, label, ticks in CHANNELS:
        _draw_channel(next(cells), hha[..., channel], title, label, ticks)
    draw_image(next(cells), hha, 'HHA')
    for axes in cells:
        axes.axis('off')
    return figure
