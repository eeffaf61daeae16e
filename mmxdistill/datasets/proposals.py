"""Class-agnostic region proposals without a trained detector."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.ops import nms

__all__ = [
    'StructuredEdges',
    'edge_boxes',
    'gradient_edges',
    'merge_proposals',
    'require_contrib',
    'selective_search',
    'sliding_windows',
]

# Canny's thresholds on the gradient of 8-bit levels (3x3 Sobel), and the
# percentile of the gradient that counts as a full edge.
_CANNY = (40, 120)
_FULL_EDGE = 90
# Smallest proposals, in square pixels of the searched image. OpenCV's default
# of 1000 would miss every far person or car.
_MIN_AREA = 30

EdgeDetector = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def require_contrib() -> Any:
    """Get the contrib modules of OpenCV that the searches are in.

    Returns:
        module: ``cv2.ximgproc``.

    Raises:
        ImportError: OpenCV was built without its contrib modules.
    """
    if not hasattr(cv2, 'ximgproc'):
        raise ImportError(
            'selective search and EdgeBoxes are in OpenCV contrib: install '
            "'opencv-contrib-python<4.13' in place of opencv-python (one cv2 "
            "distribution at a time), or use the method 'windows'"
        )
    return cv2.ximgproc


def _shrink(image: np.ndarray, max_side: int) -> tuple[np.ndarray, float]:
    scale = min(1.0, max_side / max(image.shape[:2]))
    small = cv2.resize(
        image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    return small, scale


def _as_corners(
    boxes: Any, scale: float, image_shape: tuple[int, ...]
) -> np.ndarray:
    """From (x, y, width, height) of the small image to xyxy of the image."""
    corners = np.asarray(boxes, np.float32).reshape(-1, 4) / scale
    corners[:, 2:] += corners[:, :2]
    height, width = image_shape[:2]
    limit = np.array([width, height, width, height], np.float32)
    return np.minimum(corners, limit).astype(np.float32)


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
    contrib = require_contrib()
    small, scale = _shrink(image, max_side)
    search = contrib.segmentation.createSelectiveSearchSegmentation()
    # Its ranking draws from C's generator (which Windows does not share).
    if os.name == 'posix':
        ctypes.CDLL(None).srand(0)
    search.setBaseImage(small)
    search.switchToSelectiveSearchFast()
    return _as_corners(search.process(), scale, image.shape)


def gradient_edges(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thin edges of an image from its gradient: needs no model.

    Canny's edges, each as strong as the largest gradient among the channels.

    Args:
        image (np.ndarray): uint8 image (H, W, 3).

    Returns:
        tuple[np.ndarray, np.ndarray]: Strength from 0 to 1 and direction
        across the edge from 0 to pi, both float32 (H, W).
    """
    smooth = cv2.GaussianBlur(image, (0, 0), 1)
    gradients = [
        cv2.Sobel(smooth, cv2.CV_16S, *order).reshape(*image.shape[:2], -1)
        for order in ((1, 0), (0, 1))
    ]
    lengths = np.hypot(*(g.astype(np.float32) for g in gradients))
    steepest = lengths.argmax(axis=2)[..., None]
    dx, dy = (
        np.take_along_axis(g, steepest, 2)[..., 0].copy() for g in gradients
    )
    length = np.take_along_axis(lengths, steepest, 2)[..., 0]
    full = max(float(np.percentile(length, _FULL_EDGE)), 1.0)
    thin = cv2.Canny(dx, dy, *_CANNY, L2gradient=True) > 0
    strength = np.where(thin, np.minimum(length / full, 1), 0)
    angle = np.arctan2(dy.astype(np.float32), dx.astype(np.float32)) % np.pi
    return strength.astype(np.float32), angle.astype(np.float32)


