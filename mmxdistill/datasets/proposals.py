"""Class-agnostic region proposals without a network."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

import cv2
import numpy as np

__all__ = ['merge_proposals', 'selective_search', 'sliding_windows']


def selective_search(image: np.ndarray, max_side: int = 400) -> np.ndarray:
    """Fast selective search (OpenCV contrib).

    Args:
        image (np.ndarray): uint8 image (H, W, 3).
        max_side (int): A larger image is first resized to this longer side:
            the time grows with the area. Defaults to 400.

    Returns:
        np.ndarray: float32 (n, 4), xyxy in pixels of ``image``, most likely
        objects first.

    Raises:
        ImportError: OpenCV was built without its contrib modules.
    """
    if not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            'selective search is in OpenCV contrib: install '
            "'opencv-contrib-python<4.13' in place of opencv-python (one cv2 "
            "distribution at a time), or use the method 'windows'"
        )
    scale = min(1.0, max_side / max(image.shape[:2]))
    small = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    # Its ranking draws from C's generator (which Windows does not share).
    if os.name == 'posix':
        ctypes.CDLL(None).srand(0)
    search.setBaseImage(small)
    search.switchToSelectiveSearchFast()
    boxes = search.process().astype(np.float32) / scale
    boxes[:, 2:] += boxes[:, :2]
    height, width = image.shape[:2]
    return np.minimum(
        boxes, np.array([width, height, width, height], np.float32)
    )


def sliding_windows(
    height: int,
    width: int,
    min_side: int = 16,
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    step: float = 0.33,
) -> np.ndarray:
    """Windows of all sizes and some aspect ratios on a regular grid.

    Args:
        height (int): Image height in pixels.
        width (int): Image width in pixels.
        min_side (int): Side of the smallest square window; each next size is
            larger by the square root of 2. Defaults to 16.
        ratios (Sequence[float]): Height over width. Defaults to 1/2, 1, 2.
        step (float): Distance of windows as a fraction of their size.
            Defaults to 0.33.

    Returns:
        np.ndarray: float32 (n, 4), xyxy in pixels, largest first.
    """
    boxes = []
    side = float(min_side)
    while side <= max(height, width):
        for ratio in ratios:
            w, h = side / ratio**0.5, side * ratio**0.5
            if w > width or h > height:
                continue
            xs = np.linspace(0, width - w, int((width - w) / (w * step)) + 2)
            ys = np.linspace(0, height - h, int((height - h) / (h * step)) + 2)
            x, y = (grid.ravel() for grid in np.meshgrid(xs, ys))
            boxes.append(np.stack([x, y, x + w, y + h], 1))
        side *= 2**0.5
    boxes.append(np.array([[0.0, 0.0, width, height]]))
    return np.concatenate(boxes[::-1]).astype(np.float32)


def merge_proposals(
    sources: Sequence[np.ndarray], limit: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unite lists of proposals, best of each first, without duplicates.

    Args:
        sources (Sequence[np.ndarray]): Lists (n, 4), each in order of merit.
        limit (int): Largest number of proposals to keep.

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes (m, 4) and scores (m,) falling
        from 1, both float32, in order.
    """
    boxes = np.concatenate(sources)
    rank = np.concatenate([np.arange(len(source)) for source in sources])
    boxes = boxes[np.argsort(rank, kind='stable')]
    _, first = np.unique(boxes.round(), axis=0, return_index=True)
    boxes = boxes[np.sort(first)][:limit]
    scores = np.linspace(1, 0, len(boxes), endpoint=False, dtype=np.float32)
    return boxes.astype(np.float32), scores
