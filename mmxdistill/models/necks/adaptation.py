"""Adaptation layer between the student's and the teacher's features."""

from __future__ import annotations

from mmcv.cnn import build_activation_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmxdistill.registry import MODELS

__all__ = ['AdaptationNeck']


@MODELS.register_module()
class AdaptationNeck(BaseModule):
    """1x1 convolution + ReLU: the transformation ``t`` of the paper, sec. 3.

    It maps the student's feature to the width of the teacher's, is trained
    with the student and dropped afterwards. The ReLU fits a target that is
    non-negative, as max-pooled activations are.

    Args:
        in_channels (int): Channels of the student's feature.
        out_channels (int): Channels of the teacher's feature.
        kernel_size (int): Of the convolution, padded to keep the size.
            Defaults to 1.
        act_cfg (dict, optional): Activation; None for a linear map. Defaults
            to ``dict(type='ReLU')``.
        init_cfg (dict, optional): Defaults to the filler of the neighbouring
            Caffe layers: gaussian with std 0.01, bias 0.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer='Conv2d', std=0.01)
        super().__init__(init_cfg=init_cfg)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2
        )
        self.activate = (
            nn.Identity()
            if act_cfg is None
            else build_activation_layer(dict(act_cfg))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Adapt a feature map, or RoI features.

        Args:
            x (Tensor): (N, in_channels, H, W), or (R, in_channels).

        Returns:
            Tensor: (N, out_channels, H, W), or (R, out_channels).
        """
        if x.dim() == 2:
            return self.activate(self.conv(x[..., None, None])).flatten(1)
        return self.activate(self.conv(x))
