"""Fast R-CNN's head with Caffe's layer names.

Shapes: R RoIs.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F

from mmxdistill.models.roi_heads.detections import (
    is_caffe_style,
    select_detections,
)
from mmxdistill.registry import MODELS

__all__ = ['FastRCNNBBoxHead']


@MODELS.register_module()
class FastRCNNBBoxHead(BBoxHead):
    """fc6, fc7 (each ReLU + dropout), then class scores and box regression.

    The head of CaffeNet and VGG16 detectors (`Fast R-CNN`, and the authors'
    prototxts): layers ``fc6, relu6, drop6, fc7, relu7, drop7, cls_score,
    bbox_pred``. mmdet's names ``fc_cls`` and ``fc_reg`` are kept for the last
    two.

    In training, regression targets may be normalised per class *and*
    coordinate (:meth:`set_box_statistics`); the weights that are saved do
    without (:meth:`unnormalized_regression`).

    Detections are those of Caffe if ``test_cfg.rcnn`` has ``max_per_class``
    (:func:`select_detections`), as ``dict(max_per_class=100,
    nms=dict(type='nms', iou_threshold=0.3))``, and else those of mmdet.

    Args:
        in_channels (int): Channels of the RoI feature.
        roi_feat_size (int): Side of the RoI feature. Defaults to 6.
        fc_channels (int): Width of fc6 and fc7. Defaults to 4096.
        dropout (float): Dropout ratio. Defaults to 0.5.
        init_cfg (dict | list[dict], optional): Defaults to the released
            fillers: gaussian, std 0.005 and bias 1 for fc6 and fc7, 0.01 for
            the class scores, 0.001 for the box regression.
        **kwargs: Of :class:`mmdet.models.BBoxHead`.

    Attributes:
        feature_modules (dict[str, str]): Named RoI feature -> sub-module whose
            output it is.
        bbox_means (Tensor): Mean of the targets, float64 (classes, 4); 0
            unless set. Not in checkpoints.
        bbox_stds (Tensor): Their standard deviation, float64 (classes, 4); 1
            unless set. Not in checkpoints.
    """

    feature_modules = {'fc6': 'relu6', 'fc7': 'relu7'}  # noqa: RUF012
    bbox_means: Tensor
    bbox_stds: Tensor

    def __init__(
        self,
        in_channels: int,
        roi_feat_size: int = 6,
        fc_channels: int = 4096,
        dropout: float = 0.5,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        if init_cfg is None:
            filler = dict(type='Normal', std=0.005, bias=1)
            init_cfg = [
                dict(**filler, override=dict(name='fc6')),
                dict(**filler, override=dict(name='fc7')),
                dict(type='Normal', std=0.01, override=dict(name='fc_cls')),
                dict(type='Normal', std=0.001, override=dict(name='fc_reg')),
            ]
        # The predictors read fc7: a 1x1 "RoI" for the base class.
        super().__init__(
            in_channels=fc_channels,
            roi_feat_size=1,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.fc6 = nn.Linear(in_channels * roi_feat_size**2, fc_channels)
        self.relu6 = nn.ReLU(inplace=True)
        self.drop6 = nn.Dropout(dropout)
        self.fc7 = nn.Linear(fc_channels, fc_channels)
        self.relu7 = nn.ReLU(inplace=True)
        self.drop7 = nn.Dropout(dropout)
        # Double: the saved weights are the product rounded once, as Caffe's.
        means = torch.zeros(self.num_classes, 4, dtype=torch.float64)
        self.register_buffer('bbox_means', means, persistent=False)
        stds = torch.ones_like(means)
        self.register_buffer('bbox_stds', stds, persistent=False)
        self._normalized = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score RoIs.

        Args:
            x (Tensor): RoI features (R, in_channels, roi_feat_size,
                roi_feat_size), flattened in Caffe's order (C, H, W).

        Returns:
            tuple[Tensor, Tensor]: Class scores before softmax (R, classes +
            1), background last, and box regression (R, 4 * classes).
        """
        return super().forward(self.embed(x))

    def embed(self, x: Tensor) -> Tensor:
        """Feature of RoIs that the predictors read.

        Args:
            x (Tensor): See :meth:`forward`.

        Returns:
            Tensor: fc7 after its ReLU and dropout, (R, fc_channels).
        """
        x = self.drop6(self.relu6(self.fc6(x.flatten(1))))
        return self.drop7(self.relu7(self.fc7(x)))

    def set_box_statistics(self, means: Any, stds: Any) -> None:
        """Train on regression targets ``(target - mean) / std``.

        From now on ``fc_reg`` predicts normalised deltas. Statistics are
        those of all targets of the training set (*Fast R-CNN*,
        ``roi_data_layer/roidb.py``).

        Args:
            means (array-like): (classes, 4): dx, dy, dw, dh.
            stds (array-like): (classes, 4). 0 where all targets of a class
                are equal (Caffe: NaN); the normalised targets are 0 then.

        Raises:
            ValueError: Other shapes, not finite, or negative deviations; or
                the head is not one linear layer with 4 outputs per class.
        """
        shape = tuple(self.bbox_means.shape)
        weight = getattr(getattr(self, 'fc_reg', None), 'weight', None)
        if weight is None or len(weight) != shape[0] * 4:
            raise ValueError(
                'box statistics are per class and coordinate: set '
                'with_reg=True, reg_class_agnostic=False and a bbox_coder of '
                '4 values'
            )
        if self.reg_decoded_bbox:
            raise ValueError(
                'box statistics normalise deltas, but reg_decoded_bbox=True '
                'compares boxes'
            )
        given = {
            name: torch.as_tensor(values, dtype=torch.float64)
            for name, values in (('means', means), ('stds', stds))
        }
        for name, values in given.items():
            if tuple(values.shape) != shape:
                raise ValueError(
                    f'box statistics: {name} are {tuple(values.shape)}, but '
                    f'the head has {shape[0]} classes: give {shape}'
                )
            if not values.isfinite().all() or (
                name == 'stds' and (values < 0).any()
            ):
                raise ValueError(
                    f'box statistics: {name} {values.tolist()} must be finite'
                    ', and standard deviations not negative'
                )
        self.bbox_means.copy_(given['means'])
        self.bbox_stds.copy_(given['stds'])
        self._normalized = True

    def unnormalized_regression(self) -> tuple[Tensor, Tensor]:
        """Weights of ``fc_reg`` that predict deltas without normalisation.

        The snapshot of the released training code (*Fast R-CNN*,
        ``fast_rcnn/train.py``): ``W * std`` by rows and ``b * std + mean``.

        Returns:
            tuple[Tensor, Tensor]: Weight (4 * classes, D) and bias
            (4 * classes,), new tensors of the type of the layer.
        """
        weight, bias = (
            parameter.detach()
            for parameter in (self.fc_reg.weight, self.fc_reg.bias)
        )
        if not self._normalized:
            return weight.clone(), bias.clone()
        return (
            (weight * self.bbox_stds.flatten()[:, None]).to(weight),
            self._unnormalized(bias).to(bias),
        )

    def true_deltas(self, deltas: Tensor) -> Tensor:
        """Undo the normalisation of what the head predicts.

        Args:
            deltas (Tensor): Box regression (R, 4 * classes).

        Returns:
            Tensor: The same without box statistics, at least float32 if
            there are any.
        """
        return self._unnormalized(deltas) if self._normalized else deltas

    def without_statistics(self) -> FastRCNNBBoxHead:
        """Return a view of this head that decodes :meth:`true_deltas`.

        Returns:
            FastRCNNBBoxHead: A shallow copy, with the same parameters.
        """
        view = copy.copy(self)
        view._normalized = False
        return view

    def _unnormalized(self, deltas: Tensor) -> Tensor:
        """Deltas (..., 4 * classes), at least float32, of normalised ones."""
        kind = torch.promote_types(deltas.dtype, torch.float32)
        means, stds = self.bbox_means.flatten(), self.bbox_stds.flatten()
        return (deltas * stds + means).to(kind)

    def _get_targets_single(
        self, pos_priors: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, ...]:
        """Normalise the targets of the positives, which come first."""
        labels, label_weights, targets, weights = super()._get_targets_single(
            pos_priors, *args, **kwargs
        )
        if self._normalized:
            positive = slice(len(pos_priors))
            means = self.bbox_means[labels[positive]]
            stds = self.bbox_stds[labels[positive]]
            normalized = (targets[positive] - means) / stds
            normalized = normalized.where(stds > 0, 0.0)
            targets[positive] = normalized.to(targets)
        return labels, label_weights, targets, weights

    def _predict_by_feat_single(
        self,
        roi: Tensor,
        cls_score: Tensor,
        bbox_pred: Tensor,
        img_meta: dict,
        rescale: bool = False,
        rcnn_test_cfg: Any = None,
    ) -> InstanceData:
        """Detections of an image; see :meth:`BBoxHead.predict_by_feat`."""
        bbox_pred = self.true_deltas(bbox_pred)
        if not is_caffe_style(rcnn_test_cfg):
            return super()._predict_by_feat_single(
                roi, cls_score, bbox_pred, img_meta, rescale, rcnn_test_cfg
            )
        for key in ('ori_shape', 'scale_factor'):
            if img_meta.get(key) is None:
                raise KeyError(
                    f"'{img_meta.get('img_path')}' has no {key}: Caffe's "
                    'detections (test_cfg.rcnn.max_per_class) are made in '
                    'pixels of the original image. Use a resizing transform, '
                    f"and '{key}' among the meta_keys of PackDetInputs"
                )
        if self.custom_cls_channels:
            scores = self.loss_cls.get_activation(cls_score)
        else:
            scores = F.softmax(cls_score.float(), dim=-1)
        roi = roi[:, 1:].double()
        scale = roi.new_tensor(img_meta['scale_factor']).repeat(2)
        boxes = self._decode(roi / scale, bbox_pred, img_meta)
        results = select_detections(
            boxes, scores[:, : self.num_classes], rcnn_test_cfg
        )
        if not rescale:
            results.bboxes = (results.bboxes * scale).float()
        return results

    def _decode(self, boxes: Tensor, deltas: Tensor, img_meta: dict) -> Tensor:
        """Boxes of every class (R, classes, 4) of RoIs (R, 4)."""
        count = 1 if self.reg_class_agnostic else self.num_classes
        decoded = self.bbox_coder.decode(
            boxes.repeat_interleave(count, dim=0),
            deltas.reshape(-1, self.bbox_coder.encode_size),
            max_shape=img_meta['ori_shape'][:2],
        )
        decoded = get_box_tensor(decoded).view(len(boxes), count, 4)
        return decoded.expand(-1, self.num_classes, -1)
