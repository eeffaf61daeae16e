"""Detections of one image, told apart into correct and wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from mmdet.evaluation.functional.mean_ap import tpfp_default
from numpy.typing import ArrayLike, NDArray

__all__ = [
    'Detections',
    'detection_legend',
    'draw_boxes',
    'draw_detections',
    'match_detections',
]

# Told apart by colour-blind people, too.
CORRECT: dict[str, Any] = dict(color='deepskyblue', linewidth=2.2)
WRONG: dict[str, Any] = dict(color='orange', linewidth=2.2)
TRUTH: dict[str, Any] = dict(color='white', linewidth=1.0, linestyle='--')


@dataclass(frozen=True, eq=False)
class Detections:
    """Confident detections of one image.

    Attributes:
        boxes: (n, 4) xyxy in pixels.
        labels: (n,) indices of the classes.
        scores: (n,).
        correct: (n,) bool, whether a detection is a true positive.
        num_objects: Objects in the image.
    """

    boxes: NDArray[np.floating]
    labels: NDArray[np.integer]
    scores: NDArray[np.floating]
    correct: NDArray[np.bool_]
    num_objects: int

    @property
    def num_correct(self) -> int:
        """True positives."""
        return int(self.correct.sum())

    @property
    def num_wrong(self) -> int:
        """False positives."""
        return len(self.correct) - self.num_correct


def match_detections(
    boxes: ArrayLike,
    labels: ArrayLike,
    scores: ArrayLike,
    true_boxes: ArrayLike,
    true_labels: ArrayLike,
    min_score: float = 0.5,
    iou_thr: float = 0.5,
) -> Detections:
    """Find the correct ones among the confident detections of an image.

    By VOC's rule: in the order of the scores, a detection takes the object
    of its class that it overlaps most, unless that has been taken.

    Args:
        boxes (ArrayLike): (n, 4) xyxy in pixels.
        labels (ArrayLike): (n,) indices of the classes.
        scores (ArrayLike): (n,).
        true_boxes (ArrayLike): (m, 4) boxes of the objects.
        true_labels (ArrayLike): (m,) their classes.
        min_score (float): Detections need a higher score. Defaults to 0.5.
        iou_thr (float): Overlap that makes a detection correct. Defaults
            to 0.5.

    Returns:
        Detections: The detections above ``min_score``.
    """
    scores = np.asarray(scores, np.float32)
    confident = scores > min_score
    scores = scores[confident]
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)[confident]
    labels = np.asarray(labels)[confident]
    true_boxes = np.asarray(true_boxes, np.float32).reshape(-1, 4)
    true_labels = np.asarray(true_labels)
    correct = np.zeros(len(scores), dtype=bool)
    for label in np.unique(labels):
        chosen = labels == label
        true_positive, _ = tpfp_default(
            np.column_stack([boxes[chosen], scores[chosen]]),
            true_boxes[true_labels == label],
            np.empty((0, 4), np.float32),
            iou_thr,
            use_legacy_coordinate=True,  # as the metric of the project
        )
        correct[chosen] = true_positive[0] > 0
    return Detections(boxes, labels, scores, correct, len(true_boxes))


def draw_boxes(
    axes: Axes,
    boxes: NDArray[np.floating],
    texts: Sequence[str] = (),
    corner: str = 'top',
    **style: Any,
) -> None:
    """Draw boxes, each with a text in its left corner.

    Args:
        axes (Axes): Axes that show the image.
        boxes (np.ndarray): (n, 4) xyxy in pixels.
        texts (Sequence[str]): One per box, or none at all.
        corner (str): 'top' or 'bottom'. Defaults to 'top'.
        **style: Of :class:`matplotlib.patches.Patch`, with ``color``.
    """
    for x0, y0, x1, y1 in boxes:
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, **style)
        )
    if not texts:
        return
    for (x0, y0, _, y1), text in zip(boxes, texts, strict=True):
        axes.text(
            x0,
            y0 if corner == 'top' else y1,
            text,
            fontsize=8,
            verticalalignment=corner,
            clip_on=True,
            bbox=dict(facecolor=style['color'], linewidth=0, pad=1),
        )


def draw_detections(
    axes: Axes,
    detections: Detections,
    classes: Sequence[str],
    true_boxes: NDArray[np.floating],
) -> None:
    """Draw detections over an image and say in the title how good they are.

    Args:
        axes (Axes): Axes that show the image, with a title.
        detections (Detections): Detections of this image.
        classes (Sequence[str]): Names of the classes.
        true_boxes (np.ndarray): (m, 4) boxes of the objects, drawn thin.
    """
    draw_boxes(axes, true_boxes, **TRUTH)
    # Texts in different corners hide each other less.
    for corner, style, chosen in (
        ('bottom', WRONG, ~detections.correct),
        ('top', CORRECT, detections.correct),
    ):
        found = zip(
            detections.labels[chosen], detections.scores[chosen], strict=True
        )
        texts = [f'{classes[label]} {score:.2f}' for label, score in found]
        draw_boxes(axes, detections.boxes[chosen], texts, corner, **style)
    axes.set_title(
        f'{axes.get_title()}: {detections.num_correct} of '
        f'{detections.num_objects} found, {detections.num_wrong} wrong',
        fontweight='bold',
    )


def detection_legend() -> list[Patch]:
    """Explain the boxes of :func:`draw_detections`.

    Returns:
        list[Patch]: Handles of ``Figure.legend``.
    """
    names = {
        'correct detection: right class, IoU at least 0.5': CORRECT,
        'wrong detection': WRONG,
        'object to find': TRUTH,
    }
    return [
        Patch(label=label, fill=False, **style)
        for label, style in names.items()
    ]
