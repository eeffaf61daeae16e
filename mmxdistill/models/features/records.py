"""A feature in few bytes, and back."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ['DTYPES', 'decode', 'encode', 'pack', 'unpack']

# Largest relative error (L2) of what is kept: half a unit in the last place,
# and for int8 what its 255 steps per channel leave of usual features.
DTYPES = {'float16': 2**-11, 'bfloat16': 2**-8, 'int8': 0.05}
_HEAD = struct.Struct('<I')  # length of the table of contents
_ALIGN = 16
_STEPS = 255
_ZERO = 128


def encode(feature: Tensor, dtype: str, name: str) -> dict[str, Tensor]:
    """Round a feature.

    Args:
        feature (Tensor): Of one image, (C, ...).
        dtype (str): 'float16', 'bfloat16', or 'int8' (255 steps between the
            lowest and the highest value of each channel).
        name (str): Of the feature, for messages.

    Returns:
        dict[str, Tensor]: What :func:`decode` takes, on the CPU.

    Raises:
        ValueError: Values are not finite, too large or too small for the
            type.
    """
    exact = feature.detach().float().cpu()
    if not exact.isfinite().all():
        raise ValueError(
            f"the teacher's feature '{name}' has values that are not finite: "
            'check its weights and mean/std'
        )
    if dtype == 'int8':
        rows = exact.flatten(1) if exact.dim() > 1 else exact[None]
        low = rows.amin(1)
        step = (rows.amax(1) - low) / _STEPS
        # A constant channel is all low.
        units = (rows - low[:, None]) / step.clamp(min=1e-38)[:, None]
        value = (units.round() - _ZERO).to(torch.int8).view(exact.shape)
        parts = dict(value=value, low=low, step=step)
    else:
        parts = dict(value=exact.to(getattr(torch, dtype)))
    error = (decode(parts) - exact).norm()
    if not error <= DTYPES[dtype] * exact.norm():
        largest = exact.abs().max()
        other = 'float16' if dtype == 'int8' else 'bfloat16'
        raise ValueError(
            f"the teacher's feature '{name}' (largest value {largest:.3g}) "
            f"does not fit {dtype}: write teacher_cache=dict(dtype='{other}'"
            ', ...)'
        )
    return parts


def decode(parts: Mapping[str, Tensor]) -> Tensor:
    """Restore a feature.

    Args:
        parts (Mapping[str, Tensor]): Of :func:`encode`, on any device.

    Returns:
        Tensor: float32, of the shape of the feature.
    """
    value = parts['value'].float()
    if 'step' in parts:
        rows = value.flatten(1) if value.dim() > 1 else value[None]
        rows = (rows + _ZERO) * parts['step'][:, None] + parts['low'][:, None]
        value = rows.view(value.shape)
    return value


def pack(tensors: Mapping[str, Tensor]) -> bytes:
    """Put tensors into a record.

    Args:
        tensors (Mapping[str, Tensor]): On the CPU.

    Returns:
        bytes: A table of contents (JSON) and the values.
    """
    table: dict[str, list[Any]] = {}
    contents = []
    offset = 0
    for name, tensor in tensors.items():
        content = tensor.contiguous().reshape(-1).view(torch.uint8)
        kind = str(tensor.dtype).removeprefix('torch.')
        table[name] = [kind, list(tensor.shape), offset]
        padding = -len(content) % _ALIGN
        contents.append(content.numpy().tobytes() + bytes(padding))
        offset += len(content) + padding
    head = json.dumps(table, separators=(',', ':')).encode()
    head += b' ' * (-(len(head) + _HEAD.size) % _ALIGN)
    return b''.join([_HEAD.pack(len(head)), head, *contents])


def unpack(record: memoryview | bytes) -> dict[str, Tensor]:
    """Take a record apart.

    Args:
        record (memoryview | bytes): Of :func:`pack`.

    Returns:
        dict[str, Tensor]: The tensors; they share the memory of a writable
        record.
    """
    if isinstance(record, bytes):
        record = memoryview(bytearray(record))
    start = _HEAD.size + _HEAD.unpack(record[: _HEAD.size])[0]
    table = json.loads(bytes(record[_HEAD.size : start]))
    return {
        name: torch.frombuffer(
            record,
            dtype=getattr(torch, kind),
            count=_count(shape),
            offset=start + offset,
        ).view(shape)
        for name, (kind, shape, offset) in table.items()
    }


def _count(shape: list[int]) -> int:
    return torch.Size(shape).numel()
