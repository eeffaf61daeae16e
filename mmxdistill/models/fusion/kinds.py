"""Which fusion suits a set of detectors."""

from __future__ import annotations

from typing import Any

from mmxdistill.models.fusion.base import HeadFusion, Streams
from mmxdistill.models.fusion.cascade import CascadeFusion
from mmxdistill.models.fusion.dense import DenseFusion
from mmxdistill.models.fusion.region import RegionFusion
from mmxdistill.models.fusion.roi import RoIFusion

__all__ = ['build_fusion']

_KINDS: tuple[type[HeadFusion], ...] = (
    RegionFusion,
    RoIFusion,
    CascadeFusion,
    DenseFusion,
)


def build_fusion(streams: Streams, proposals: str = 'union') -> HeadFusion:
    """Find out how detectors are fused.

    Args:
        streams (dict[str, nn.Module]): The detectors.
        proposals (str): See :class:`HeadFusion`.

    Returns:
        HeadFusion: The fusion.

    Raises:
        ValueError: A detector cannot be fused, or not with the others.
    """
    kinds = {name: _kind(name, stream) for name, stream in streams.items()}
    if len(set(kinds.values())) > 1:
        raise ValueError(
            'the streams score boxes in different ways and cannot be '
            'averaged: '
            + ', '.join(
                f"'{name}' ({type(streams[name]).__name__}) by {kind.about}"
                for name, kind in kinds.items()
            )
        )
    return next(iter(kinds.values()))(streams, proposals)


def _kind(name: str, stream: Any) -> type[HeadFusion]:
    reasons = {}
    for kind in _KINDS:
        reason = kind.refusal(stream)
        if reason is None:
            return kind
        reasons[kind] = reason
    # The reason of the kind that it is nearest to.
    if hasattr(stream, 'roi_head'):
        del reasons[DenseFusion]
    elif hasattr(stream, 'bbox_head'):
        reasons = {DenseFusion: reasons[DenseFusion]}
    texts = dict.fromkeys(reasons.values())
    raise ValueError(
        f"stream '{name}' ({type(stream).__name__}) cannot be fused: "
        + '; '.join([text for text in texts if 'its own' in text] or texts)
    )
