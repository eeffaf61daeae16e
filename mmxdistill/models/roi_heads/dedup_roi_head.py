"""Fast R-CNN's RoI head."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads import StandardRoIHead
from mmdet.structures.bbox import bbox2roi
from mmdet.utils import InstanceList
from torch import Tensor

from mmxdistill.models.roi_heads.detections import check_test_cfg
from mmxdistill.models.roi_heads.duplicates import score_unique_rois
from mmxdistill.registry import MODELS

__all__ = ['DedupRoIHead']


@MODELS.register_module()
class DedupRoIHead(StandardRoIHead):
    """``mmdet.StandardRoIHead`` that scores no RoI twice at test time.

    Proposals that round to the same cells of the feature map are scored once;
    all of them get the scores *and the box* of the first
    (:func:`score_unique_rois`). Training is mmdet's.

    Args:
        deduplicate (bool): Whether duplicates are scored once. Needs a RoI
            extractor of one feature level. Defaults to True.
        **kwargs: Of ``mmdet.StandardRoIHead``.

    Attributes:
        dedup_stride (float | None): Input pixels per cell of the feature map;
            None if every RoI is scored.

    Raises:
        ValueError: The extractor has several levels, or ``test_cfg`` mixes
            Caffe's and mmdet's detections (:func:`check_test_cfg`).
    """

    def __init__(self, deduplicate: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_test_cfg(self.test_cfg)
        self.dedup_stride: float | None = None
        if deduplicate:
            strides = self.bbox_roi_extractor.featmap_strides
            if len(strides) != 1:
                raise ValueError(
                    'DedupRoIHead: bbox_roi_extractor has the strides '
                    f'{list(strides)}, but RoIs are duplicates on one feature '
                    'map only: set deduplicate=False'
                )
            self.dedup_stride = strides[0]

    def predict_bbox(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict],
        rpn_results_list: InstanceList,
        rcnn_test_cfg: Any,
        rescale: bool = False,
    ) -> InstanceList:
        """Detect objects among the proposals.

        Args:
            x (tuple[Tensor]): Feature maps.
            batch_img_metas (list[dict]): Meta information of the images.
            rpn_results_list (list[InstanceData]): Proposals ``bboxes``, in
                pixels of the network's input.
            rcnn_test_cfg (ConfigDict): ``test_cfg.rcnn``.
            rescale (bool): Whether boxes are returned in pixels of the
                original images. Defaults to False.

        Returns:
            list[InstanceData]: ``bboxes``, ``scores``, ``labels`` per image.
        """
        boxes = [proposals.bboxes for proposals in rpn_results_list]
        counts = [len(b) for b in boxes]
        if self.dedup_stride is None or not sum(counts):
            return super().predict_bbox(
                x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale
            )

        def score(rois: Tensor) -> tuple[Tensor, Tensor]:
            output = self._bbox_forward(x, rois)
            return output['cls_score'], output['bbox_pred']

        rois, scores, deltas = score_unique_rois(
            score, bbox2roi(boxes), self.dedup_stride
        )
        return self.bbox_head.predict_by_feat(
            rois=rois.split(counts),
            cls_scores=scores.split(counts),
            bbox_preds=deltas.split(counts),
            batch_img_metas=batch_img_metas,
            rcnn_test_cfg=rcnn_test_cfg,
            rescale=rescale,
        )
