"""Outputs of heads that are computed once for many weights of a fusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mmxdistill.models.fusion.base import Streams

__all__ = ['heads_remembered']

# What a fusion calls of a detector's parts.
_CALLS = dict(
    roi_head='_bbox_forward', bbox_head='forward', rpn_head='forward'
)


@contextmanager
def heads_remembered(streams: Streams) -> Iterator[None]:
    """Let heads answer from memory what they have been asked before.

    What a stream says of its features and RoIs does not depend on its weight
    in a fusion. Only the first answer is kept, of a cascade that of each
    stage, as RoIs of later stages are refined with other weights each time.

    Args:
        streams (dict[str, nn.Module]): The detectors.
    """
    heads: dict[int, tuple[Any, str]] = {}
    for stream in streams.values():
        for part, method in _CALLS.items():
            head = getattr(stream, part, None)
            if hasattr(head, method):  # streams may share a head
                heads[id(head)] = head, method
    for head, method in heads.values():
        setattr(head, method, _Remembering(getattr(head, method)))
    try:
        yield
    finally:
        for head, method in heads.values():
            delattr(head, method)


class _Remembering:
    """A function that keeps its first output."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.known: dict[tuple, tuple[tuple, Any]] = {}

    def __call__(self, *args: Any) -> Any:
        stage = tuple(value for value in args if isinstance(value, int))
        if stage in self.known:
            before, output = self.known[stage]
            return output if _same(before, args) else self.function(*args)
        output = self.function(*args)
        self.known[stage] = args, output
        return output


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and bool(one == other)
