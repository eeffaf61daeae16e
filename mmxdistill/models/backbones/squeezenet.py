"""SqueezeNet v1.0 and v1.1 with Caffe's layer names."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmxdistill.models.backbones.caffe_backbone import CaffeBackbone, Feature
from mmxdistill.models.layers import CaffeMaxPool
from mmxdistill.registry import MODELS

__all__ = ['SqueezeNet']

# version: (width and kernel of conv1, fire modules followed by a pooling,
# padding of conv10)
_VERSIONS = {'1.0': (96, 7, (4, 8), 1), '1.1': (64, 3, (3, 5), 0)}
# fire module: (width of the squeeze layer, width of each expand layer)
_FIRES = {
    2: (16, 64),
    3: (16, 64),
    4: (32, 128),
    5: (32, 128),
    6: (48, 192),
    7: (48, 192),
    8: (64, 256),
    9: (64, 256),
}
_IMAGENET_CLASSES = 1000


class _Fire(nn.Module):
    """A squeeze layer and the concatenation of two expand layers."""

    def __init__(self, in_channels: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, 2 * expand, H, W)."""
        x = F.relu(self.squeeze1x1(x), inplace=True)
        x = torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1)
        return F.relu(x, inplace=True)


@MODELS.register_module()
class SqueezeNet(CaffeBackbone):
    """SqueezeNet, with Caffe's layer names ('fire2.squeeze1x1', ...).

    Features: conv1, pool1, fire2 to fire9 (the concatenations; fire9 has
    stride 16), with pool4 and pool8 (v1.0) or pool3 and pool5 (v1.1) between
    them, pooling rounding up. With the classifier also conv10 and pool10, the
    class scores before softmax, of shape (N, num_classes, 1, 1).
    Stage 1 of ``frozen_stages`` is conv1 with pool1, stage k is ``fire{k}``
    with the pooling after it, stage 10 the classifier.

    Args:
        version: ``'1.0'`` or ``'1.1'``.
        in_channels: Channels of the input.
        num_classes: Outputs of the classifier conv10. Default: no classifier,
            unless ``out_features`` names conv10 or pool10; then ImageNet's
            1000.
        out_features: Features to return.
        frozen_stages: Number of frozen stages, -1 (none) to 9 (10 with the
            classifier).
        init_cfg: mmengine's initialisation config. Default: Kaiming normal
            (fan out), bias 0.

    Raises:
        ValueError: For an unknown version, feature or stage.
    """

    def __init__(
        self,
        version: str = '1.1',
        in_channels: int = 3,
        num_classes: int | None = None,
        out_features: Sequence[str] = ('fire9',),
        *,
        frozen_stages: int = -1,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        if version not in _VERSIONS:
            raise ValueError(
                f'SqueezeNet: version={version!r}, expected one of '
                f'{", ".join(map(repr, _VERSIONS))}'
            )
        width, kernel, pooled, conv10_pad = _VERSIONS[version]

        conv1 = nn.Conv2d(in_channels, width, kernel, 2)
        features = [
            Feature('conv1', conv1, width, 1),
            Feature('pool1', CaffeMaxPool(3, 2), width, 1),
        ]
        for i, (squeeze, expand) in _FIRES.items():
            fire = _Fire(width, squeeze, expand)
            width = 2 * expand
            features.append(Feature(f'fire{i}', fire, width, i))
            if i in pooled:
                features.append(
                    Feature(f'pool{i}', CaffeMaxPool(3, 2), width, i)
                )
        asked = 'conv10' in out_features or 'pool10' in out_features
        if num_classes is None and asked:
            num_classes = _IMAGENET_CLASSES
        if num_classes is not None:
            conv10 = nn.Conv2d(width, num_classes, 1, padding=conv10_pad)
            features += [
                Feature('conv10', conv10, num_classes, 10),
                Feature('pool10', nn.AdaptiveAvgPool2d(1), num_classes, 10),
            ]
        if init_cfg is None:
            init_cfg = {'type': 'Kaiming', 'layer': 'Conv2d'}
        super().__init__(features, out_features, frozen_stages, init_cfg)

    def _step(self, name: str, x: Tensor) -> Tensor:
        """Compute the feature ``name``; dropout (drop9) precedes conv10."""
        if name == 'conv10':
            x = F.dropout(x, 0.5, self.conv10.training)
        return super()._step(name, x)
