"""Unpickling of arrays from files of other people: no code of theirs runs.

A pickle may name any function to be called with any argument. Here only what
rebuilds containers, numbers, arrays, tensors and mmengine's ``InstanceData``
is known, each by a function of this module. Python's own unpickler is used
and not its twin in C, which allocates what a damaged file asks for (an index
into its memo of 2^31, say) before it looks whether the file has that much.
"""

from __future__ import annotations

import io
import math
import mmap
import os
import pickle
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

__all__ = ['read_pickle']

# What arrays in a pickle need, under the names of all NumPy versions.
_ARRAY_MODULES = re.compile(r'numpy(\.(_?core)\.(multiarray|numeric))?')


class _Refused(pickle.UnpicklingError):
    """The file asks for a class or function that is not known here."""


class _ArrayType:
    """Stands for the class ``numpy.ndarray``, which is never called."""


def _new_array(*_: Any) -> np.ndarray:
    """Empty array, that gets its content by ``__setstate__``."""
    return np.ndarray.__new__(np.ndarray, (0,), 'b')


def _no_bytes() -> bytes:
    """Empty bytes, as protocol 2 of Python 3 writes them."""
    return b''


def _encode(text: str, encoding: str) -> bytes:
    """Bytes, as protocol 2 of Python 3 writes them."""
    if encoding not in ('latin1', 'latin-1'):
        raise pickle.UnpicklingError(f'bytes are encoded as {encoding!r}')
    return text.encode('latin1')


def _storage(content: bytes) -> Any:
    """Flat memory of a tensor."""
    import torch

    file = io.BytesIO(content)
    return torch.load(file, map_location='cpu', weights_only=True)


def _tensor(
    storage: Any, offset: int, size: tuple, stride: tuple, *_: Any
) -> np.ndarray:
    """Tensor as an array; PyTorch would enlarge a storage that is too small.

    Args:
        storage (torch.TypedStorage): Its memory.
        offset (int): Position of the first element.
        size (tuple[int]): Shape.
        stride (tuple[int]): Elements between neighbours, per axis.
    """
    import torch

    flat = torch.tensor([], dtype=storage.dtype).set_(storage)
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (
        0 not in size and last >= flat.numel()
    ):
        raise pickle.UnpicklingError('a tensor is larger than its storage')
    found = torch.as_strided(flat, size, stride, offset)
    # NumPy has no such numbers.
    return (found.float() if found.dtype == torch.bfloat16 else found).numpy()


# What stands for the classes and functions that files may name. Records are
# objects whose attributes are all there is to them.
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ('_codecs', 'encode'): _encode,
    ('__builtin__', 'bytes'): _no_bytes,
    ('__builtin__', 'frozenset'): frozenset,
    ('__builtin__', 'set'): set,
    ('builtins', 'bytes'): _no_bytes,
    ('builtins', 'frozenset'): frozenset,
    ('builtins', 'set'): set,
    ('collections', 'OrderedDict'): OrderedDict,
    ('torch._utils', '_rebuild_tensor_v2'): _tensor,
    ('torch.storage', '_load_from_bytes'): _storage,
    (
        'mmdet.structures.bbox.horizontal_boxes',
        'HorizontalBoxes',
    ): SimpleNamespace,
    (
        'mmengine.structures.instance_data',
        'InstanceData',
    ): SimpleNamespace,
}


def _check_dtype(dtype: np.dtype, state: Any) -> None:
    """Refuse a state that NumPy would crash on: fields, or another size."""
    simple = (
        isinstance(state, tuple)
        and len(state) >= 7
        and state[1] in ('<', '>', '|', '=')
        and state[2] is state[3] is state[4] is None
        and state[5] in (-1, dtype.itemsize)
        and isinstance(state[6], int)
        and -1 <= state[6] <= 64
        and dtype.kind in 'biufcSUO'
    )
    if not simple:
        raise pickle.UnpicklingError(f'a dtype of state {state!r:.80}')


def _check_array(state: Any) -> None:
    """Refuse an array whose shape, type and content do not fit."""
    shape, dtype, _, content = (
        state[-4:] if isinstance(state, tuple) and len(state) > 3 else [()] * 4
    )
    if not (
        isinstance(shape, tuple)
        and all(isinstance(n, int) and n >= 0 for n in shape)
        and isinstance(dtype, np.dtype)
        and isinstance(content, list if dtype.hasobject else bytes)
        and math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize)
        == len(content)
    ):
        raise pickle.UnpicklingError(f'an array of state {state!r:.80}')


class _ArraysOnly(pickle._Unpickler):
    """Loads containers, numbers, strings and arrays, and runs nothing."""

    read: Any
    append: Any

    def find_class(self, module: str, name: str) -> Any:
        """Look up what the file may call."""
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        if _ARRAY_MODULES.fullmatch(module):
            if name in ('ndarray', '_reconstruct'):
                return _ArrayType if name == 'ndarray' else _new_array
            if name in ('dtype', 'scalar', '_frombuffer'):
                return super().find_class(module, name)
        raise _Refused(f'{module}.{name}')

    def load_bytearray8(self) -> None:
        """Read what protocol 5 has of an array, before allocating for it."""
        (length,) = struct.unpack('<Q', self.read(8))
        content = self.read(length)
        if len(content) < length:
            raise pickle.UnpicklingError('an array is truncated')
        self.append(bytearray(content))

    def load_build(self) -> None:
        """Set the state of an object; NumPy trusts that of its own."""
        state, target = self.stack[-1], self.stack[-2]
        if isinstance(target, np.dtype):
            _check_dtype(target, state)
        elif isinstance(target, np.ndarray):
            _check_array(state)
        super().load_build()  # type: ignore[misc]

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }


def read_pickle(
    path: str | os.PathLike[str], trust: bool = False, way_out: str = ''
) -> Any:
    """Read a pickle of containers, numbers, strings, arrays and tensors.

    Args:
        path (str or PathLike): The file.
        trust (bool): Load whatever it holds; this runs code that the file
            names. Defaults to False.
        way_out (str): What the user may do about a file that holds something
            else, for the message.

    Returns:
        Any: The content. ``InstanceData`` and ``HorizontalBoxes`` are objects
        with their attributes, tensors are arrays, unless ``trust``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no pickle, damaged, or holds something else.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"'{path}' does not exist")
    if not os.path.getsize(path):
        raise ValueError(f"'{path}' is empty")
    try:
        with open(path, 'rb') as file:
            if trust:
                return pickle.load(file, encoding='latin1')
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _ArraysOnly(data, encoding='latin1').load()
    except _Refused as error:
        raise ValueError(
            f"'{path}' holds {error}: loading it may run code that the file "
            f'names{way_out and "; " + way_out}'
        ) from None
    # Unpickling damaged files raises almost anything.
    except Exception as error:
        raise ValueError(
            f"'{path}' is no pickle, or truncated "
            f'({type(error).__name__}: {error})'
        ) from None
