"""Recall of region proposals: how many objects have one that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmdet.evaluation import eval_recalls

from mmxdistill.tables import format_table

__all__ = ['IOU_THRS', 'LIMITS', 'ProposalRecall']

LIMITS = (10, 20, 50, 100, 200, 500, 1000, 2000)
IOU_THRS = (0.5, 0.7)


@dataclass(eq=False)
class ProposalRecall:
    """Objects that the best proposals of their images cover.

    An image at a time, so that no overlap matrix of a whole data set is kept
    (:func:`mmdet.evaluation.eval_recalls`, which does the matching, keeps
    them all, and fails if the images differ in the number of objects).

    Attributes:
        classes (Sequence[str]): Names of the classes.
        limits (Sequence[int]): Numbers of proposals per image, ascending.
        iou_thrs (Sequence[float]): Overlaps that count as found.
        found: (classes + 1, limits, thresholds) objects found; row 0: of any
            class.
        total: (classes + 1,) objects.
        num_images (int): Images with objects.
        num_proposals (int): Their proposals.
    """

    classes: Sequence[str]
    limits: Sequence[int] = LIMITS
    iou_thrs: Sequence[float] = IOU_THRS
    num_images: int = 0
    num_proposals: int = 0

    def __post_init__(self) -> None:
        if list(self.limits) != sorted(set(self.limits)) or self.limits[0] < 1:
            raise ValueError(
                f'numbers of proposals must ascend from 1: {self.limits}'
            )
        shape = (len(self.classes) + 1, len(self.limits), len(self.iou_thrs))
        self.found = np.zeros(shape, np.int64)
        self.total = np.zeros(shape[0], np.int64)

    def add(
        self, boxes: np.ndarray, labels: np.ndarray, proposals: np.ndarray
    ) -> None:
        """Count the objects of an image.

        A proposal finds one object: the one that it overlaps most, of those
        of the class (row of the class) or of all (row 0) that are still to
        be found. So row 0 may be less than the sum of the classes.

        Args:
            boxes (np.ndarray): (g, 4) boxes of the objects, xyxy in pixels.
            labels (np.ndarray): (g,) indices of their classes.
            proposals (np.ndarray): (n, 4) in order of merit.
        """
        if not len(boxes):
            return
        self.num_images += 1
        self.num_proposals += len(proposals)
        self._count(0, boxes, proposals)
        for label in np.unique(labels):
            self._count(int(label) + 1, boxes[labels == label], proposals)

    def _count(
        self, row: int, boxes: np.ndarray, proposals: np.ndarray
    ) -> None:
        recalls = eval_recalls(
            [np.asarray(boxes, np.float32)],
            [np.asarray(proposals, np.float32)],
            np.array(self.limits),
            np.array(self.iou_thrs),
            logger='silent',
        )
        self.found[row] += np.rint(recalls * len(boxes)).astype(np.int64)
        self.total[row] += len(boxes)

    def merge(self, other: ProposalRecall) -> None:
        """Add the counts of other images.

        Args:
            other (ProposalRecall): With the same classes, numbers of
                proposals and thresholds.
        """
        self.found += other.found
        self.total += other.total
        self.num_images += other.num_images
        self.num_proposals += other.num_proposals

    @property
    def recall(self) -> np.ndarray:
        """Recall as ``found``, NaN for classes without objects."""
        total = np.where(self.total, self.total, np.nan)
        return self.found / total[:, None, None]

    def format(self, iou_thr: float) -> str:
        """Table of the recall in percent: classes x numbers of proposals.

        Args:
            iou_thr (float): One of ``iou_thrs``.

        Returns:
            str: Markdown.
        """
        names = ['all', *self.classes]
        index = list(self.iou_thrs).index(iou_thr)
        rows = [
            [name, str(total), *map(_percent, values)]
            for name, total, values in zip(
                names, self.total, self.recall[..., index], strict=True
            )
        ]
        header = [f'IoU {iou_thr:g}', 'objects', *map(str, self.limits)]
        return format_table(header, rows)


def _percent(value: float) -> str:
    return '-' if np.isnan(value) else f'{100 * value:.1f}'
