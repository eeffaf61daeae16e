"""Caffe's RoI database: what Fast R-CNN computes once from all boxes.

Boxes are x1, y1, x2, y2 in pixels of the original image; both corners belong
to the box, so overlaps have +1 on widths, heights and intersections. (*Fast
R-CNN*, ``datasets/imdb.py``, ``roi_data_layer/roidb.py``.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    'RoIs',
    'box_overlaps',
    'is_usable',
    'match_rois',
    'regression_targets',
    'target_statistics',
    'target_sums',
]

# Keeps Caffe's divisions by a width or a count from failing.
_EPS = 1e-14
# Foreground, also the RoIs that learn to regress a box.
_FOREGROUND = 0.5
# Below, all targets are the same number up to its rounding.
_NO_SPREAD = 1e-6


class RoIs(NamedTuple):
    """The RoIs of an image, ground truth first.

    Args:
        boxes (np.ndarray): float64 (n, 4).
        overlaps (np.ndarray): Largest overlap of each with the ground truth,
            float32 (n,); 1 for the ground truth itself.
        labels (np.ndarray): Class of the overlapped ground truth, int (n,);
            -1 where the overlap is 0.
    """

    boxes: np.ndarray
    overlaps: np.ndarray
    labels: np.ndarray


def box_overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union, with +1 and in double precision.

    (mmdet's NumPy function works in float32.)

    Args:
        boxes (np.ndarray): (n, 4).
        others (np.ndarray): (k, 4).

    Returns:
        np.ndarray: float64 (n, k).
    """
    # The pixel behind the last one, so that differences are lengths.
    first, second = (
        np.asarray(b, np.float64) + np.array([0, 0, 1, 1])
        for b in (boxes, others)
    )
    width, height = (
        np.minimum(first[:, high, None], second[:, high])
        - np.maximum(first[:, low, None], second[:, low])
        for low, high in ((0, 2), (1, 3))
    )
    both = width.clip(0) * height.clip(0)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (first, second)]
    return both / (areas[0][:, None] + areas[1] - both)


def match_rois(
    gt_boxes: np.ndarray, gt_labels: np.ndarray, proposals: np.ndarray
) -> RoIs:
    """Collect the RoIs of an image and match them with its ground truth.

    Args:
        gt_boxes (np.ndarray): (k, 4).
        gt_labels (np.ndarray): Classes, from 0 (k,).
        proposals (np.ndarray): (n, 4).

    Returns:
        RoIs: The k + n RoIs.
    """
    found = np.zeros((len(proposals), 1))
    nearest = np.full(1, -1)
    if len(gt_boxes):
        found = box_overlaps(proposals, gt_boxes)
        nearest = gt_labels
    overlaps = found.max(1).astype(np.float32)
    labels = np.where(overlaps > 0, nearest[found.argmax(1)], -1)
    return RoIs(
        np.concatenate([gt_boxes, proposals]).astype(np.float64),
        np.concatenate([np.ones(len(gt_boxes), np.float32), overlaps]),
        np.concatenate([gt_labels, labels]).astype(int),
    )


def is_usable(overlaps: np.ndarray) -> bool:
    """Whether Caffe trains on an image with these RoIs.

    Some RoI must be foreground and some background, strictly: the
    thresholds themselves, 0.5 and 0, do not count (although the minibatch
    then takes RoIs at both).

    Args:
        overlaps (np.ndarray): :attr:`RoIs.overlaps`.

    Returns:
        bool: Whether the image is used.
    """
    foreground = overlaps > _FOREGROUND
    background = (overlaps > 0) & (overlaps < _FOREGROUND)
    return bool(foreground.any() and background.any())


def regression_targets(rois: RoIs) -> tuple[np.ndarray, np.ndarray]:
    """Box-regression targets of the foreground RoIs, not normalised.

    The partner of an RoI is the one that overlaps it most among those whose
    own overlap is exactly 1: the ground truth, or a proposal that equals it.
    Widths and heights have no +1 here.

    Args:
        rois (RoIs): The RoIs of an image.

    Returns:
        tuple[np.ndarray, np.ndarray]: Indices (m,) of the foreground RoIs
        and their targets dx, dy, dw, dh, float32 (m, 4).
    """
    examples = np.flatnonzero(rois.overlaps >= _FOREGROUND)
    truth = rois.boxes[rois.overlaps == 1]
    if not len(truth):
        return examples[:0], np.zeros((0, 4), np.float32)
    boxes = rois.boxes[examples]
    partners = truth[box_overlaps(boxes, truth).argmax(1)]
    size, goal = (b[:, 2:] - b[:, :2] + _EPS for b in (boxes, partners))
    shift = partners[:, :2] + goal / 2 - (boxes[:, :2] + size / 2)
    targets = np.concatenate([shift / size, np.log(goal / size)], 1)
    return examples, targets.astype(np.float32)


def target_sums(
    labels: np.ndarray, targets: np.ndarray, num_classes: int
) -> np.ndarray:
    """What an image adds to the statistics of the targets.

    Args:
        labels (np.ndarray): Classes of the foreground RoIs (m,).
        targets (np.ndarray): Their targets (m, 4).
        num_classes (int): Number of classes C, without background.

    Returns:
        np.ndarray: float64 (C, 9): count, sums of dx, dy, dw, dh, and sums of
        their squares. Sums of several images are added.
    """
    values = np.asarray(targets, np.float64)
    ones = np.ones((len(values), 1))
    sums = np.zeros((num_classes, 9))
    np.add.at(sums, labels, np.concatenate([ones, values, values**2], 1))
    return sums


def target_statistics(
    sums: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean and standard deviation per class and coordinate.

    Where there is no example, or all have the same target, Caffe's standard
    deviation is 0 (so that normalised targets are NaN); here the mean is 0
    and the standard deviation 1.

    Args:
        sums (np.ndarray): Total of :func:`target_sums`, (C, 9).

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Means (C, 4), standard
        deviations of the population (C, 4), and whether they come from the
        examples, bool (C, 4).
    """
    count = sums[:, :1] + _EPS
    means, squares = sums[:, 1:5] / count, sums[:, 5:] / count
    stds = np.sqrt(np.maximum(squares - means**2, 0))
    defined = stds > _NO_SPREAD
    return np.where(defined, means, 0), np.where(defined, stds, 1), defined
