"""The parts of a network that can be run, from the shortest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mmdet.structures import SampleList
from torch import Tensor, nn

__all__ = ['ENTRIES', 'entries_for']


def _backbone(network: Any, x: Tensor, rois: Any, samples: Any) -> None:
    getattr(network, 'backbone', network)(x)


def _extract_feat(network: Any, x: Tensor, rois: Any, samples: Any) -> None:
    network.extract_feat(x)


def _rpn_head(network: Any, x: Tensor, rois: Any, samples: Any) -> None:
    network.rpn_head(network.extract_feat(x))


def _bbox_head(network: Any, x: Tensor, rois: Any, samples: Any) -> None:
    # mmdet calls forward(), which tells no hooks.
    network.bbox_head(network.extract_feat(x))


def _rois(network: Any, x: Tensor, rois: Tensor, samples: Any) -> None:
    head = network.roi_head
    stage = (0,) if hasattr(head, 'num_stages') else ()  # of a cascade
    head._bbox_forward(*stage, network.extract_feat(x), rois)


def _tensor(
    network: Any, x: Tensor, rois: Any, samples: SampleList | None
) -> None:
    network(x, samples, mode='tensor')


ENTRIES: dict[str, Callable[..., None]] = {
    'backbone': _backbone,
    'extract_feat': _extract_feat,
    'rpn_head': _rpn_head,
    'bbox_head': _bbox_head,
    'rois': _rois,
    'tensor': _tensor,
}


def entries_for(network: nn.Module, paths: Iterable[str]) -> list[str]:
    """Name the parts that may compute some features, the shortest first.

    Args:
        network (nn.Module): Backbone, or detector with ``extract_feat``.
        paths (Iterable[str]): Paths of the sub-modules.

    Returns:
        list[str]: Keys of ``ENTRIES``.
    """
    if not hasattr(network, 'extract_feat'):
        return ['backbone']
    heads = {path.split('.')[0] for path in paths} - {'backbone', 'neck'}
    if not heads:
        only = {path.split('.')[0] for path in paths} == {'backbone'}
        return [*['backbone'] * only, 'extract_feat', 'tensor']
    if heads == {'roi_head'} and hasattr(network.roi_head, '_bbox_forward'):
        return ['rois', 'tensor']
    # The head of a transformer takes what its decoder gives.
    dense = not hasattr(network, 'forward_transformer')
    if len(heads) == 1 and heads <= {'rpn_head', 'bbox_head'} and dense:
        return [*heads, 'tensor']
    return ['extract_feat', 'tensor']
