"""Detections that ``tools/test.py --out`` has written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmxdistill.safe_pickle import read_pickle

__all__ = ['Found', 'read_predictions']

_KEYS = ('bboxes', 'labels', 'scores')


@dataclass(frozen=True, eq=False)
class Found:
    """Detections in an image.

    Attributes:
        boxes: (n, 4) xyxy in pixels of the original image.
        labels: (n,) indices of the classes.
        scores: (n,).
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def check_labels(self, name: str, count: int) -> None:
        """Refuse detections of another set of classes.

        Args:
            name (str): Of the detector, for the message.
            count (int): Number of classes.

        Raises:
            ValueError: A label is out of range.
        """
        if len(self.labels) and max(self.labels) >= count:
            raise ValueError(
                f'predictions {name!r} have the label {max(self.labels)}, the '
                f'data set has {count} classes: they are of another one'
            )

    def above(self, score: float) -> Found:
        """Those of a score and more."""
        kept = self.scores >= score
        return Found(self.boxes[kept], self.labels[kept], self.scores[kept])


def read_predictions(path: str | os.PathLike[str]) -> dict[Any, Found]:
    """Read detections.

    Args:
        path (str or PathLike): What ``tools/test.py --out`` wrote.

    Returns:
        dict[Any, Found]: ``img_id`` -> what was found.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else.
    """
    content = read_pickle(path)
    try:
        return {
            sample['img_id']: _read(sample['pred_instances'])
            for sample in content
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"'{path}' holds no detections: it must be what tools/test.py "
            f'--out wrote of a detector ({type(error).__name__}: {error})'
        ) from error


def _read(instances: Any) -> Found:
    if not isinstance(instances, Mapping):
        instances = vars(instances)
    boxes, labels, scores = (np.asarray(instances[key]) for key in _KEYS)
    boxes = boxes.reshape(-1, 4)
    if not len(boxes) == len(labels) == len(scores):
        raise ValueError('not as many boxes as labels and scores')
    return Found(boxes, labels, scores)
