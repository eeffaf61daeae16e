"""Reading and writing of images that must be complete."""

from __future__ import annotations

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
    # Slow to import, and not needed to find files.
    from mmxdistill.datasets.transforms.image_file import (
        check_header,
        decode_upright,
    )

    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"'{path}' is empty (0 bytes): replace the file")
    check_header(content, str(path))
    image = decode_upright(content, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"'{path}' is truncated or no image")
    return image


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
