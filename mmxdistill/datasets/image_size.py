"""Size of an image from the head of its file."""

from __future__ import annotations

import io
import os
import struct
from typing import Any

from mmengine.fileio import get
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH

__all__ = ['read_image_size']

# Orientations of a picture whose sides are swapped when it is shown.
_TURNED = (5, 6, 7, 8)


def read_image_size(
    path: str | os.PathLike[str],
) -> tuple[int, int] | None:
    """Read the size of an image without decoding it.

    Args:
        path (str or PathLike): The file.

    Returns:
        tuple[int, int] | None: Width and height in pixels, as the image is
        loaded (turned by its EXIF orientation); None if there is no such file
        or Pillow does not know it.
    """
    try:
        with Image.open(_source(path)) as image:
            width, height = image.size
            if image.format == 'TIFF':  # Pillow 11 and later has turned it
                tags = image.tag_v2
                width, height = tags[IMAGEWIDTH], tags[IMAGELENGTH]
            turned = image.getexif().get(Base.Orientation) in _TURNED
    except (
        KeyError,
        MemoryError,
        OSError,
        SyntaxError,
        TypeError,
        ValueError,
        struct.error,
        UnidentifiedImageError,
        Image.DecompressionBombError,
    ):
        return None
    return (height, width) if turned else (width, height)


def _source(path: str | os.PathLike[str]) -> Any:
    """What Pillow opens: the path, or what mmengine reads of another one."""
    return io.BytesIO(get(path)) if '://' in str(path) else path
