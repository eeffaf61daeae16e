"""VOC average precision, per class."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from mmdet.evaluation import eval_map
from mmdet.evaluation.metrics import VOCMetric
from mmengine.logging import MMLogger

from mmxdistill.registry import METRICS

__all__ = ['ClasswiseVOCMetric']


@METRICS.register_module()
class ClasswiseVOCMetric(VOCMetric):
    """Average precision at one IoU: the area under the precision envelope.

    The numbers of :class:`mmdet.evaluation.VOCMetric` with
    ``eval_mode='area'`` (IoU with +1, as the authors'), together with the AP
    of every class.

    Metrics: ``voc/mAP``, ``voc/AP_<class>``.

    Args:
        iou_thr (float): IoU at which a detection is correct. Defaults to 0.5.
        **kwargs: Of :class:`mmdet.evaluation.VOCMetric`.
    """

    default_prefix = 'voc'

    def __init__(self, iou_thr: float = 0.5, **kwargs: Any) -> None:
        super().__init__(
            iou_thrs=iou_thr, metric='mAP', eval_mode='area', **kwargs
        )

    def compute_metrics(self, results: list) -> OrderedDict[str, float]:
        """Compute AP per class and its mean.

        Args:
            results (list): Ground truth and detections per image.

        Returns:
            OrderedDict[str, float]: The metrics.
        """
        annotations, detections = zip(*results, strict=True)
        classes = self.dataset_meta['classes']
        mean_ap, per_class = eval_map(
            list(detections),
            list(annotations),
            iou_thr=self.iou_thrs[0],
            dataset=classes,
            logger=MMLogger.get_current_instance(),
            eval_mode=self.eval_mode,
            use_legacy_coordinate=True,
        )
        metrics = OrderedDict(mAP=float(mean_ap))
        for name, found in zip(classes, per_class, strict=True):
            metrics[f'AP_{name}'] = float(found['ap'])
        return metrics
