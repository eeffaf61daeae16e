"""Lists of samples: the one format that is written, and those people have."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmxdistill.atomic import atomic_write
from mmxdistill.text_files import read_text

__all__ = ['read_list', 'write_list']

_COMMENT = '#'
# A cell that could be taken for several, or for a comment.
_TO_QUOTE = re.compile(r'[\s,"]|^#|^$')
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_list(path: str | os.PathLike[str]) -> list[list[str]]:
    """Read the rows of a list.

    Columns are separated by tabs if the file has any, else by commas if it
    has any, else by blanks. A name with blanks needs one of the former two,
    or double quotes (``"cam 2.jpg"``; a quote inside is written twice).
    Empty lines and those that begin with ``#`` are left out.

    Args:
        path (str or PathLike): Text in UTF-8 (or UTF-16 with its mark).

    Returns:
        list[list[str]]: The cells of each row; all rows have as many.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such text, a quote has no end, or rows have
            different numbers of columns, as when names with blanks are not
            quoted.
    """
    lines = [
        (number, line.strip(' \r'))
        for number, line in enumerate(read_text(path).split('\n'), 1)
        if line.strip() and not line.lstrip().startswith(_COMMENT)
    ]
    plain = [_QUOTED.sub('', line) for _, line in lines]
    delimiter = next(
        (mark for mark in '\t,' if any(mark in line for line in plain)), ' '
    )
    rows: list[list[str]] = []
    for number, line in lines:
        try:
            row = _cells(line, delimiter)
        except csv.Error as error:
            raise ValueError(
                f"'{path}' line {number}: {error}: {line[:80]!r}"
            ) from None
        if rows and len(row) != len(rows[0]):
            raise ValueError(
                f"'{path}' line {number} has {len(row)} columns, but line "
                f'{lines[0][0]} has {len(rows[0])}: {line[:80]!r}. Names with '
                'blanks need tabs between the columns, or double quotes'
            )
        rows.append(row)
    return rows


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == ' ':
        # Any number of blanks separates, also those the csv module keeps.
        line = ' '.join(_split_quoted(line))
    (cells,) = csv.reader(
        [line], delimiter=delimiter, skipinitialspace=True, strict=True
    )
    return [cell.strip() for cell in cells]


def _split_quoted(line: str) -> list[str]:
    return re.findall(r'"(?:[^"]|"")*"\S*|\S+', line)


def write_list(
    path: str | os.PathLike[str],
    rows: Iterable[Sequence[str] | str],
    comments: Iterable[str] = (),
) -> None:
    """Write a list that :func:`read_list` reads back; complete or not at all.

    Columns are separated by tabs, and cells in which a blank, a comma or the
    like could be misread are in double quotes (the csv module's).

    Args:
        path (str or PathLike): The file.
        rows (Iterable): Cells of each row; a string is a row of one.
        comments (Iterable[str]): Lines before the rows, without ``#``.

    Raises:
        ValueError: A cell has a line break or blanks at an end, or is the
            name of a file that is not UTF-8.
    """
    lines = [f'{_COMMENT} {" ".join(text.split())}' for text in comments]
    for row in rows:
        cells = [row] if isinstance(row, str) else row
        lines.append('\t'.join(map(_quote, cells)))
    with atomic_write(Path(path)) as file:
        file.writelines(f'{line}\n'.encode() for line in lines)


def _quote(cell: str) -> str:
    try:
        cell.encode()
    except UnicodeEncodeError:  # a file name of another encoding
        is_text = False
    else:
        is_text = cell == cell.strip() and len(cell.splitlines()) <= 1
    if not is_text:
        raise ValueError(
            f'{cell!r} cannot be in a list: rename it (it has a line break, '
            'blanks at an end, or is not UTF-8)'
        )
    if _TO_QUOTE.search(cell):
        return '"{}"'.format(cell.replace('"', '""'))
    return cell
