"""COCO's average precision of resampled images: how sure a difference is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

__all__ = ['Matches', 'block_weights', 'interval', 'match_coco']

_RECALLS = np.linspace(0, 1, 101)
_MAX_DETECTIONS = 100


@dataclass(frozen=True)
class Matches:
    """What the detections of one class are worth, by descending score.

    Attributes:
        image: Index of each detection's image, (D,).
        correct: Per IoU threshold from 0.5 to 0.95, (10, D) bool.
        counted: Whether it is right or wrong at all, (10, D) bool.
        objects: Number of objects per image, (images,).
    """

    image: np.ndarray
    correct: np.ndarray
    counted: np.ndarray
    objects: np.ndarray

    def precision(
        self, weights: np.ndarray, thresholds: int = 10
    ) -> np.ndarray:
        """Average precision, per IoU threshold.

        Args:
            weights (np.ndarray): How often each image is in the sample,
                (images,).
            thresholds (int): Only the first of them. Defaults to all.

        Returns:
            np.ndarray: COCO's AP, (thresholds,); NaN without objects.
        """
        total = float(weights @ self.objects)
        if not total:
            return np.full(thresholds, np.nan)
        of_detection = weights[self.image]
        found = np.zeros(thresholds)
        for i in range(thresholds):
            correct, counted = self.correct[i], self.counted[i]
            hits = np.cumsum(of_detection * (correct & counted))
            seen = np.cumsum(of_detection * counted)
            precision = hits / np.maximum(seen, np.spacing(1))
            envelope = np.maximum.accumulate(precision[::-1])[::-1]
            places = np.searchsorted(hits / total, _RECALLS - 1e-12)
            reached = places[places < len(envelope)]
            found[i] = envelope[reached].sum() / len(_RECALLS)
        return found


def match_coco(
    samples: Sequence[Mapping[str, Any]], num_classes: int
) -> list[Matches]:
    """Match detections and objects as COCO's evaluation does.

    Args:
        samples (Sequence[dict]): As ``tools/test.py --out`` writes them, with
            boxes in pixels of the original image: ``pred_instances``,
            ``gt_instances`` and, for what may be found or not,
            ``ignored_instances``.
        num_classes (int): Number of classes; detections of later ones do not
            count.

    Returns:
        list[Matches]: One for each class.
    """
    truth = COCO()
    truth.dataset = dict(
        images=[dict(id=i) for i in range(len(samples))],
        categories=[dict(id=c) for c in range(num_classes)],
        annotations=[],
    )
    found = []
    for i, sample in enumerate(samples):
        for key in ('gt_instances', 'ignored_instances'):
            for box, label in _boxes(sample.get(key)):
                truth.dataset['annotations'].append(
                    dict(
                        id=len(truth.dataset['annotations']) + 1,
                        image_id=i,
                        category_id=label,
                        bbox=box,
                        area=box[2] * box[3],
                        iscrowd=int(key == 'ignored_instances'),
                    )
                )
        scores = np.asarray(sample['pred_instances']['scores'])
        boxes = _boxes(sample['pred_instances'])
        found += [
            dict(image_id=i, category_id=label, bbox=box, score=float(score))
            for (box, label), score in zip(boxes, scores, strict=True)
            if label < num_classes
        ]
    with redirect_stdout(StringIO()):
        truth.createIndex()
        detections = truth.loadRes(found) if found else COCO()
        evaluation = COCOeval(truth, detections, 'bbox')
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:1]
        evaluation.params.maxDets = [_MAX_DETECTIONS]
        if found:
            evaluation.evaluate()
        else:
            evaluation.evalImgs = [None] * (len(samples) * num_classes)
    per_image = np.zeros((num_classes, len(samples)))
    for annotation in truth.dataset['annotations']:
        per_image[annotation['category_id'], annotation['image_id']] += (
            1 - annotation['iscrowd']
        )
    size = len(samples)
    return [
        _collect(
            evaluation.evalImgs[label * size : (label + 1) * size],
            len(evaluation.params.iouThrs),
            per_image[label],
        )
        for label in range(num_classes)
    ]


def _boxes(instances: Mapping[str, Any] | None) -> list[tuple[list, int]]:
    """x, y, width, height, and label of instances."""
    if not instances or 'bboxes' not in instances:
        return []
    boxes = instances['bboxes']
    boxes = np.asarray(getattr(boxes, 'tensor', boxes), np.float64)
    boxes = boxes.reshape(-1, 4).copy()
    boxes[:, 2:] -= boxes[:, :2]
    labels = np.asarray(instances['labels'])
    return [
        (box.tolist(), int(label))
        for box, label in zip(boxes, labels, strict=True)
    ]


def _collect(
    images: Sequence[Mapping | None], thresholds: int, objects: np.ndarray
) -> Matches:
    parts = [
        (np.full(len(one['dtScores']), i), one)
        for i, one in enumerate(images)
        if one is not None
    ]
    scores = (
        np.concatenate([np.asarray(o['dtScores']) for _, o in parts])
        if parts
        else np.zeros(0)
    )
    order = np.argsort(-scores, kind='mergesort')
    shape = (thresholds, -1)
    none = np.zeros((thresholds, 0))
    matched = np.concatenate(
        [none, *(o['dtMatches'].reshape(shape) for _, o in parts)], 1
    )
    ignored = np.concatenate(
        [none, *(o['dtIgnore'].reshape(shape) for _, o in parts)], 1
    )
    image = np.concatenate([np.zeros(0, int), *(i for i, _ in parts)])
    return Matches(
        image[order],
        matched[:, order] > 0,
        ignored[:, order] == 0,
        objects,
    )


def block_weights(
    groups: Sequence[str], block: int, rounds: int, seed: int = 0
) -> np.ndarray:
    """Draw blocks of neighbouring images, with replacement, in every group.

    Frames of a video are not independent; blocks longer than their
    correlation are, more or less. With ``block=1``, images are drawn.

    Args:
        groups (Sequence[str]): Group of each image; those of a group are in
            their order.
        block (int): Images in a block; the last of a group may be shorter.
        rounds (int): Number of samples.
        seed (int): Of the draws. Defaults to 0.

    Returns:
        np.ndarray: How often each image is in each sample,
        (rounds, images).
    """
    rng = np.random.default_rng(seed)
    names = np.asarray(groups)
    weights = np.zeros((rounds, len(names)))
    for name in dict.fromkeys(groups):
        mine = np.flatnonzero(names == name)
        blocks = np.arange(len(mine)) // block
        count = int(blocks[-1]) + 1
        drawn = rng.integers(0, count, (rounds, count))
        times = np.zeros((rounds, count))
        np.add.at(times, (np.arange(rounds)[:, None], drawn), 1)
        weights[:, mine] = times[:, blocks]
    return weights


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of bootstrapped values.

    Args:
        values (np.ndarray): One per sample.
        level (float): Defaults to 0.95.

    Returns:
        tuple[float, float]: Its ends.
    """
    tail = 100 * (1 - level) / 2
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)
