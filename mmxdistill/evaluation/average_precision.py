"""Average precision with the rules of the authors' benchmark."""

from __future__ import annotations

import numpy as np

__all__ = [
    'average_precision',
    'belong_to_ignored',
    'match_first_free',
    'precision_recall',
]


def match_first_free(
    overlaps: np.ndarray, scores: np.ndarray, threshold: float
) -> np.ndarray:
    """Tell the correct detections of a class in one image.

    In order of descending score, each detection goes to the ground truth that
    it overlaps most, even if that is taken. It is correct if the overlap
    reaches the threshold and it is the first there.

    Args:
        overlaps (np.ndarray): Overlap of each detection with each ground
            truth, (D, G).
        scores (np.ndarray): Scores, (D,); of equal ones the first wins.
        threshold (float): Lowest overlap of a correct detection.

    Returns:
        np.ndarray: Whether each detection is correct, bool, (D,).
    """
    correct = np.zeros(len(scores), bool)
    if overlaps.size == 0:
        return correct
    assigned = overlaps.argmax(axis=1)
    order = np.argsort(-scores, kind='stable')
    close = order[overlaps.max(axis=1)[order] >= threshold]
    _, first = np.unique(assigned[close], return_index=True)
    correct[close[first]] = True
    return correct


def belong_to_ignored(
    overlaps: np.ndarray, num_truth: int, threshold: float
) -> np.ndarray:
    """Tell the detections of a class that count neither way.

    Those whose largest overlap reaches the threshold and is with an ignored
    object: mmdet's rule, and VOC's for difficult objects.

    Args:
        overlaps (np.ndarray): Overlap of each detection with each ground
            truth and, after them, with each ignored object, (D, G + I).
        num_truth (int): G.
        threshold (float): Lowest overlap of a correct detection.

    Returns:
        np.ndarray: Bool, (D,).
    """
    if overlaps.size == 0:
        return np.zeros(len(overlaps), bool)
    ignored = overlaps.argmax(axis=1) >= num_truth
    return ignored & (overlaps.max(axis=1) >= threshold)


def precision_recall(
    scores: np.ndarray, correct: np.ndarray, num_positives: int
) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection, by descending score.

    Args:
        scores (np.ndarray): Scores of all images' detections, (D,).
        correct (np.ndarray): Whether each is correct, (D,).
        num_positives (int): Number of ground truths in all images.

    Returns:
        tuple[np.ndarray, np.ndarray]: Precision and recall, float64, (D,)
        each. The recall is NaN if there is no ground truth.
    """
    order = np.argsort(-scores, kind='stable')
    hits = np.cumsum(correct[order])
    precision = hits / np.arange(1, len(hits) + 1)
    recall = hits / (num_positives or np.nan)
    return precision, recall


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area under the precision envelope: VOC's AP since 2010, no 11 points.

    The envelope at a recall is the highest precision at that recall or more.
    (mmdet's function of this name gives the same in float32.)

    Args:
        precision (np.ndarray): By ascending recall, (D,).
        recall (np.ndarray): (D,).

    Returns:
        float: From 0 to 1; 0 without detections.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.diff(recall, prepend=0.0) @ envelope)
