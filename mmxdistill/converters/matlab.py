"""Reading of MATLAB files, with errors that say what is wrong."""

from __future__ import annotations

import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

from scipy.io import loadmat

__all__ = ['read_mat']

_HEADER = 128
_MI_MATRIX, _MI_COMPRESSED = 14, 15
_MX_CELL, _MX_STRUCT, _MX_OBJECT, _MX_SPARSE = 1, 2, 3, 5
_COMPLEX = 0x800
_MX_LAST = 15  # beyond: functions and opaque objects
_NUMBERS = {*range(1, 8), 9, 12, 13, 16, 17, 18}  # types of their data
_MAX_DEPTH = 64
_MAX_DIMS = 32
# Deflate makes nothing smaller than that.
_MAX_RATIO = 1032


def read_mat(path: Path, *names: str, simplify: bool = True) -> list[Any]:
    """Read variables of a MATLAB file of version 5 to 7.

    Args:
        path (Path): The file.
        *names (str): The variables.
        simplify (bool): Structs become dicts, and arrays lose their axes of
            length 1; else structs and cells stay object arrays. Defaults to
            True.

    Returns:
        list: Their values, in this order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such file, damaged, or lacks a variable.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    try:
        data = path.read_bytes()
        _check_sizes(data)
        content = loadmat(io.BytesIO(data), simplify_cells=simplify)
    # SciPy raises almost anything on damaged files, depending on the place.
    except Exception as error:
        raise ValueError(
            f"'{path}' is damaged or no MATLAB file of version 5 to 7 "
            f'({type(error).__name__}: {error})'
        ) from error
    found = sorted(key for key in content if not key.startswith('__'))
    missing = [name for name in names if name not in content]
    if missing:
        raise ValueError(
            f"'{path}' has no variable {', '.join(missing)}, only "
            f'{found[:8]}: is it another file?'
        )
    return [content[name] for name in names]


def _check_sizes(content: bytes) -> None:
    """Check that no part says it is larger than its place in the file.

    SciPy allocates what a part says before it reads, which may be gigabytes
    for a damaged byte.

    Raises:
        ValueError: One does.
    """
    orders = {b'IM': '<', b'MI': '>'}
    order = orders.get(content[_HEADER - 2 : _HEADER])
    if order is None:
        raise ValueError('it has no header of version 5')
    parts = _Parts(memoryview(content), order)
    place = _HEADER
    while place < len(content):
        kind, begin, end, place = parts.tag(place, len(content), pad=False)
        if kind == _MI_COMPRESSED:
            _inflate(content[begin:end], order).check(0)
        elif kind == _MI_MATRIX:
            parts.matrix(begin, end, 0)


def _inflate(content: bytes, order: str) -> _Parts:
    """A compressed variable, if it can be as long as it says."""
    stream = zlib.decompressobj()
    tag = stream.decompress(content, 8)
    if len(tag) < 8:
        raise ValueError('a variable is truncated')
    _, length = Struct(f'{order}II').unpack(tag)
    if length > _MAX_RATIO * len(content):
        raise ValueError(
            f'a variable of {len(content)} bytes says it is {length} long'
        )
    rest = stream.decompress(stream.unconsumed_tail, max(length, 1))
    return _Parts(memoryview(tag + rest), order)


@dataclass
class _Parts:
    """Elements of the file format, which lie in each other."""

    content: memoryview
    order: str

    def __post_init__(self) -> None:
        self._pair = Struct(f'{self.order}II')
        self._int = Struct(f'{self.order}i')

    def check(self, depth: int) -> None:
        kind, begin, end, _ = self.tag(0, len(self.content))
        if kind == _MI_MATRIX:
            self.matrix(begin, end, depth)

    def tag(
        self, place: int, limit: int, pad: bool = True
    ) -> tuple[int, int, int, int]:
        """Type, begin and end of an element, and the place of the next."""
        if place + 8 > limit:
            raise ValueError(f'byte {place}: an element is truncated')
        kind, length = self._pair.unpack_from(self.content, place)
        if kind >> 16:  # a small element: its data are in the tag
            length, kind = kind >> 16, kind & 0xFFFF
            begin, following = place + 4, place + 8
            limit = following
        else:
            begin = place + 8
            following = begin + (-(-length // 8) * 8 if pad else length)
        if begin + length > limit:
            raise ValueError(
                f'byte {place}: an element of {length} bytes where '
                f'{limit - begin} are left'
            )
        return kind, begin, begin + length, following

    def matrix(self, place: int, end: int, depth: int) -> None:
        """Check an array and those inside of it."""
        if place == end:  # an empty array
            return
        if depth > _MAX_DEPTH:
            raise ValueError(f'arrays in arrays, {depth} deep')
        _, begin, stop, place = self.tag(place, end)
        if stop - begin != 8:
            raise ValueError(f'array flags of {stop - begin} bytes')
        flags, _ = self._pair.unpack_from(self.content, begin)
        kind = flags & 0xFF
        if kind > _MX_LAST:
            return
        if kind < _MX_CELL:
            raise ValueError(f'an array of the class {kind}')
        _, begin, stop, place = self.tag(place, end)
        dims = [
            self._int.unpack_from(self.content, i)[0]
            for i in range(begin, stop - 3, 4)
        ]
        if not 2 <= len(dims) <= _MAX_DIMS or min(dims) < 0:
            raise ValueError(f'an array of the shape {dims[:_MAX_DIMS]}')
        number = math.prod(dims)
        _, _, _, place = self.tag(place, end)  # its name
        if kind in (_MX_STRUCT, _MX_OBJECT):
            fields, place = self._count_fields(place, end, kind)
            number *= fields
        elif kind != _MX_CELL:
            wanted = 1 + 2 * (kind == _MX_SPARSE) + bool(flags & _COMPLEX)
            self._check_numbers(place, end, number, wanted)
            return
        if 8 * number > end - place:
            raise ValueError(
                f'{number} elements in {max(0, end - place)} bytes'
            )
        for _ in range(number):
            inner, begin, stop, place = self.tag(place, end)
            if inner == _MI_MATRIX:
                self.matrix(begin, stop, depth + 1)

    def _count_fields(
        self, place: int, end: int, kind: int
    ) -> tuple[int, int]:
        """Number of fields of a struct, and the place of the first."""
        if kind == _MX_OBJECT:
            _, _, _, place = self.tag(place, end)  # name of its class
        _, begin, _, place = self.tag(place, end)
        (length,) = self._int.unpack_from(self.content, begin)
        _, begin, stop, place = self.tag(place, end)
        if length <= 0 or (stop - begin) % length:
            raise ValueError(f'field names of {length} characters')
        return (stop - begin) // length, place

    def _check_numbers(
        self, place: int, end: int, number: int, wanted: int
    ) -> None:
        """Check real and imaginary part, and the places of a sparse array."""
        for _ in range(wanted):
            kind, begin, stop, place = self.tag(place, end)
            # SciPy looks others up beyond the end of a table.
            if kind not in _NUMBERS:
                raise ValueError(f'numbers of the type {kind}')
            if wanted <= 2 and number > stop - begin:
                raise ValueError(f'{number} numbers in {stop - begin} bytes')
