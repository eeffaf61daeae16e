"""Weighted means of what several networks answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ['average', 'average_scores']


def average(outputs: Sequence[Any], weights: Sequence[Any]) -> Any:
    """Average structures of tensors, one of each stream.

    Equal outputs are returned bit by bit, for any number of streams and any
    weights: the mean moves from stream to stream by linear interpolation.

    Args:
        outputs (Sequence): Per stream a tensor, None, or (nested) tuples and
            lists of them, as the heads of mmdet return them.
        weights (Sequence[float | Tensor]): Per stream, not negative; a tensor
            must broadcast with each of its tensors.

    Returns:
        Tensor | tuple | list | None: The mean, structured as one output.

    Raises:
        ValueError: The structures or shapes differ.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        return _average_tensors(outputs, weights)
    if first is None and all(output is None for output in outputs):
        return None
    if not isinstance(first, (tuple, list)) or any(
        not isinstance(output, (tuple, list)) or len(output) != len(first)
        for output in outputs
    ):
        raise ValueError(
            "the streams' heads answer in different ways and cannot be "
            f'averaged: {[_described(output) for output in outputs]}'
        )
    return type(first)(
        average(parts, weights) for parts in zip(*outputs, strict=True)
    )


def _average_tensors(
    tensors: Sequence[Tensor], weights: Sequence[Any]
) -> Tensor:
    if len({getattr(t, 'shape', None) for t in tensors}) > 1:
        raise ValueError(
            "the streams' outputs have different shapes and cannot be "
            f'averaged: {[_described(t) for t in tensors]}. Give all streams '
            'the same strides, levels, classes and sizes of the head'
        )
    mean, total = tensors[0], weights[0]
    for tensor, weight in zip(tensors[1:], weights[1:], strict=True):
        total = total + weight
        share = weight / total if isinstance(total, Tensor) or total else 0.0
        if isinstance(share, Tensor):
            share = share.nan_to_num()  # 0 / 0: not weighted so far
        kind = torch.promote_types(mean.dtype, tensor.dtype)
        if isinstance(share, Tensor):
            share = share.to(mean.device, kind)
        mean = torch.lerp(mean.to(kind), tensor.to(kind), share)
    return mean


def average_scores(
    scores: Sequence[Tensor],
    weights: Sequence[Any],
    background: bool,
) -> Tensor:
    """Average class scores, possibly with other weights for each class.

    Scores before a softmax are known up to a constant per box. One weight per
    stream takes any constant; weights per class need the same for all
    streams, so the scores become logarithms of probabilities first. The
    background has the mean of a stream's weights.

    Args:
        scores (Sequence[Tensor]): Per stream, classes in the last dimension.
        weights (Sequence[float | Tensor]): Per stream, a number or
            (classes,).
        background (bool): Whether a softmax over classes and background
            (last) follows.

    Returns:
        Tensor: Of the shape of one stream's scores.
    """
    if not isinstance(weights[0], Tensor):
        return average(scores, weights)
    if background:
        scores = [score.log_softmax(-1) for score in scores]
        weights = [torch.cat([w, w.mean()[None]]) for w in weights]
    return average(scores, weights)


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f'tensor {tuple(output.shape)}'
    if isinstance(output, (tuple, list)):
        return f'{type(output).__name__} of {len(output)}'
    return type(output).__name__
