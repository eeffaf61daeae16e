"""Images of single modalities."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from numpy.typing import NDArray

__all__ = ['HHA_CAPTION', 'draw_depth', 'draw_image', 'to_levels']

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
        label='metres; grey: not measured',
    )


def to_levels(image: np.ndarray) -> NDArray[np.uint8]:
    """Make an image of any type visible.

    What is not within 0..255 (raw depth, say) is stretched from its lowest to
    its highest value.

    Args:
        image (np.ndarray): (H, W, C); unless C is 3, the first channel is
            shown.

    Returns:
        np.ndarray: uint8 (H, W, 3); what is not finite is black.
    """
    if image.shape[2] != 3:
        image = np.repeat(image[..., :1], 3, axis=2)
    if image.dtype == np.uint8:
        return image
    values = image.astype(np.float32)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    low, high = float(values[finite].min()), float(values[finite].max())
    values = np.where(finite, values, low)
    if low < -0.5 or high > 255.5:
        values = (values - low) * (255 / max(high - low, 1e-12))
    return np.rint(values.clip(0, 255)).astype(np.uint8)


def _label(axes: Axes, title: str, caption: str) -> None:
    axes.set_title(title, fontweight='bold')
    axes.set_xlabel(caption)
    axes.set_xticks([])
    axes.set_yticks([])
