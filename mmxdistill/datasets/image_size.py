"""Size of an image from the head of its file."""

from __future__ import annotations

import io
import os
import struct
from typing import IO

from mmengine.fileio import get
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH

from mmxdistill.png import PNG_TAG

__all__ = ['read_image_size']

# Orientations of a picture whose sides are swapped when it is shown.
_TURNED = (5, 6, 7, 8)
# Where a PNG file tells its orientation: Pillow's names, and the chunks.
_PNG_EXIF = {'exif', 'Raw profile type exif', 'XML:com.adobe.xmp', 'xmp'}
_PNG_NOTES = (b'eXIf', b'tEXt', b'zTXt', b'iTXt')


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
        with _opened(path) as file, Image.open(file) as image:
            width, height = image.size
            if image.format == 'TIFF':  # Pillow 11 and later has turned it
                tags = image.tag_v2
                width, height = tags[IMAGEWIDTH], tags[IMAGELENGTH]
            turned = _may_turn(image, file) and (
                image.getexif().get(Base.Orientation) in _TURNED
            )
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


def _opened(path: str | os.PathLike[str]) -> IO[bytes]:
    """The file, or what mmengine reads of another path."""
    if '://' in str(path):
        return io.BytesIO(get(path))
    return open(path, 'rb')


def _may_turn(image: Image.Image, file: IO[bytes]) -> bool:
    """Whether the orientation must be asked for.

    Of a PNG file that tells none before its pixels, Pillow decodes them all
    to see what follows.
    """
    if image.format != 'PNG' or _PNG_EXIF & set(image.info):
        return True
    start = file.tell()
    file.seek(len(PNG_TAG))
    kind = b'IHDR'
    after = False
    while not (after and kind in _PNG_NOTES):
        length, kind = struct.unpack('>I4s', file.read(8))
        after |= kind == b'IDAT'
        if kind == b'IEND':
            break
        file.seek(length + 4, os.SEEK_CUR)
    file.seek(start)
    return kind != b'IEND'
