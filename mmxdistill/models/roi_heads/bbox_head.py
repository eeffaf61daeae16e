"""Fast R-CNN's head with Caffe's layer names."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.bbox_heads import BBoxHead
from torch import Tensor, nn

from mmxdistill.registry import MODELS

__all__ = ['FastRCNNBBoxHead']


@MODELS.register_module()
class FastRCNNBBoxHead(BBoxHead):
    """fc6, fc7 (each ReLU + dropout), then class scores and box regression.

    The head of CaffeNet and VGG16 detectors (`Fast R-CNN`, and the authors'
    prototxts): layers ``fc6, relu6, drop6, fc7, relu7, drop7, cls_score,
    bbox_pred``. mmdet's names ``fc_cls`` and ``fc_reg`` are kept for the last
    two.

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
    """

    feature_modules = {'fc6': 'relu6', 'fc7': 'relu7'}  # noqa: RUF012

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

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Score RoIs.

        Args:
            x (Tensor): RoI features (R, in_channels, roi_feat_size,
                roi_feat_size), flattened in Caffe's order (C, H, W).

        Returns:
            tuple[Tensor, Tensor]: Class scores before softmax (R, classes +
            1), background last, and box regression (R, 4 * classes).
        """
        x = self.drop6(self.relu6(self.fc6(x.flatten(1))))
        x = self.drop7(self.relu7(self.fc7(x)))
        return super().forward(x)
