"""Reading and writing of images that must be complete."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import cv2
import numpy as np

from mmxdistill.atomic import atomic_write

__all__ = ['IMAGE_SUFFIXES', 'read_image', 'write_png']

# What OpenCV decodes without loss of depth, in lower case.
IMAGE_SUFFIXES = (
    *('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff'),
    *('.ppm', '.pgm', '.pnm'),
)
# No compression of these formats does better (deflate's limit).
_MAX_RATIO = 1032
_HEADER_BYTES = 64
_ONE_BIT_MODES = ('1', 'L', 'P')  # of which a pixel may be one bit


def read_image(path: Path) -> np.ndarray:
    """Read a colour image, turned as its EXIF orientation says.

    ``cv2.imread`` fills up what is missing of a truncated JPEG file; decoding
    from memory fails.

    Args:
        path (Path): The file.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty, truncated or no image, or says that it is
            larger than so many bytes can be.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"'{path}' is empty (0 bytes)")
    _check_size(content, path)
    try:
        image = cv2.imdecode(
            np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR
        )
    except cv2.error:
        image = None
    if image is None:
        raise ValueError(f"'{path}' is truncated or no image")
    return np.asarray(image)


def _check_size(content: bytes, path: Path) -> None:
    """Refuse a size for which OpenCV would take gigabytes before it fails."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Of sizes that files of that length may well have.
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                (width, height), mode = image.size, image.mode
    except Image.DecompressionBombError as error:
        raise ValueError(f"'{path}': {error}") from None
    except Exception:  # of no format it knows, or damaged: OpenCV decides
        return
    bits = width * height * (1 if mode in _ONE_BIT_MODES else 8)
    if bits > 8 * _MAX_RATIO * (len(content) + _HEADER_BYTES):
        raise ValueError(
            f"'{path}' is damaged: it says {width}x{height} pixels, more "
            f'than its {len(content)} bytes can hold'
        )


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a PNG file; it appears only when it is complete.

    Raises:
        ValueError: OpenCV cannot encode the image.
    """
    done, content = cv2.imencode('.png', image)
    if not done:
        raise ValueError(f'{path}: OpenCV cannot write {image.dtype} images')
    with atomic_write(path) as file:
        file.write(content.tobytes())
