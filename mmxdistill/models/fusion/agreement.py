"""Whether the outputs of several heads mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

__all__ = ['canonical', 'check_agreement', 'coder_settings']

# How far boxes may reach is a question of decoding once, not of averaging.
_NOT_COMPARED = {'clip_border', 'use_box_type'}
_LONG = 200  # characters of a value in a message


def canonical(value: Any) -> Any:
    """Make settings comparable: a list equals a tuple, 1 equals 1.0.

    Args:
        value (Any): Numbers, strings, arrays, tensors, objects, or nested
            lists, tuples and dicts of them.

    Returns:
        Any: Nested tuples of numbers and strings; of an object, its type and
        public attributes.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return canonical(value.tolist())
    if isinstance(value, Mapping):
        return tuple(sorted((str(k), canonical(v)) for k, v in value.items()))
    if isinstance(value, (Sequence, set, frozenset)):
        return tuple(canonical(item) for item in value)
    settings = {
        key: item
        for key, item in vars(value).items()
        if not key.startswith('_') and key not in _NOT_COMPARED
    }
    return (type(value).__name__, canonical(settings))


def coder_settings(name: str, coder: Any) -> dict[str, Any]:
    """Settings of a box coder, one by one.

    Args:
        name (str): What the coder is called in messages.
        coder (BaseBBoxCoder): The coder, or None.

    Returns:
        dict[str, Any]: For :func:`check_agreement`.
    """
    settings: dict[str, Any] = {f'{name}.type': type(coder).__name__}
    spelled = dict(means='target_means', stds='target_stds')
    for key, value in vars(coder).items() if coder is not None else ():
        if not key.startswith('_') and key not in _NOT_COMPARED:
            settings[f'{name}.{spelled.get(key, key)}'] = value
    return settings


def check_agreement(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse streams whose outputs mean different things.

    Args:
        settings (dict[str, dict]): Stream -> setting -> value.

    Raises:
        ValueError: A setting differs; the message has all values.
    """
    keys = dict.fromkeys(key for found in settings.values() for key in found)
    for key in keys:
        values = {name: found.get(key) for name, found in settings.items()}
        if _differ(values):
            raise ValueError(
                "the streams' outputs cannot be averaged: "
                + _told(key, values)
            )


def _differ(values: Mapping[str, Any]) -> bool:
    return len({repr(canonical(value)) for value in values.values()}) > 1


def _told(key: str, values: Mapping[str, Any]) -> str:
    """Say in a line what differs: of long values, the first part that does."""
    plain = {name: _plain(value) for name, value in values.items()}
    longest = max(len(str(value)) for value in plain.values())
    lists = all(isinstance(value, list) for value in plain.values())
    if longest > _LONG and lists:
        lengths = {name: len(value) for name, value in plain.items()}
        if len(set(lengths.values())) > 1:
            return f'the length of {key} differs: {lengths}'
        for i, parts in enumerate(zip(*plain.values(), strict=True)):
            part = dict(zip(plain, parts, strict=True))
            if _differ(part):
                return _told(f'{key}[{i}]', part)
    shown = {
        name: value if len(str(value)) <= _LONG else f'{str(value)[:_LONG]}...'
        for name, value in plain.items()
    }
    return f'{key} differs: {shown}'


def _plain(value: Any) -> Any:
    """A setting as text shows it best."""
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return round(value, 4)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return canonical(value)
