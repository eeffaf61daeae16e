"""Average precision of regions (AP^r)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from pycocotools import mask as coco_mask

from mmxdistill.evaluation.average_precision import (
    average_precision,
    belong_to_ignored,
    match_first_free,
    precision_recall,
)
from mmxdistill.evaluation.metrics.instances import (
    RunLengths,
    as_array,
    class_indices,
    encode_regions,
)
from mmxdistill.registry import METRICS

__all__ = ['RegionAPMetric', 'region_overlaps']


@METRICS.register_module()
class RegionAPMetric(BaseMetric):
    """AP^r: average precision by the IoU of regions (the paper, sec. 4.3).

    Detections are matched as in the authors' benchmark
    (:func:`match_first_free`); AP is the area under the precision envelope. A
    detection that belongs to an ignored region of its class
    (:func:`belong_to_ignored`) does not count.

    The model must predict ``pred_instances`` with ``masks``, ``scores`` and
    ``labels``; the samples need ``gt_instances``, and may have
    ``ignored_instances``, with ``labels`` and ``masks`` of the same size
    (``LoadAnnotations(with_mask=True)`` after ``Resize``, so that they stay as
    annotated). Masks are of any kind (:func:`encode_regions`).

    Metrics, for each threshold, such as 0.5: ``region/mAPr_50``, the mean of
    the classes with ground truth, and ``region/APr_50_<class>``, NaN for a
    class without.

    Args:
        iou_thrs (Sequence[float]): IoUs at which a region is correct.
            Defaults to (0.5, 0.7).
        mask_thr (float): Lowest probability in a region, for masks that are
            floating-point probabilities. Defaults to 0.5.
        **kwargs: Of :class:`mmengine.evaluator.BaseMetric`.

    Raises:
        ValueError: An IoU or ``mask_thr`` is not above 0 and at most 1.
    """

    default_prefix = 'region'

    def __init__(
        self,
        iou_thrs: Sequence[float] = (0.5, 0.7),
        mask_thr: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 < mask_thr <= 1:
            raise ValueError(
                f'RegionAPMetric: mask_thr={mask_thr}, expected a probability '
                'above 0'
            )
        if not iou_thrs or not all(0 < thr <= 1 for thr in iou_thrs):
            raise ValueError(
                f'RegionAPMetric: iou_thrs={iou_thrs}, expected IoUs above 0 '
                'and at most 1'
            )
        if len({_key(thr) for thr in iou_thrs}) < len(iou_thrs):
            raise ValueError(
                f'RegionAPMetric: iou_thrs={iou_thrs} has IoUs that are '
                'equal in per cent, by which the metrics are named'
            )
        self.iou_thrs = tuple(iou_thrs)
        self.mask_thr = mask_thr

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Match the regions of a batch.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): Samples with predictions.

        Raises:
            KeyError: A sample has no masks.
            ValueError: Masks differ in size, are no probabilities, or are
                not as many as the labels; or a label is no whole number.
        """
        for sample in data_samples:
            scores = as_array(sample['pred_instances']['scores'])
            labels, regions = self._regions(sample, 'pred_instances')
            gt_labels, truth = self._regions(sample, 'gt_instances')
            ignored_labels, ignored = self._regions(
                sample, 'ignored_instances'
            )
            try:
                overlaps = _overlaps(regions, truth + ignored)
            except ValueError as error:
                raise ValueError(
                    f"'{sample.get('img_path')}': {error}"
                ) from error
            # 1: correct; 0: wrong; -1: of an ignored region.
            correct = np.zeros((len(self.iou_thrs), len(scores)), np.int8)
            for label in np.unique(labels):
                mine = np.flatnonzero(labels == label)
                theirs = np.flatnonzero(gt_labels == label)
                others = np.flatnonzero(ignored_labels == label) + len(truth)
                both = overlaps[mine][:, np.concatenate([theirs, others])]
                for i, thr in enumerate(self.iou_thrs):
                    correct[i, mine] = match_first_free(
                        both, scores[mine], thr
                    )
                    skipped = belong_to_ignored(both, len(theirs), thr)
                    correct[i, mine[skipped]] = -1
            self.results.append((scores, labels, correct, gt_labels))

    def _regions(
        self, sample: dict, name: str
    ) -> tuple[np.ndarray, list[RunLengths]]:
        """Labels and regions of a part of a sample."""
        part = sample.get(name, {})
        where = f"the {name} of '{sample.get('img_path')}'"
        if name == 'ignored_instances' and not len(part.get('labels', ())):
            return np.zeros(0, np.int64), []
        if 'masks' not in part:
            raise KeyError(
                f"{where} have no 'masks': RegionAPMetric needs a model with "
                'a mask head and LoadAnnotations(with_mask=True)'
            )
        labels = class_indices(part['labels'], sample, name)
        try:
            regions = encode_regions(part['masks'], self.mask_thr)
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from error
        if len(regions) != len(labels):
            raise ValueError(
                f'{where} have {len(labels)} labels but {len(regions)} masks'
            )
        return labels, regions

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
            key = _key(thr)
            per_class = {}
            for label, name in enumerate(self.dataset_meta['classes']):
                mine = (labels == label) & (correct[i] >= 0)
                count = int((gt_labels == label).sum())
                curve = precision_recall(scores[mine], correct[i, mine], count)
                per_class[f'{key}_{name}'] = (
                    average_precision(*curve) if count else np.nan
                )
            known = [ap for ap in per_class.values() if not np.isnan(ap)]
            metrics[f'm{key}'] = float(np.mean(known)) if known else np.nan
            metrics.update(per_class)
        return metrics


def region_overlaps(
    regions: Any, truth: Any, threshold: float = 0.5
) -> np.ndarray:
    """Intersection over union of regions.

    Args:
        regions (Any): R regions; see :func:`encode_regions`.
        truth (Any): G regions.
        threshold (float): Lowest probability in a region, for floating-point
            masks. Defaults to 0.5.

    Returns:
        np.ndarray: Float64, (R, G); 0 for two empty regions.

    Raises:
        ValueError: The regions differ in size; see :func:`encode_regions`.
    """
    return _overlaps(
        encode_regions(regions, threshold), encode_regions(truth, threshold)
    )


def _overlaps(
    regions: list[RunLengths], truth: list[RunLengths]
) -> np.ndarray:
    """Overlaps (R, G) of run lengths."""
    if not regions or not truth:
        return np.zeros((len(regions), len(truth)))
    sizes = {tuple(region['size']) for region in regions}
    gt_sizes = {tuple(region['size']) for region in truth}
    if sizes != gt_sizes:
        raise ValueError(
            f'the predicted masks are {_listed(sizes)}, but those of the '
            f'ground truth {_listed(gt_sizes)}: predict at the size of the '
            'original image (rescale=True) and load annotations after Resize'
        )
    return coco_mask.iou(regions, truth, [0] * len(truth))


def _listed(sizes: set[tuple[int, ...]]) -> str:
    return ' and '.join(map(str, sorted(sizes)))


def _key(iou_thr: float) -> str:
    return f'APr_{round(100 * iou_thr)}'