@lru_cache(maxsize=1)
def _read_forest(path: str) -> Any:
    contrib = require_contrib()
    try:
        content = cv2.FileStorage()
        content.open(path, cv2.FILE_STORAGE_READ)
        options = content.getNode('options')
        # OpenCV divides by this number without a look at it.
        if not options.isMap() or options.getNode('numberOfTrees').empty():
            raise ValueError('it has no trees')
        return contrib.createStructuredEdgeDetection(path)
    except (cv2.error, ValueError) as error:
        raise ValueError(
            f"'{path}' is no model of structured edges (OpenCV's "
            f'model.yml.gz): {error}'
        ) from None


class StructuredEdges:
    """Edges of a structured forest (OpenCV contrib), as EdgeBoxes used them.

    Args:
        path (str or PathLike): ``model.yml.gz`` of OpenCV's extra data; it is
            read by the process that first needs it.

    Raises:
        FileNotFoundError: There is no such file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        if not os.path.isfile(self.path):
            raise FileNotFoundError(f"edge model '{self.path}' does not exist")

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Detect edges.

        Args:
            image (np.ndarray): uint8 image (H, W, 3), BGR.

        Returns:
            tuple[np.ndarray, np.ndarray]: As :func:`gradient_edges`.

        Raises:
            ImportError: OpenCV was built without its contrib modules.
            ValueError: The file is no such model.
        """
        forest = _read_forest(self.path)
        rgb = np.ascontiguousarray(image[..., ::-1], np.float32) / 255
        edges = forest.detectEdges(rgb)
        angle = forest.computeOrientation(edges)
        return forest.edgesNms(edges, angle), angle


def edge_boxes(
    image: np.ndarray,
    max_side: int = 400,
    limit: int = 2000,
    detector: EdgeDetector = gradient_edges,
) -> np.ndarray:
    """EdgeBoxes (OpenCV contrib): boxes that enclose whole contours.

    Args:
        image (np.ndarray): uint8 image (H, W, 3).
        max_side (int): See :func:`selective_search`. Defaults to 400.
        limit (int): Largest number of boxes. Defaults to 2000.
        detector (Callable): Image -> strength and direction of its edges.
            Defaults to :func:`gradient_edges`; :class:`StructuredEdges` is
            what the method was published with.

    Returns:
        np.ndarray: float32 (n, 4), xyxy in pixels of ``image``, most likely
        objects first.

    Raises:
        ImportError: OpenCV was built without its contrib modules.
    """
    contrib = require_contrib()
    small, scale = _shrink(image, max_side)
    search = contrib.createEdgeBoxes(maxBoxes=limit, minBoxArea=_MIN_AREA)
    boxes, _ = search.getBoundingBoxes(*detector(small))
    return _as_corners(boxes, scale, image.shape)


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
    sources: Sequence[np.ndarray], limit: int, max_iou: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Unite lists of proposals, best of each first, without near-duplicates.

    Args:
        sources (Sequence[np.ndarray]): Lists (n, 4), each in order of merit.
        limit (int): Largest number of proposals to keep.
        max_iou (float): A box that overlaps a better one by more is left
            out. Defaults to 0.9.

    Returns:
        tuple[np.ndarray, np.ndarray]: Boxes (m, 4) and scores (m,) falling
        from 1, both float32, in order.
    """
    rank = np.concatenate([np.arange(len(source)) for source in sources])
    order = np.argsort(rank, kind='stable')
    boxes = np.concatenate(sources).astype(np.float32)[order]
    boxes = boxes[_distinct(boxes, limit, max_iou)]
    scores = np.linspace(1, 0, len(boxes), endpoint=False, dtype=np.float32)
    return boxes, scores


def _distinct(boxes: np.ndarray, limit: int, max_iou: float) -> np.ndarray:
    """Find the first ``limit`` boxes that repeat no better one."""
    # Whether a box stays depends on better ones only: the time, quadratic,
    # is not spent on what the limit cuts off anyway.
    size = 2 * limit
    while True:
        merit = -torch.arange(len(boxes[:size]), dtype=torch.float32)
        kept = nms(torch.from_numpy(boxes[:size]), merit, max_iou)[1].numpy()
        if len(kept) >= limit or size >= len(boxes):
            return kept[:limit]
        size *= 2
