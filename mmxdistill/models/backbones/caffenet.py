"""CaffeNet (AlexNet with groups), in the two geometries of the release."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional

from mmxdistill.models.backbones.caffe_backbone import CaffeBackbone, Feature
from mmxdistill.models.layers import CaffeLRN, CaffeMaxPool
from mmxdistill.registry import MODELS

__all__ = ['CaffeNet']

# geometry: (padding of conv1, padding of pool1 and pool2)
_PADDING = {'rgb': (5, 1), 'hha': (7, 0)}
_BLOCKS = 5

# The fillers of the released HHA network: gaussian 0.01, and a bias of 1
# on the three grouped convolutions.
_HHA_FILLERS = {
    'type': 'Normal',
    'layer': 'Conv2d',
    'std': 0.01,
    'override': [
        {'type': 'Normal', 'name': name, 'std': 0.01, 'bias': 1}
        for name in ('conv2', 'conv4', 'conv5')
    ],
}


@MODELS.register_module()
class CaffeNet(CaffeBackbone):
    """CaffeNet's five convolutions, with Caffe's layer names.

    Differs from other AlexNets: conv2, conv4 and conv5 have two groups, local
    response normalisation comes *after* pooling, and pooling rounds up.

    Features: conv1, pool1, norm1, conv2, pool2, norm2, conv3, conv4, conv5
    (stride 16), pool5 (MAX 3/2 without padding, stride 32). Stage k of
    ``frozen_stages`` is ``conv{k}`` and what follows it.

    Args:
        channels: Widths of conv1 to conv5. All must be even (groups).
        geometry: Padding. ``'rgb'``: conv1 pad 5, pool1 and pool2 pad 1, as in
            CaffeNet. ``'hha'``: conv1 pad 7, no pooling pad, as in the
            released HHA network; then the pool5 grid has the size of VGG16's
            at every multiple of 32 pixels.
        in_channels: Channels of the input.
        out_features: Features to return.
        frozen_stages: Number of frozen stages, -1 (none) to 5 (all).
        box_geometry: For region detection, the padding of the network that
            detects, if it is not ``geometry``. In evaluation mode, the first
            of ``out_features`` is then also computed with this padding, and
            comes before all others. (The released HHA regions are those of
            boxes from the HHA detector, but in an SDS network with the
            padding of the RGB network.)
        init_cfg: mmengine's initialisation config. Default: the fillers of the
            released HHA network, gaussian 0.01 and bias 0, but bias 1 on
            conv2, conv4 and conv5. (The RGB network has no fillers: it always
            starts from a .caffemodel.)

    Raises:
        ValueError: For an unknown geometry, feature or stage, or for widths
            that are not five even numbers.
    """

    def __init__(
        self,
        channels: Sequence[int] = (96, 256, 384, 384, 256),
        geometry: Literal['rgb', 'hha'] = 'rgb',
        in_channels: int = 3,
        out_features: Sequence[str] = ('conv5',),
        *,
        frozen_stages: int = -1,
        box_geometry: Literal['rgb', 'hha'] | None = None,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        for key, value in (
            ('geometry', geometry),
            ('box_geometry', box_geometry or geometry),
        ):
            if value not in _PADDING:
                raise ValueError(
                    f'CaffeNet: {key}={value!r}, expected one of '
                    f'{", ".join(map(repr, _PADDING))}'
                )
        if len(channels) != _BLOCKS or any(c % 2 or c <= 0 for c in channels):
            raise ValueError(
                f'CaffeNet: channels={tuple(channels)}, expected five even '
                'widths (conv2, conv4 and conv5 have two groups)'
            )
        c1, c2, c3, c4, c5 = channels
        conv_pad, pool_pad = _PADDING[geometry]

        super().__init__(
            [
                Feature(
                    'conv1',
                    nn.Conv2d(in_channels, c1, 11, 4, conv_pad),
                    c1,
                    1,
                ),
                Feature('pool1', CaffeMaxPool(3, 2, pool_pad), c1, 1),
                Feature('norm1', CaffeLRN(), c1, 1),
                Feature('conv2', nn.Conv2d(c1, c2, 5, 1, 2, groups=2), c2, 2),
                Feature('pool2', CaffeMaxPool(3, 2, pool_pad), c2, 2),
                Feature('norm2', CaffeLRN(), c2, 2),
                Feature('conv3', nn.Conv2d(c2, c3, 3, 1, 1), c3, 3),
                Feature('conv4', nn.Conv2d(c3, c4, 3, 1, 1, groups=2), c4, 4),
                Feature('conv5', nn.Conv2d(c4, c5, 3, 1, 1, groups=2), c5, 5),
                Feature('pool5', CaffeMaxPool(3, 2), c5, 5),
            ],
            out_features,
            frozen_stages,
            _HHA_FILLERS if init_cfg is None else init_cfg,
        )
        self._box_padding = (
            None
            if box_geometry in (None, geometry)
            else _PADDING[box_geometry]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute ``out_features``; see :class:`CaffeBackbone`.

        Args:
            x: Images, (N, in_channels, H, W).

        Returns:
            One tensor (N, C, h, w) for each name in ``out_features``; in
            evaluation mode, with ``box_geometry``, one more before them.
        """
        features = super().forward(x)
        if self._box_padding is None or self.training:
            return features
        return self._box_feature(x, *self._box_padding), *features

    def _box_feature(self, x: Tensor, conv_pad: int, pool_pad: int) -> Tensor:
        """The first of ``out_features`` in the other geometry."""
        depth = self.feature_names.index(self.out_features[0])
        for name in self.feature_names[: depth + 1]:
            if name == 'conv1':
                conv = self.conv1
                x = functional.conv2d(
                    x, conv.weight, conv.bias, conv.stride, conv_pad
                ).relu()
            elif name in ('pool1', 'pool2'):
                x = CaffeMaxPool(3, 2, pool_pad)(x)
            else:
                x = self._step(name, x)
        return x
