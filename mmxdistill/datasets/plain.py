"""Values as JSON has them, to be compared, hashed and shown."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping, Set
from types import MethodType, NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ['as_plain']


@functools.singledispatch
def as_plain(value: Any) -> Any:
    """Describe a value; of what is large, by a hash.

    Args:
        value: A setting of a transform, or an entry of a sample.

    Returns:
        Any: Nested lists and dicts of what JSON has; other values have
        another description.

    Raises:
        ValueError: It is of a kind whose values cannot be told apart.
    """
    name = getattr(value, '__qualname__', None)
    if name is None:
        return [type(value).__name__, as_plain(_attributes(value))]
    if '<' in name:
        raise ValueError(
            f'{name} is a function inside of another, or without a name, of '
            'which nobody can tell whether another one is the same'
        )
    return f'{value.__module__}.{name}'


@as_plain.register(bool)
@as_plain.register(int)
@as_plain.register(float)
@as_plain.register(str)
@as_plain.register(NoneType)
def _itself(value: Any) -> Any:
    return value


@as_plain.register(complex)
@as_plain.register(range)
@as_plain.register(slice)
@as_plain.register(np.dtype)
@as_plain.register(torch.dtype)
def _shown(value: Any) -> Any:
    return repr(value)


@as_plain.register(Mapping)
def _mapping(value: Mapping) -> Any:
    return {str(key): as_plain(item) for key, item in value.items()}


@as_plain.register(list)
@as_plain.register(tuple)
def _sequence(value: list | tuple) -> Any:
    return [as_plain(item) for item in value]


@as_plain.register(Set)
def _set(value: Set) -> Any:
    return sorted((as_plain(item) for item in value), key=repr)


@as_plain.register(bytes)
def _bytes(value: bytes) -> Any:
    return ['bytes', hashlib.sha256(value).hexdigest()]


@as_plain.register(os.PathLike)
def _path(value: os.PathLike) -> Any:
    return os.fspath(value)


@as_plain.register(np.generic)
def _number(value: np.generic) -> Any:
    return value.item()


@as_plain.register(np.ndarray)
def _array(value: np.ndarray) -> Any:
    if value.dtype.hasobject:
        return as_plain(value.tolist())
    content = np.ascontiguousarray(value).tobytes()
    digest = hashlib.sha256(content).hexdigest()
    return [str(value.dtype), list(value.shape), digest]


@as_plain.register(Tensor)
def _tensor(value: Tensor) -> Any:
    return _array(value.detach().cpu().numpy())


@as_plain.register(functools.partial)
def _partial(value: functools.partial) -> Any:
    return as_plain([value.func, value.args, value.keywords])


@as_plain.register(MethodType)
def _method(value: MethodType) -> Any:
    return as_plain([value.__func__, value.__self__])


def _attributes(value: Any) -> dict[str, Any]:
    found = {
        name: getattr(value, name)
        for kind in type(value).__mro__
        for name in np.atleast_1d(vars(kind).get('__slots__', ())).tolist()
        if hasattr(value, name)
    }
    if not found and not hasattr(value, '__dict__'):
        raise ValueError(
            f'{value!r:.80} is a {type(value).__name__}, of which nobody can '
            'tell whether another one is the same'
        )
    return found | getattr(value, '__dict__', {})
