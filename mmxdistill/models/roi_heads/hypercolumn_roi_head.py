"""Region detection: a mask head of hyper-columns on a frozen detector.

Shapes: N images, D detections or drawn boxes, m x m pixels of a mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.structures import DetDataSample, SampleList
from mmdet.utils import InstanceList
from torch import Tensor

from mmxdistill.models.roi_heads.dedup_roi_head import DedupRoIHead
from mmxdistill.models.roi_heads.mask_pasting import (
    paste_masks,
    superpixel_means,
    superpixel_regions,
)
from mmxdistill.models.roi_heads.region_boxes import (
    crop_masks,
    instance_weights,
    normalize_boxes,
    released_test_boxes,
    snap_boxes,
)
from mmxdistill.models.task_modules import CaffeBboxOverlaps2D
from mmxdistill.registry import MODELS

__all__ = ['HypercolumnRoIHead']

# Boxes whose maps are sampled at a time: 60 MB at 688 pixels.
_CHUNK = 32
_RELEASED_THRESHOLD = 0.4


@MODELS.register_module()
class HypercolumnRoIHead(DedupRoIHead):
    """Boxes by Fast R-CNN, and their regions (the paper, sec. 4.3; SDS).

    The detector is a trained one: only the mask head learns, from fc7 of the
    boxes and from feature maps of the backbone. The backbone returns
    ``out_features=('conv5', *maps)``: what the boxes are pooled from, then the
    maps of the mask head in its order; freeze it by ``frozen_stages``. If it
    returns one more before them (``box_geometry`` of :class:`CaffeNet`), that
    is what detection pools from, and regions alone take the others.

    Training draws ``num`` boxes of one class per image, with replacement,
    among the ground truth and the proposals that overlap an object of the
    class by ``pos_iou_thr`` (IoU with +1). The class is the sample's
    ``region_class`` (:class:`ClassUniformDataset`), or else drawn among those
    in the image. Annotations are loaded after the image was resized, so that
    boxes and masks stay as annotated.

    At test time every detection gets a region of the original image:
    the pixels, or with ``superpixels`` among the meta information
    (:class:`LoadSuperpixels`) the superpixels, whose probability reaches
    ``mask_thr_binary``.

    ::

        train_cfg=dict(rcnn=dict(num=5, pos_iou_thr=0.7))
        test_cfg=dict(rcnn=dict(..., mask_thr_binary=0.4,
                                released_boxes=False))

    ``released_boxes`` predicts masks for boxes moved by a pixel, as the
    released test code does (:func:`released_test_boxes`).

    Args:
        mask_head (dict): A :class:`HypercolumnMaskHead`.
        **kwargs: Of :class:`DedupRoIHead`.

    Raises:
        ValueError: ``train_cfg`` is not as above, or, when it runs, the
            backbone does not return what it needs.
    """

    def __init__(self, mask_head: dict, **kwargs: Any) -> None:
        super().__init__(mask_head=mask_head, **kwargs)
        self.bbox_head.requires_grad_(False)
        self._overlaps = CaffeBboxOverlaps2D()

    def init_assigner_sampler(self) -> None:
        """Check the settings of the drawing, in place of mmdet's parts."""
        if self.train_cfg and set(self.train_cfg) != {'num', 'pos_iou_thr'}:
            raise ValueError(
                'HypercolumnRoIHead: train_cfg.rcnn must be dict(num=5, '
                f'pos_iou_thr=0.7), found the keys {sorted(self.train_cfg)}; '
                'a config that replaces the inherited one writes '
                'rcnn=dict(_delete_=True, ...)'
            )

    def forward(
        self, x: tuple[Tensor, ...], rpn_results_list: InstanceList, *_: Any
    ) -> tuple[Tensor, Tensor]:
        """Class scores and box regression of the proposals.

        Args:
            x (tuple[Tensor]): Feature maps.
            rpn_results_list (list[InstanceData]): Proposals.

        Returns:
            tuple[Tensor, Tensor]: See :meth:`FastRCNNBBoxHead.forward`.
        """
        rois = _as_rois([found.bboxes for found in rpn_results_list])
        output = self._bbox_forward(x, rois)
        return output['cls_score'], output['bbox_pred']

    def loss(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
    ) -> dict[str, Tensor]:
        """Loss of the mask head on drawn boxes.

        Args:
            x (tuple[Tensor]): Feature maps.
            rpn_results_list (list[InstanceData]): Proposals ``bboxes``, in
                pixels of the network's input.
            batch_data_samples (list[DetDataSample]): Samples with
                ``gt_instances``: ``bboxes``, ``labels`` and ``masks`` of the
                original image.

        Returns:
            dict[str, Tensor]: ``loss_mask``.

        Raises:
            ValueError: Masks are not of the size of the original image.
        """
        size = self.mask_head.upsample.size[0]
        boxes, labels, targets = [], [], []
        for proposals, sample in zip(
            rpn_results_list, batch_data_samples, strict=True
        ):
            drawn, label, masks = self._draw(proposals.bboxes, sample)
            boxes.append(drawn)
            labels.append(label)
            targets.append(crop_masks(masks, drawn, size))
        metas = [sample.metainfo for sample in batch_data_samples]
        features, places = self._mask_inputs(x, boxes, metas)
        return self.mask_head.loss(
            features,
            places,
            torch.cat(labels),
            torch.cat(targets),
            instance_weights(torch.cat(boxes)),
        )

    def _draw(
        self, proposals: Tensor, sample: DetDataSample
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (D, 4) in the original image, classes (D,), masks (D, ...)."""
        truth = sample.gt_instances
        size = tuple(sample.ori_shape[:2])
        masks = truth.masks
        if (masks.height, masks.width) != size or sample.get('flip'):
            raise ValueError(
                f"the masks of '{sample.get('img_path')}' are "
                f'{(masks.height, masks.width)}, the original image is {size}'
                ': put LoadAnnotations(with_bbox=True, with_mask=True) behind '
                'the transform that resizes, and do not flip'
            )
        scale = proposals.new_tensor(sample.scale_factor).repeat(2)
        candidates = torch.cat([truth.bboxes, proposals / scale])
        bitmaps = masks.to_tensor(torch.int8, proposals.device)
        if not len(truth):
            return truth.bboxes, truth.labels, bitmaps
        label = sample.get('region_class')
        if label is None:
            label = _pick(truth.labels.unique(), 1)
        # An object belongs to the one that it overlaps most, of any class.
        best, owner = self._overlaps(candidates, truth.bboxes).max(1)
        close = best >= self.train_cfg.pos_iou_thr
        close &= truth.labels[owner] == label
        drawn = _pick(close.nonzero()[:, 0], self.train_cfg.num)
        owner = owner[drawn]
        return candidates[drawn], truth.labels[owner], bitmaps[owner]

    def _mask_inputs(
        self,
        x: tuple[Tensor, ...],
        boxes: Sequence[Tensor],
        metas: Sequence[dict],
    ) -> tuple[dict[str, Tensor], Tensor]:
        """What the mask head reads for boxes of the original images.

        Returns:
            Features by name, and boxes in fractions of the maps, (D, 5).
        """
        names = self.mask_head.map_names
        if len(x) - len(names) not in (1, 2):
            raise ValueError(
                f'HypercolumnRoIHead: the backbone returns {len(x)} features '
                f"for the maps {list(names)}: write out_features=('conv5', "
                '*maps)'
            )
        # Without what detection alone pools from.
        pooled_from, *maps = x[-len(names) - 1 :]
        (stride,) = self.bbox_roi_extractor.featmap_strides
        cells: list[Tensor] = []
        fractions: list[Tensor] = []
        for found, meta in zip(boxes, metas, strict=True):
            size, given = meta['ori_shape'][:2], meta['img_shape'][:2]
            cells.append(snap_boxes(found, size, given, stride) * stride)
            padded = meta.get('batch_input_shape', given)
            share = [n / p for n, p in zip(given, padded, strict=True)]
            factor = found.new_tensor(share[::-1]).repeat(2)
            fractions.append(normalize_boxes(found, size) * factor)
        pooled = self.bbox_roi_extractor((pooled_from,), _as_rois(cells))
        features = dict(
            zip(names, maps, strict=True),
            fc7=self.bbox_head.embed(pooled),
        )
        return features, _as_rois(fractions)

    def predict(
        self,
        x: tuple[Tensor, ...],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool = False,
    ) -> InstanceList:
        """Detect objects and their regions in the original images.

        Args:
            x (tuple[Tensor]): Feature maps.
            rpn_results_list (list[InstanceData]): Proposals ``bboxes``, in
                pixels of the network's input.
            batch_data_samples (list[DetDataSample]): Samples.
            rescale (bool): Must be True.

        Returns:
            list[InstanceData]: ``bboxes``, ``scores``, ``labels`` and
            ``masks`` (bool, (D, H, W)) per image.

        Raises:
            ValueError: ``rescale`` is False.
        """
        if not rescale:
            raise ValueError(
                'HypercolumnRoIHead makes regions of the original image: '
                'call with rescale=True'
            )
        metas = [sample.metainfo for sample in batch_data_samples]
        results = self.predict_bbox(
            x, metas, rpn_results_list, self.test_cfg, rescale=True
        )
        return self.predict_mask(x, metas, results, rescale=True)

    def predict_mask(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: list[dict],
        results_list: InstanceList,
        rescale: bool = True,
    ) -> InstanceList:
        """Add the regions of detections.

        Args:
            x (tuple[Tensor]): Feature maps.
            batch_img_metas (list[dict]): Meta information of the images.
            results_list (list[InstanceData]): Detections in the original
                images.
            rescale (bool): True.

        Returns:
            list[InstanceData]: With ``masks``.
        """
        probabilities = self.mask_probabilities(
            x, batch_img_metas, results_list
        )
        return self.paste(probabilities, batch_img_metas, results_list)

    def mask_probabilities(
        self,
        x: tuple[Tensor, ...],
        batch_img_metas: Sequence[dict],
        results_list: InstanceList,
        test_cfg: Any = None,
    ) -> list[Tensor]:
        """Probability of the object's pixels in each detected box.

        Two streams are fused by averaging these.

        Args:
            x (tuple[Tensor]): Feature maps.
            batch_img_metas (Sequence[dict]): Meta information of the images.
            results_list (list[InstanceData]): Detections in the original
                images.
            test_cfg (dict, optional): Whose ``released_boxes`` counts.
                Defaults to that of the head.

        Returns:
            list[Tensor]: (D, m, m) per image.
        """
        settings = self.test_cfg if test_cfg is None else test_cfg
        masks = []
        for i, (meta, results) in enumerate(
            zip(batch_img_metas, results_list, strict=True)
        ):
            maps = tuple(level[i : i + 1] for level in x)
            boxes = results.bboxes.to(x[0].device)
            if settings.get('released_boxes'):
                boxes = released_test_boxes(boxes, meta['ori_shape'][:2])
            labels = results.labels.to(x[0].device)
            found = [
                self.mask_head(*self._mask_inputs(maps, [part], [meta]), label)
                for part, label in zip(
                    boxes.split(_CHUNK), labels.split(_CHUNK), strict=True
                )
            ]
            masks.append(torch.cat(found))
        return masks

    def paste(
        self,
        probabilities: Sequence[Tensor],
        batch_img_metas: Sequence[dict],
        results_list: InstanceList,
    ) -> InstanceList:
        """Make regions of the probabilities.

        Args:
            probabilities (Sequence[Tensor]): (D, m, m) per image.
            batch_img_metas (Sequence[dict]): Meta information of the images.
            results_list (list[InstanceData]): Detections in the original
                images.

        Returns:
            list[InstanceData]: With ``masks``, bool, (D, H, W).
        """
        threshold = self.test_cfg.get('mask_thr_binary', _RELEASED_THRESHOLD)
        for masks, meta, results in zip(
            probabilities, batch_img_metas, results_list, strict=True
        ):
            size = meta['ori_shape'][:2]
            boxes = results.bboxes.to(masks)
            superpixels = meta.get('superpixels')
            if superpixels is None:
                regions = paste_masks(masks >= threshold, boxes, size)
            else:
                numbers = torch.as_tensor(superpixels, device=masks.device)
                means = superpixel_means(masks, boxes, numbers)
                regions = superpixel_regions(means, numbers, threshold)
            results.masks = regions.to(results.bboxes.device)
        return results_list


def _as_rois(boxes: Sequence[Tensor]) -> Tensor:
    """Boxes of N images (D, 4) as (all D, 5), batch index first."""
    return torch.cat(
        [
            torch.cat([found.new_full((len(found), 1), i), found], 1)
            for i, found in enumerate(boxes)
        ]
    )


def _pick(values: Tensor, count: int) -> Tensor:
    """Values drawn with replacement; none of none."""
    if not len(values):
        return values
    # On the CPU: the same on every device.
    return values[torch.randint(len(values), (count,)).to(values.device)]
