"""Weights of a late fusion that suit a validation set."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.dist import get_world_size
from torch import Tensor

from mmxdistill.evaluation.average_precision import (
    average_precision,
    match_first_free,
    precision_recall,
)

__all__ = [
    'FittedWeights',
    'candidate_weights',
    'fit_fusion_weights',
    'labelled_batches',
]


@dataclass
class FittedWeights:
    """What :func:`fit_fusion_weights` found.

    Attributes:
        weights: Best weight per stream, for all classes.
        ap: Its mean AP at IoU 0.5, over classes with objects.
        equal_ap: That of equal weights.
        class_weights: Stream -> best weight per class.
        class_ap: Mean over classes of the AP each has with its own.
        curve: (candidates, classes) AP of all; NaN without objects.
        candidates: (candidates, streams) weights that were tried.
    """

    weights: dict[str, float]
    ap: float
    equal_ap: float
    class_weights: dict[str, list[float]]
    class_ap: float
    curve: np.ndarray
    candidates: np.ndarray

    def alone(self) -> dict[str, float]:
        """Mean AP of each stream without the others."""
        means = np.nanmean(self.curve, 1)
        return {
            name: float(means[self.candidates[:, stream] == 1].item())
            for stream, name in enumerate(self.weights)
        }

    def __str__(self) -> str:
        """Results, with the weights as a config takes them."""
        common = {name: round(w, 4) for name, w in self.weights.items()}
        classes = {
            name: [round(w, 4) for w in row]
            for name, row in self.class_weights.items()
        }
        alone = ', '.join(
            f'{name} {100 * ap:.2f}' for name, ap in self.alone().items()
        )
        return (
            f'each stream alone: AP50 {alone}\n'
            f'equal weights:     AP50 {100 * self.equal_ap:.2f}\n'
            f'weight per stream: AP50 {100 * self.ap:.2f}: '
            f'weights={common}\n'
            f'weights per class: AP50 {100 * self.class_ap:.2f}: '
            f'weights={classes}'
        )


def candidate_weights(num_streams: int, steps: int = 10) -> np.ndarray:
    """All weights of K streams in steps of 1 / steps, and equal ones.

    Args:
        num_streams (int): K.
        steps (int): Defaults to 10.

    Returns:
        np.ndarray: (candidates, K), rows sum to 1, the first is 1/K, the
        others follow by their distance from it.
    """
    grid = [
        row
        for row in itertools.product(range(steps + 1), repeat=num_streams)
        if sum(row) == steps
    ]
    equal = np.full((1, num_streams), 1 / num_streams)
    found = np.concatenate([equal, np.array(grid) / steps])
    order = np.abs(found - equal).sum(1).argsort(kind='stable')
    found = found[order]
    # Equal weights are often on the grid, too.
    repeated = np.isclose(found[1:], equal).all(1)
    return found[np.r_[True, ~repeated]]


def labelled_batches(
    loader: Any,
) -> Iterator[tuple[dict, list[tuple[Tensor, Tensor]]]]:
    """Batches of a data loader with the labels of their images.

    The labels come from the annotations, so that the pipeline need not load
    them. Objects to be ignored are left out.

    Args:
        loader (DataLoader): In the order of the data set, one process.

    Yields:
        tuple: A batch, and per image the boxes (G, 4) in pixels of the
        original image and the labels (G,).

    Raises:
        ValueError: The loader shuffles, or there are several processes.
    """
    if getattr(loader.sampler, 'shuffle', False) or get_world_size() > 1:
        raise ValueError(
            'fitting goes through the data set in its order: set '
            "sampler=dict(type='DefaultSampler', shuffle=False), and start "
            'one process'
        )
    index = 0
    for batch in loader:
        truths = []
        for _ in batch['data_samples']:
            objects = [
                found
                for found in loader.dataset.get_data_info(index)['instances']
                if not found.get('ignore_flag')
            ]
            truths.append(
                (
                    torch.tensor([found['bbox'] for found in objects])
                    .float()
                    .reshape(-1, 4),
                    torch.tensor(
                        [found['bbox_label'] for found in objects],
                        dtype=torch.long,
                    ),
                )
            )
            index += 1
        yield batch, truths


@torch.no_grad()
def fit_fusion_weights(
    model: Any,
    batches: Iterable[tuple[dict, Sequence[tuple[Tensor, Tensor]]]],
    steps: int = 10,
    iou_threshold: float = 0.5,
) -> FittedWeights:
    """Find the weights with the best AP, for all classes and for each.

    One pass over the data: features and heads are computed once, the average
    and what follows once per candidate; a cascade's later stages are, too. Of
    equally good candidates the one that is nearest to equal weights wins. A
    class keeps the common weights if it has no objects.

    Args:
        model (LateFusionDetector): With its weights.
        batches (Iterable): Batches of the data loader, each with the boxes
            (G, 4) in pixels of the original image and the labels (G,) of its
            images.
        steps (int): Candidates lie on a grid of this many steps per stream.
        iou_threshold (float): Of a correct detection. Defaults to 0.5.

    Returns:
        FittedWeights: The weights.

    Raises:
        ValueError: Less than two streams, or no objects at all.
    """
    names = list(model.streams)
    if len(names) < 2:
        raise ValueError(f'nothing to weigh: the only stream is {names}')
    candidates = candidate_weights(len(names), steps)
    settings = [model.make_weights(row.tolist()) for row in candidates]
    num_classes = model.fusion.num_classes
    records: list[list[list[tuple[np.ndarray, np.ndarray]]]] = [
        [[] for _ in range(num_classes)] for _ in candidates
    ]
    objects = np.zeros(num_classes, np.int64)
    model.eval()
    for batch, truths in batches:
        data = model.data_preprocessor(batch, False)
        inputs, samples = data['inputs'], data['data_samples']
        for _, labels in truths:
            objects += np.bincount(labels.numpy(), minlength=num_classes)
        found = model.detect(inputs, samples, settings)
        for record, results in zip(records, found, strict=True):
            for result, truth in zip(results, truths, strict=True):
                _add(record, result, *truth, iou_threshold)
    if not objects.sum():
        raise ValueError('the data set has no objects to fit weights to')
    curve = np.array(
        [
            [
                _ap(found, number)
                for found, number in zip(record, objects, strict=True)
            ]
            for record in records
        ]
    )
    return _choose(names, candidates, curve)


def _add(
    record: list, found: Any, boxes: Tensor, labels: Tensor, threshold: float
) -> None:
    for label, entries in enumerate(record):
        mine = found[found.labels == label]
        overlaps = bbox_overlaps(mine.bboxes.cpu(), boxes[labels == label])
        scores = mine.scores.cpu().numpy()
        correct = match_first_free(overlaps.numpy(), scores, threshold)
        entries.append((scores, correct))


def _ap(entries: list[tuple[np.ndarray, np.ndarray]], objects: int) -> float:
    if not objects:
        return float('nan')
    scores, correct = (
        np.concatenate(parts) for parts in zip(*entries, strict=True)
    )
    return average_precision(*precision_recall(scores, correct, int(objects)))


def _choose(
    names: list[str], candidates: np.ndarray, curve: np.ndarray
) -> FittedWeights:
    means = np.nanmean(curve, 1)
    best = int(means.argmax())
    per_class = np.where(
        np.isnan(curve).all(0), best, np.nan_to_num(curve, nan=-1.0).argmax(0)
    )
    chosen = candidates[per_class]  # (classes, streams)
    return FittedWeights(
        weights=dict(zip(names, candidates[best].tolist(), strict=True)),
        ap=float(means[best]),
        equal_ap=float(means[0]),
        class_weights=dict(zip(names, chosen.T.tolist(), strict=True)),
        class_ap=float(np.nanmean(curve.max(0))),
        curve=curve,
        candidates=candidates,
    )
