"""Images of single modalities."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ['HHA_CAPTION', 'draw_depth', 'draw_image']

HHA_CAPTION = (
    'red: disparity, bright where near\n'
    'green: height above the ground\n'
    'blue: angle between surface and gravity'
)


def draw_image(
    axes: Axes, image: NDArray[np.uint8], title: str, caption: str = ''
) -> None:
    """Draw a three-channel image.

    Args:
        axes (Axes): Where to draw.
        image (np.ndarray): (H, W, 3) uint8 in OpenCV's order: BGR, or angle,
            height and disparity of HHA (:data:`HHA_CAPTION` explains the
            colours).
        title (str): Text above.
        caption (str): Text below.
    """
    axes.imshow(image[..., ::-1])
    _label(axes, title, caption)


def draw_depth(axes: Axes, depth: NDArray[np.uint16], title: str) -> None:
    """Draw a depth image in false colours, with their scale below.

    Args:
        axes (Axes): Where to draw.
        depth (np.ndarray): (H, W) depth in millimetres, 0 = missing.
        title (str): Text above.
    """
    metres = np.ma.masked_equal(depth, 0) / 1000
    cmap = colormaps['viridis_r'].with_extremes(bad='0.6')
    drawn = axes.imshow(metres, cmap=cmap)
    _label(axes, title, '')
    axes.figure.colorbar(
        drawn,
        cax=axes.inset_axes((0, -0.08, 1, 0.05)),
        orientation='horizontal',
        label='distance in metres; grey: not measured',
    )


def _label(axes: Axes, title: str, caption: str) -> None:
    axes.set_title(title, fontweight='bold')
    axes.set_xlabel(caption)
    axes.set_xticks([])
    axes.set_yticks([])
