"""Any network of timm as a backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.registry import MODELS

__all__ = ['TimmBackbone']

# Images of any size, where the family has the switch.
_FLEXIBLE: tuple[dict[str, bool], ...] = (
    dict(dynamic_img_size=True, dynamic_img_pad=True),
    dict(dynamic_img_size=True),
    dict(strict_img_size=False),
    {},
)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            'TimmBackbone needs timm, and timm needs torchvision '
            f'({error}): pip install mmxdistill[timm], with the torchvision '
            'of your PyTorch'
        ) from error
    return timm


@MODELS.register_module()
class TimmBackbone(BaseModule):
    """Feature maps of a timm network (ViT, DINOv2, CLIP, ConvNeXt, ...).

    Transformers give their intermediate tokens as maps, without class and
    register tokens. Mean, std and the order of the channels come from the
    weights that ``model_name`` names (``rgb='teacher'`` in the data
    preprocessor).

    Args:
        model_name (str): ``'vit_small_patch14_dinov2.lvd142m'``.
        pretrained (bool): Whether timm loads its weights. Defaults to False.
        out_indices (Sequence[int], optional): Which stages or blocks; negative
            ones count from the end. Defaults to timm's choice.
        init_cfg (dict, optional): See mmengine.
        **kwargs (Any): Of ``timm.create_model``: ``in_chans`` (first layers of
            other channels get adapted weights), ``img_size``,
            ``checkpoint_path``, ...

    Raises:
        ImportError: There is no timm, or none that works.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: bool = False,
        out_indices: Sequence[int] | None = None,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        timm = _timm()
        super().__init__(init_cfg)
        if out_indices is not None:
            kwargs['out_indices'] = tuple(out_indices)
        for flexible in _FLEXIBLE:
            try:
                self.net = timm.create_model(
                    model_name,
                    pretrained=pretrained,
                    features_only=True,
                    **{**flexible, **kwargs},
                )
                break
            except TypeError as error:  # not of this family
                if not any(key in str(error) for key in flexible):
                    raise
        layout = getattr(self.net, 'output_fmt', 'NCHW')
        self._channels_last = getattr(layout, 'value', layout) == 'NHWC'

    @staticmethod
    def preprocessing(cfg: Mapping) -> Preprocessing | None:
        """Tell how a network wants its images.

        Args:
            cfg (dict): Config of a backbone of this type.

        Returns:
            Preprocessing | None: None if timm does not say.
        """
        found = _timm().get_pretrained_cfg(cfg['model_name'])
        if found is None:
            return None
        mean, std = (
            tuple(255 * v for v in x) for x in (found.mean, found.std)
        )
        return Preprocessing(mean, std, bgr_to_rgb=True)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute feature maps.

        Args:
            x (Tensor): Images (N, C, H, W).

        Returns:
            tuple[Tensor, ...]: (N, C', h, w) each.
        """
        features = self.net(x)
        if self._channels_last:
            return tuple(f.permute(0, 3, 1, 2) for f in features)
        return tuple(features)
