"""VGG16 with Caffe's layer names."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mmxdistill.models.backbones.caffe_backbone import CaffeBackbone, Feature
from mmxdistill.models.layers import CaffeMaxPool
from mmxdistill.registry import MODELS

__all__ = ['VGG16']

_CONVS_PER_BLOCK = (2, 2, 3, 3, 3)


@MODELS.register_module()
class VGG16(CaffeBackbone):
    """VGG16's thirteen convolutions, with Caffe's layer names.

    Unlike torchvision's and mmcv's default, pooling rounds up.

    Features: conv1_1, conv1_2, pool1, ..., conv5_3 (stride 16), pool5
    (MAX 2/2, stride 32). Stage k of ``frozen_stages`` is the block
    ``conv{k}_*`` with ``pool{k}``; upstream Fast R-CNN freezes 2, the
    released networks none.

    Args:
        channels: Widths of the five blocks.
        in_channels: Channels of the input.
        out_features: Features to return.
        frozen_stages: Number of frozen stages, -1 (none) to 5 (all).
        init_cfg: mmengine's initialisation config. Default: Kaiming normal
            (fan out), bias 0. (The released network has no fillers: it always
            starts from a .caffemodel.)

    Raises:
        ValueError: For an unknown feature or stage, or if ``channels`` are not
            five widths.
    """

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        in_channels: int = 3,
        out_features: Sequence[str] = ('conv5_3',),
        *,
        frozen_stages: int = -1,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        if len(channels) != len(_CONVS_PER_BLOCK):
            raise ValueError(
                f'VGG16: channels={tuple(channels)}, expected five widths'
            )
        features = []
        for stage, (width, convs) in enumerate(
            zip(channels, _CONVS_PER_BLOCK, strict=True), start=1
        ):
            for i in range(1, convs + 1):
                conv = nn.Conv2d(in_channels, width, 3, padding=1)
                features.append(
                    Feature(f'conv{stage}_{i}', conv, width, stage)
                )
                in_channels = width
            pool = CaffeMaxPool(2, 2)
            features.append(Feature(f'pool{stage}', pool, width, stage))
        if init_cfg is None:
            init_cfg = {'type': 'Kaiming', 'layer': 'Conv2d'}
        super().__init__(features, out_features, frozen_stages, init_cfg)
