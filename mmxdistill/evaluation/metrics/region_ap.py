"""Average precision of regions (AP^r)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmdet.structures.mask import (
    BitmapMasks,
    PolygonMasks,
    encode_mask_results,
)
from mmengine.evaluator import BaseMetric
from pycocotools import mask as coco_mask
from torch import Tensor

from mmxdistill.evaluation.average_precision import (
    average_precision,
    match_first_free,
    precision_recall,
)
from mmxdistill.registry import METRICS

__all__ = ['RegionAPMetric', 'region_overlaps']


@METRICS.register_module()
class RegionAPMetric(BaseMetric):
    """AP^r: average precision by the IoU of regions (the paper, sec. 4.3).

    Detections are matched as in the authors' benchmark
    (:func:`match_first_free`); AP is the area under the precision envelope.

    The model must predict ``pred_instances`` with ``masks`` (R, H, W),
    ``scores`` and ``labels``; the samples need ``gt_instances`` with masks of
    the same size (``LoadAnnotations(with_mask=True)`` after ``Resize``, so
    that they stay as annotated) and labels.

    Metrics, for each threshold, such as 0.5: ``region/mAPr_50``, the mean of
    the classes with ground truth, and ``region/APr_50_<class>``, NaN for a
    class without.

    Args:
        iou_thrs (Sequence[float]): IoUs at which a region is correct.
            Defaults to (0.5, 0.7).
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: If an IoU is not above 0 and at most 1.
    """

    default_prefix = 'region'

    def __init__(
        self, iou_thrs: Sequence[float] = (0.5, 0.7), **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not iou_thrs or not all(0 < thr <= 1 for thr in iou_thrs):
            raise ValueError(
                f'RegionAPMetric: iou_thrs={iou_thrs}, expected IoUs above 0 '
                'and at most 1'
            )
        self.iou_thrs = tuple(iou_thrs)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Match the regions of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples with predictions.

        Raises:
            KeyError: If a sample has no masks.
            ValueError: If masks differ in size.
        """
        for sample in data_samples:
            found, truth = sample['pred_instances'], sample['gt_instances']
            for name, part in (('predictions', found), ('truth', truth)):
                if 'masks' not in part:
                    raise KeyError(
                        f"the {name} of '{sample.get('img_path')}' have no "
                        "'masks': RegionAPMetric needs a model with a mask "
                        'head and LoadAnnotations(with_mask=True)'
                    )
            scores, labels = _array(found['scores']), _array(found['labels'])
            gt_labels = _array(truth['labels'])
            overlaps = region_overlaps(found['masks'], truth['masks'])
            correct = np.zeros((len(self.iou_thrs), len(scores)), bool)
            for label in np.unique(labels):
                mine = np.flatnonzero(labels == label)
                for i, thr in enumerate(self.iou_thrs):
                    correct[i, mine] = match_first_free(
                        overlaps[mine][:, gt_labels == label],
                        scores[mine],
                        thr,
                    )
            self.results.append((scores, labels, correct, gt_labels))

    def compute_metrics(self, results: list) -> OrderedDict[str, float]:
        """Compute AP^r per class and its mean.

        Args:
            results (list): Matched regions per image.

        Returns:
            OrderedDict[str, float]: The metrics.
        """
        scores, labels, correct, gt_labels = (
            np.concatenate(parts, axis=-1)
            for parts in zip(*results, strict=True)
        )
        metrics: OrderedDict[str, float] = OrderedDict()
        for i, thr in enumerate(self.iou_thrs):
            key = f'APr_{round(100 * thr)}'
            per_class = {}
            for label, name in enumerate(self.dataset_meta['classes']):
                mine = labels == label
                count = int((gt_labels == label).sum())
                curve = precision_recall(scores[mine], correct[i, mine], count)
                per_class[f'{key}_{name}'] = (
                    average_precision(*curve) if count else np.nan
                )
            known = [ap for ap in per_class.values() if not np.isnan(ap)]
            metrics[f'm{key}'] = float(np.mean(known)) if known else np.nan
            metrics.update(per_class)
        return metrics


def region_overlaps(regions: Any, truth: Any) -> np.ndarray:
    """Intersection over union of regions.

    Args:
        regions (Tensor | np.ndarray | BitmapMasks | PolygonMasks): (R, H, W).
        truth (Tensor | np.ndarray | BitmapMasks | PolygonMasks): (G, H, W).

    Returns:
        np.ndarray: Float64, (R, G); 0 for two empty regions.

    Raises:
        ValueError: If the regions differ in size.
    """
    regions, truth = _array(regions), _array(truth)
    if regions.shape[1:] != truth.shape[1:]:
        raise ValueError(
            f'the predicted masks are {regions.shape[1:]}, but those of the '
            f'ground truth {truth.shape[1:]}: predict at the size of the '
            'original image (rescale=True) and load annotations after Resize'
        )
    if not len(regions) or not len(truth):
        return np.zeros((len(regions), len(truth)))
    return coco_mask.iou(
        encode_mask_results(regions),
        encode_mask_results(truth),
        [0] * len(truth),
    )


def _array(values: Any) -> np.ndarray:
    if isinstance(values, BitmapMasks | PolygonMasks):
        return values.to_ndarray()
    return values.cpu().numpy() if isinstance(values, Tensor) else values
