"""Reading of text files that other programs have written."""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

__all__ = ['read_json', 'read_text']

_MARKS = (
    (codecs.BOM_UTF8, 'utf-8'),
    (codecs.BOM_UTF16_LE, 'utf-16-le'),
    (codecs.BOM_UTF16_BE, 'utf-16-be'),
)


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file in UTF-8, or in UTF-16 if it begins with its mark.

    Args:
        path (str or PathLike): The file.

    Returns:
        str: Its content without the byte order mark.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is in another encoding (Latin-1) or no text.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    content = Path(path).read_bytes()
    encoding = 'utf-8'
    for mark, name in _MARKS:
        if content.startswith(mark):
            content, encoding = content[len(mark) :], name
            break
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        found = content[max(0, error.start - 20) : error.start + 20]
        raise ValueError(
            f"'{path}' line {line} is not {encoding.upper()} "
            f'({found!r}): save the file as UTF-8, from Latin-1 by '
            f"iconv -f LATIN1 -t UTF-8 '{path}' > NEW"
        ) from None
    if '\0' in text:
        raise ValueError(
            f"'{path}' is no text, or UTF-16 without its mark: save the file "
            'as UTF-8'
        )
    return text


def read_json(path: str | os.PathLike[str], unique: bool = False) -> Any:
    """Read a JSON file.

    Args:
        path (str or PathLike): The file, see :func:`read_text`.
        unique (bool): Refuse objects that have a key twice, of which Python
            takes the last. Defaults to False.

    Returns:
        Any: Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON, or has a key twice.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_once if unique else None)
    except _RepeatedKeyError as error:
        raise ValueError(
            f"'{path}' has the key {error} twice: leave one of them"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"'{path}' is no JSON file: {error}") from None


class _RepeatedKeyError(Exception):
    """A key of a JSON object that is there twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(repr(max(keys, key=keys.count)))
    return found
