"""RoI extractor whose RoI layer may be a registered component.

Shapes: N images, C channels, maps of H x W cells, R RoIs.
"""

import inspect

from mmcv import ops
from mmdet.models.roi_heads.roi_extractors import (
    SingleRoIExtractor as MMDetSingleRoIExtractor,
)
from mmdet.utils import ConfigType
from torch import Tensor, nn

from mmxdistill.models.layers import CaffeRoIPool
from mmxdistill.registry import MODELS


@MODELS.register_module()
class SingleRoIExtractor(MMDetSingleRoIExtractor):
    """mmdet's ``SingleRoIExtractor`` with RoI layers from the registry.

    ``roi_layer['type']`` names a registered component, such as
    ``'mmxdistill.CaffeRoIPool'``, or else a layer of ``mmcv.ops``, such as
    ``'RoIAlign'``. Arguments are those of mmdet's class.
    """

    def build_roi_layers(
        self, layer_cfg: ConfigType, featmap_strides: list[int]
    ) -> nn.ModuleList:
        """Build one RoI layer per feature level.

        Args:
            layer_cfg (ConfigType): Type and arguments of the RoI layer, except
                for ``spatial_scale``.
            featmap_strides (list[int]): Stride of each feature level in input
                pixels.

        Returns:
            nn.ModuleList: The RoI layers, with ``spatial_scale = 1 / stride``.

        Raises:
            ValueError: If the type is missing or unknown.
        """
        cfg = layer_cfg.copy()
        name = cfg.pop('type', None)
        cfg['type'] = _find_layer(name) if isinstance(name, str) else name
        if not inspect.isclass(cfg['type']):
            raise ValueError(
                f'roi_layer type {name!r} is unknown; write '
                "'mmxdistill.CaffeRoIPool', another registered model, or a "
                "layer of mmcv.ops such as 'RoIAlign'"
            )
        return super().build_roi_layers(cfg, featmap_strides)

    def forward(
        self,
        feats: tuple[Tensor, ...],
        rois: Tensor,
        roi_scale_factor: float | None = None,
    ) -> Tensor:
        """Extract RoI features.

        Args:
            feats (tuple[Tensor, ...]): Feature maps, (N, C, H, W) per level.
            rois (Tensor): Batch index and corners in input pixels, (R, 5).
            roi_scale_factor (float, optional): Enlarges the RoIs (several
                levels only).

        Returns:
            Tensor: RoI features, (R, C, ph, pw).
        """
        layer = self.roi_layers[0]
        if len(feats) == 1 and isinstance(layer, CaffeRoIPool):
            # mmdet casts RoIs to the features' type: in half precision
            # they would be rounded to other cells.
            return layer(feats[0], rois)
        return super().forward(feats, rois, roi_scale_factor)


def _find_layer(name: str) -> type | None:
    """The registered or ``mmcv.ops`` layer of this name."""
    layer = MODELS.get(name)
    return getattr(ops, name, None) if layer is None else layer
