"""Whether the outputs of several heads mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

__all__ = ['canonical', 'check_agreement', 'coder_settings']

# How far boxes may reach is a question of decoding once, not of averaging.
_NOT_COMPARED = {'clip_border', 'use_box_type'}


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
        if len({repr(canonical(value)) for value in values.values()}) > 1:
            raise ValueError(
                f"the streams' outputs cannot be averaged: {key} differs: "
                f'{_shown(values)}'
            )


def _shown(values: dict[str, Any]) -> str:
    described = {
        name: value
        if isinstance(value, (bool, int, float, str, list, tuple, type(None)))
        else canonical(value)
        for name, value in values.items()
    }
    text = str(described)
    return text if len(text) <= 600 else f'{text[:600]} ...'
