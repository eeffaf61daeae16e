"""Mask head on hyper-columns (SDS)."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.models.layers import (
    BoxUpsample,
    ClassifierGrid,
    ClassifierGridLoss,
    check_boxes,
    select_class_channels,
    sum_hypercolumn,
)
from mmxdistill.registry import MODELS

__all__ = ['HypercolumnMaskHead']

# Of the AlexNets; VGG16: pool3 (256 channels, 3x3, 0.0027) and pool4 (512,
# 1x1, 0.063).
_ALEXNET_MAPS: dict[str, dict] = {
    'pool2': dict(in_channels=256, kernel_size=3, scale=0.0074),
    'conv4': dict(in_channels=384, kernel_size=1, scale=0.0909),
}


@MODELS.register_module()
class HypercolumnMaskHead(BaseModule):
    """Masks of boxes from hyper-columns (the paper, sec. 4.3; SDS networks).

    Per class, a grid of ``grid_size ** 2`` classifiers in the box sees the
    scaled feature maps of the image, sampled at the cells of the box, and
    fc7 of the box: layers ``conv_<map>`` (Caffe's names: ``conv_pool2``,
    ``conv_conv4``) and ``fcfc7``, of which each box takes the channels of its
    class, their sum, and interpolation of the classifiers' probabilities.

    The released solver trains this head alone (everything up to fc7 is
    frozen), and ``fcfc7`` slower. With a base rate of 0.001 and decay 0.001::

        optim_wrapper=dict(paramwise_cfg=dict(
            bias_lr_mult=2, bias_decay_mult=0,
            custom_keys={
                'fcfc7.weight': dict(lr_mult=0.1, decay_mult=0.1),
                'fcfc7.bias': dict(lr_mult=0.2, decay_mult=0),
            }))

    Args:
        num_classes (int): Number of classes.
        maps (dict[str, dict], optional): Feature map -> ``dict(in_channels=,
            kernel_size=, scale=)``: its width, the (odd) kernel of its
            convolution and its fixed multiplier. Defaults to pool2 and conv4
            of the AlexNets, 256 and 384 channels. Empty: fc7 only.
        fc7_channels (int): Width of fc7. Defaults to 4096.
        mask_size (int): Side of a mask in pixels. Defaults to 50.
        grid_size (int): Classifiers along a side of the box. Defaults to 5.
        init_cfg (dict | list[dict], optional): Defaults to the released
            filler: gaussian with std 0.01, bias 0.

    Raises:
        ValueError: If a map is not described completely.
    """

    def __init__(
        self,
        num_classes: int,
        maps: dict[str, dict] | None = None,
        fc7_channels: int = 4096,
        mask_size: int = 50,
        grid_size: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(
                type='Normal', layer=['Conv2d', 'Linear'], std=0.01
            )
        super().__init__(init_cfg=init_cfg)
        maps = _ALEXNET_MAPS if maps is None else maps
        self.map_names = tuple(maps)
        per_class = grid_size**2
        self.multipliers: dict[str, float] = {}
        for name, spec in maps.items():
            if set(spec) != {'in_channels', 'kernel_size', 'scale'}:
                raise ValueError(
                    f"HypercolumnMaskHead: maps['{name}'] must be "
                    'dict(in_channels=, kernel_size=, scale=), found keys '
                    f'{sorted(spec)}'
                )
            kernel = spec['kernel_size']
            self.multipliers[name] = spec['scale']
            conv = nn.Conv2d(
                spec['in_channels'],
                num_classes * per_class,
                kernel,
                padding=kernel // 2,
            )
            self.add_module(f'conv_{name}', conv)
        self.fcfc7 = nn.Linear(fc7_channels, num_classes * per_class)
        self.upsample = BoxUpsample(per_class, mask_size)
        self.grid = ClassifierGrid(grid_size)
        self.loss_mask = ClassifierGridLoss(grid_size)

    def hypercolumns(
        self, features: Mapping[str, Tensor], boxes: Tensor, labels: Tensor
    ) -> Tensor:
        """Compute the logits of the classifiers.

        Args:
            features (Mapping[str, Tensor]): The maps of the images by name,
                (N, C, H, W), and ``'fc7'`` of the boxes, (R, fc7_channels),
                after its ReLU and dropout.
            boxes (Tensor): Batch index and corners in fractions of the image,
                (R, 5); see :func:`normalize_boxes`.
            labels (Tensor): Class of each box, int64, (R,).

        Returns:
            Tensor: Logits, (R, grid_size ** 2, mask_size, mask_size).

        Raises:
            KeyError: If a feature is missing.
            ValueError: If a shape, batch index or label is wrong.
        """
        missing = {*self.map_names, 'fc7'} - features.keys()
        if missing:
            raise KeyError(
                f'HypercolumnMaskHead needs the features {sorted(missing)}; '
                f'given are {sorted(features)}'
            )
        if len(features['fc7']) != len(boxes):
            raise ValueError(
                f"'fc7' has {len(features['fc7'])} rows for {len(boxes)} boxes"
            )
        per_class = self.upsample.channels
        vector = self.fcfc7(features['fc7'])
        if self.map_names:
            # Once for all layers: it waits for the device.
            images = min(len(features[name]) for name in self.map_names)
            check_boxes(boxes, labels, images, vector.shape[1] // per_class)
        vector = select_class_channels(
            vector, labels, per_class, checked=bool(self.map_names)
        )
        sampled = []
        for name in self.map_names:
            scaled = features[name] * self.multipliers[name]
            scores = getattr(self, f'conv_{name}')(scaled)
            sampled.append(self.upsample(scores, boxes, labels, checked=True))
        return sum_hypercolumn(vector, sampled, self.upsample.size)

    def forward(
        self, features: Mapping[str, Tensor], boxes: Tensor, labels: Tensor
    ) -> Tensor:
        """Compute the masks.

        The authors fuse two streams by averaging these probabilities.

        Args:
            features (Mapping[str, Tensor]): See :meth:`hypercolumns`.
            boxes (Tensor): See :meth:`hypercolumns`.
            labels (Tensor): See :meth:`hypercolumns`.

        Returns:
            Tensor: Probability of the foreground, (R, mask_size, mask_size).
        """
        return self.grid(self.hypercolumns(features, boxes, labels))

    def loss(
        self,
        features: Mapping[str, Tensor],
        boxes: Tensor,
        labels: Tensor,
        targets: Tensor,
        weights: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the loss.

        Args:
            features (Mapping[str, Tensor]): See :meth:`hypercolumns`.
            boxes (Tensor): See :meth:`hypercolumns`.
            labels (Tensor): See :meth:`hypercolumns`.
            targets (Tensor): 1 foreground, 0 background, -1 ignored, (R,
                mask_size, mask_size); see :func:`crop_masks`.
            weights (Tensor): Weight of each box, (R,); see
                :func:`instance_weights`.

        Returns:
            dict[str, Tensor]: ``loss_mask``.
        """
        logits = self.hypercolumns(features, boxes, labels)
        return dict(loss_mask=self.loss_mask(logits, targets, weights))
