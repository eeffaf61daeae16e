"""Reading of images that must be complete."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

__all__ = ['read_image']


def read_image(path: Path) -> np.ndarray:
    """Read a colour image.

    ``cv2.imread`` fills up what is missing of a truncated JPEG file; decoding
    from memory fails.

    Args:
        path (Path): The file.

    Returns:
        np.ndarray: BGR, uint8 (H, W, 3).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is truncated or no image.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    content = np.frombuffer(path.read_bytes(), np.uint8)
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if len(content) else None
    if image is None:
        raise ValueError(f"'{path}' is truncated or no image")
    return np.asarray(image)
