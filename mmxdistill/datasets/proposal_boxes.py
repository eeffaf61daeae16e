"""Region proposals of an image, and of all images of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    'ImageProposals',
    'ProposalTable',
    'check_corners',
    'field_of',
    'proposal_boxes',
]


class ImageProposals(NamedTuple):
    """Proposals of an image, best first.

    Args:
        bboxes (np.ndarray): float32 (n, 4), xyxy in pixels.
        scores (np.ndarray): float32 (n,), falling.
    """

    bboxes: np.ndarray
    scores: np.ndarray


def proposal_boxes(entry: Any) -> ImageProposals:
    """Get the boxes of an image out of an entry of a proposal file.

    Args:
        entry (Any): A dict or ``InstanceData`` with ``bboxes`` and, if they
            are known, ``scores``, or an array (n, 4) or, with scores, (n, 5),
            as mmdet 2 has it.

    Returns:
        ImageProposals: Boxes, sorted by falling scores. Without scores they
        keep their order.

    Raises:
        ValueError: The entry is something else.
    """
    boxes, scores = field_of(entry, 'bboxes'), field_of(entry, 'scores')
    if boxes is None:
        if not isinstance(entry, (np.ndarray, list)):
            raise ValueError(
                f'a {type(entry).__name__} instead of a dict or InstanceData '
                "with 'bboxes'"
            )
        boxes = entry
    boxes = _floats(boxes, 'bboxes')
    if scores is None and boxes.ndim == 2 and boxes.shape[1] == 5:
        boxes, scores = boxes[:, :4], boxes[:, 4]
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f'bboxes of shape {boxes.shape}, expected (n, 4)')
    if scores is None:
        return ImageProposals(boxes, np.zeros(len(boxes), np.float32))
    scores = _floats(scores, 'scores').reshape(-1)
    if len(scores) != len(boxes):
        raise ValueError(f'{len(scores)} scores for {len(boxes)} bboxes')
    if (np.diff(scores) > 0).any():  # the first n are taken as the n best
        order = np.argsort(-scores, kind='stable')
        boxes, scores = boxes[order], scores[order]
    return ImageProposals(boxes, scores)


def check_corners(found: ImageProposals) -> None:
    """Check that boxes are such, whatever the image.

    Args:
        found (ImageProposals): The boxes.

    Raises:
        ValueError: A box or a score is not finite, or a corner is on the
            wrong side of the other.
    """
    boxes = found.bboxes
    if not (np.isfinite(boxes).all() and np.isfinite(found.scores).all()):
        raise ValueError('a box or a score is not finite (NaN or inf)')
    wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        raise ValueError(
            'boxes must be x1, y1, x2, y2 in pixels; is '
            f'{boxes[wrong][0].tolist()} x, y, width, height?'
        )


def field_of(entry: Any, name: str) -> Any:
    """Value of a dict or record, None without one; arrays of boxes as such."""
    found = (
        entry.get(name)
        if isinstance(entry, Mapping)
        else getattr(entry, name, None)
    )
    return getattr(found, 'tensor', found)  # of HorizontalBoxes


def _floats(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{name} are no numbers: {error}') from None


class ProposalTable:
    """Proposals of all samples of a data set, in two arrays.

    A data set serialises its samples and copies them for every worker;
    proposals stay outside of that.

    Args:
        proposals (Iterable[ImageProposals]): Of each sample.
    """

    def __init__(self, proposals: Iterable[ImageProposals]) -> None:
        found = list(proposals)
        self._ends = np.cumsum([len(p.bboxes) for p in found], dtype=int)
        total = int(self._ends[-1]) if found else 0
        self._boxes = np.empty((total, 4), np.float32)
        self._scores = np.empty(total, np.float32)
        for index, item in enumerate(found):
            part = self._slice(index)
            self._boxes[part], self._scores[part] = item
        for array in (self._boxes, self._scores):
            array.flags.writeable = False  # the samples are views

    def _slice(self, index: int) -> slice:
        start = int(self._ends[index - 1]) if index else 0
        return slice(start, int(self._ends[index]))

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._ends)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Proposals of a sample, as ``LoadProposals`` takes them.

        Args:
            index (int): From 0.

        Returns:
            dict: ``bboxes`` (n, 4) and ``scores`` (n,), read-only float32.
        """
        part = self._slice(index)
        return dict(bboxes=self._boxes[part], scores=self._scores[part])

    def __deepcopy__(self, memo: dict) -> ProposalTable:
        """Sub-sets of a data set share its table: nobody changes it."""
        return self
