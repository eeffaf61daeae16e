"""Proposals that all streams score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox_overlaps
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from mmxdistill.models.fusion.base import Features, Streams

__all__ = ['shared_proposals', 'unite_proposals']


def shared_proposals(
    streams: Streams, features: Features, samples: SampleList, source: str
) -> InstanceList:
    """Proposals of each sample: its own, else of the streams' RPNs.

    Args:
        streams (dict[str, nn.Module]): Two-stage detectors.
        features (dict): Feature maps of the streams that are there.
        samples (list[DetDataSample]): Some or all may have ``proposals``.
        source (str): ``'union'`` of all RPNs (:func:`unite_proposals`), or a
            stream whose RPN is preferred.

    Returns:
        list[InstanceData]: ``bboxes`` in pixels of the network's input.

    Raises:
        ValueError: A sample has none and no stream has an RPN.
    """
    given = [sample.get('proposals') for sample in samples]
    if all(proposals is not None for proposals in given):
        return given
    proposers = [name for name in features if streams[name].with_rpn]
    if source in proposers:
        proposers = [source]
    if not proposers:
        lacking = samples[given.index(None)].get('img_path')
        raise ValueError(
            f"'{lacking}' has no proposals and no stream has an RPN: set "
            'proposal_file of the data set and load it by LoadProposals'
        )
    found = [
        streams[name].rpn_head.predict(features[name], samples, rescale=False)
        for name in proposers
    ]
    cfg = streams[proposers[0]].rpn_head.test_cfg
    united = [
        unite_proposals(sets, cfg['nms']['iou_threshold'], cfg['max_per_img'])
        for sets in zip(*found, strict=True)
    ]
    return [
        proposed if own is None else own
        for own, proposed in zip(given, united, strict=True)
    ]


def unite_proposals(
    sets: Sequence[InstanceData], iou_threshold: float, number: int
) -> InstanceData:
    """Unite the proposals of several RPNs for one image.

    Greedy NMS between the sets, best first: within a set the RPN has decided
    already (per level, which is not known here). So equal sets give one of
    them.

    Args:
        sets (Sequence[InstanceData]): Per RPN ``bboxes`` (R, 4) and
            ``scores`` (R,).
        iou_threshold (float): A box that overlaps a better one of another
            RPN by more is left out.
        number (int): At most this many are kept.

    Returns:
        InstanceData: ``bboxes`` (R, 4) and ``scores`` (R,), best first.
    """
    if len(sets) == 1:
        return sets[0]
    boxes = torch.cat([s.bboxes for s in sets])
    scores = torch.cat([s.scores for s in sets])
    origin = torch.cat(
        [
            torch.full((len(s),), i, device=boxes.device)
            for i, s in enumerate(sets)
        ]
    )
    order = scores.sort(descending=True, stable=True).indices
    boxes, scores, origin = boxes[order], scores[order], origin[order]
    keep = _best_of_conflicts(
        (bbox_overlaps(boxes, boxes) > iou_threshold)
        & (origin[:, None] != origin)
    )[:number]
    return InstanceData(bboxes=boxes[keep], scores=scores[keep])


def _best_of_conflicts(conflicts: Tensor) -> Tensor:
    """Indices of rows that no earlier kept row is in conflict with."""
    table = conflicts.cpu().numpy()
    alive = np.ones(len(table), bool)
    for row in np.flatnonzero(table.any(axis=1)):
        if alive[row]:
            alive[row + 1 :] &= ~table[row, row + 1 :]
    return torch.from_numpy(np.flatnonzero(alive)).to(conflicts.device)
