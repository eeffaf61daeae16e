"""Synthetic labelled RGB-D scenes: the data that needs no download.

Furnished rooms are ray-cast with colour and with Kinect-like depth. Colour
and geometry are complementary: a cardboard box and other cuboids differ in
colour only, a television and a dark picture on the wall in geometry only,
and so on. Pure NumPy, OpenCV and SciPy.
"""

from .frame import RGBDFrame, render_scene
from .furniture import CLASSES
from .writer import DEFAULT_SIZES, write_dataset

__all__ = [
    'CLASSES',
    'DEFAULT_SIZES',
    'RGBDFrame',
    'render_scene',
    'write_dataset',
]
