"""VOC average precision, per class."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.evaluation import eval_map
from mmdet.evaluation.metrics import VOCMetric
from mmdet.structures.bbox import get_box_tensor
from mmengine.logging import MMLogger
from pycocotools.mask import iou

from mmxdistill.evaluation.average_precision import (
    belong_to_ignored,
    match_first_free,
)
from mmxdistill.evaluation.metrics.instances import as_array, class_indices
from mmxdistill.registry import METRICS

__all__ = ['ClasswiseVOCMetric']


@METRICS.register_module()
class ClasswiseVOCMetric(VOCMetric):
    """Average precision at one IoU: the area under the precision envelope.

    As the released evaluation: a detection belongs to the ground truth with
    the largest IoU (with +1, in double precision) and is a false positive if
    that one is taken. Ignored ground truth is mmdet's: a detection that
    belongs to it does not count. Classes without ground truth are left out of
    the mean, and their AP is NaN.

    With ``max_per_image``, detections are cut at one score per class first,
    as in *Fast R-CNN*, ``fast_rcnn/test.py``: Caffe keeps, in a heap per
    class, the ``max_per_image * images`` best of all scores that entered NMS,
    and finally only detections *above* the smallest of them. (With fewer
    scores than that, all remain.) The smallest of the n best depends on the
    set of scores alone, not on their order, and Caffe's early rejection only
    drops scores that are not among them: so it is computed here at the end,
    from the images of all processes.

    Metrics: ``voc/mAP``, ``voc/AP_<class>``.

    Args:
        iou_thr (float): IoU at which a detection is correct. Defaults to 0.5.
        max_per_image (int, optional): Average number of scores per image and
            class that pass the adaptive threshold; 40 in the released code.
            Needs the ``candidate_scores`` of :func:`select_detections`.
            Defaults to None: all detections count.
        **kwargs: Of :class:`mmdet.evaluation.VOCMetric`.

    Raises:
        ValueError: ``max_per_image`` is not positive.
    """

    default_prefix = 'voc'

    def __init__(
        self,
        iou_thr: float = 0.5,
        max_per_image: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            iou_thrs=iou_thr, metric='mAP', eval_mode='area', **kwargs
        )
        if max_per_image is not None and max_per_image < 1:
            raise ValueError(
                f'ClasswiseVOCMetric: max_per_image is {max_per_image}; give '
                'a positive number (40 in Fast R-CNN), or None to evaluate '
                'all detections'
            )
        self.max_per_image = max_per_image

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep ground truth and detections of a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Samples with ``gt_instances``,
                ``ignored_instances`` (optional) and ``pred_instances``.

        Raises:
            KeyError: The detections do not tell the scores before NMS.
            ValueError: A label is no whole number.
        """
        data_samples = [self._with_boxes(sample) for sample in data_samples]
        super().process(data_batch, data_samples)
        if self.max_per_image is None:
            return
        results = self.results[-len(data_samples) :]
        for sample, (annotation, _) in zip(data_samples, results, strict=True):
            found = sample['pred_instances']
            if 'candidate_scores' in found:
                scores = as_array(found['candidate_scores'])
            elif not len(found['scores']):  # an image without proposals
                scores = np.zeros((0, len(self.dataset_meta['classes'])))
            else:
                raise KeyError(
                    'ClasswiseVOCMetric(max_per_image='
                    f"{self.max_per_image}) needs 'candidate_scores' of the "
                    'detections, which mmxdistill.FastRCNNBBoxHead gives with '
                    'test_cfg.rcnn=dict(max_per_class=100, ...); with other '
                    'heads or settings, write max_per_image=None'
                )
            annotation['candidate_scores'] = scores

    def _with_boxes(self, sample: dict) -> dict:
        """The sample with whole labels, and boxes (n, 4) even without any."""
        sample = dict(sample)
        none = dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0))
        for name in ('gt_instances', 'ignored_instances', 'pred_instances'):
            part = sample.get(name, {})
            if name == 'ignored_instances' and 'bboxes' not in part:
                part = none
            labels = class_indices(part['labels'], sample, name)
            boxes = torch.as_tensor(get_box_tensor(part['bboxes']))
            sample[name] = {
                **part,
                'bboxes': boxes.reshape(-1, 4),
                'labels': torch.from_numpy(labels),
            }
        return sample

    def compute_metrics(self, results: list) -> OrderedDict[str, float]:
        """Compute AP per class and its mean.

        Args:
            results (list): Ground truth and detections per image.

        Returns:
            OrderedDict[str, float]: The metrics.
        """
        annotations, detections = zip(*results, strict=True)
        classes = self.dataset_meta['classes']
        if self.max_per_image is not None:
            thresholds = self._thresholds(annotations)
            detections = tuple(
                [
                    boxes[boxes[:, -1] > threshold]
                    for boxes, threshold in zip(found, thresholds, strict=True)
                ]
                for found in detections
            )
        mean_ap, per_class = eval_map(
            list(detections),
            list(annotations),
            iou_thr=self.iou_thrs[0],
            dataset=classes,
            logger=MMLogger.get_current_instance(),
            tpfp_fn=_match,
            eval_mode=self.eval_mode,
        )
        metrics = OrderedDict(mAP=float(mean_ap))
        for name, found in zip(classes, per_class, strict=True):
            known = found['num_gts'] > 0
            metrics[f'AP_{name}'] = float(found['ap']) if known else np.nan
        return metrics

    def _thresholds(self, annotations: Sequence[dict]) -> np.ndarray:
        """Score per class (classes,) that a detection has to exceed."""
        scores = np.concatenate([a['candidate_scores'] for a in annotations])
        kept = (self.max_per_image or 0) * len(annotations)
        if len(scores) <= kept:
            return np.full(scores.shape[1], -np.inf)
        return np.partition(scores, -kept, axis=0)[-kept]


def _match(
    detections: np.ndarray,
    boxes: np.ndarray,
    ignored: np.ndarray,
    iou_thr: float,
    *args: Any,
    **kwargs: Any,
) -> tuple[np.ndarray, ...]:
    """Find the true positives of one class in an image.

    The ``tpfp_fn`` of ``eval_map``: ``mmdet.evaluation.tpfp_default``, but
    with IoU in double precision, for which an IoU of exactly the threshold is
    the threshold.

    Args:
        detections (np.ndarray): Boxes and score (D, 5).
        boxes (np.ndarray): Ground truth (G, 4).
        ignored (np.ndarray): Ignored ground truth (K, 4).
        iou_thr (float): IoU of a true positive.
        *args: Area ranges and coordinate system; not used.
        **kwargs: Groups of boxes; not used.

    Returns:
        tuple[np.ndarray, np.ndarray]: Whether each is a true positive, and
        whether it is a false positive, float32 (1, D).
    """
    truth = np.concatenate([boxes, ignored])
    overlaps = np.zeros((len(detections), len(truth)))
    if overlaps.size:
        overlaps = iou(
            _with_sizes(detections), _with_sizes(truth), [0] * len(truth)
        )
    correct = match_first_free(overlaps, detections[:, -1], iou_thr)
    counted = ~belong_to_ignored(overlaps, len(boxes), iou_thr)
    return tuple(
        (which & counted)[None].astype(np.float32)
        for which in (correct, ~correct)
    )


def _with_sizes(boxes: np.ndarray) -> np.ndarray:
    """Corners (n, 4), inclusive, as x, y, width, height in double."""
    boxes = boxes[:, :4].astype(np.float64)
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2] + 1])
