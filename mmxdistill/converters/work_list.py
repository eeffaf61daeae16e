"""Finding the files to convert, and the part of them that a run does."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

__all__ = [
    'Source',
    'check_apart',
    'find_files',
    'natural_key',
    'take_shard',
    'walk',
    'walk_folders',
]


@dataclass(frozen=True)
class Source:
    """A file to convert.

    Attributes:
        path: Where it is.
        name: Its path below the source folder (or the root of the list),
            which is its place below the output folder, too.
    """

    path: Path
    name: Path

    def __str__(self) -> str:
        """Path, as the report names the file."""
        return str(self.path)


def natural_key(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sort key by which frame 2 comes before frame 10."""
    name = path.as_posix()
    pairs = re.findall(r'(\D*)(\d*)', name)
    return [(text, int(number or -1)) for text, number in pairs], name


def walk_folders(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Walk a folder like ``os.walk``, also through links.

    A link to a folder above itself is left out: it would never end.
    """
    # Of every folder to come, the real paths of those above it.
    above: dict[str, frozenset[str]] = {}
    for place, folders, files in os.walk(root, followlinks=True):
        chain = above.pop(place, frozenset()) | {os.path.realpath(place)}
        folders[:] = sorted(
            name
            for name in folders
            if os.path.realpath(os.path.join(place, name)) not in chain
        )
        yield Path(place), folders, files
        above.update((os.path.join(place, name), chain) for name in folders)


def walk(folder: Path, suffixes: Sequence[str]) -> list[Source]:
    """List the files of a folder and its sub-folders, in natural order.

    Args:
        folder (Path): The folder; links to folders are followed.
        suffixes (Sequence[str]): Of the files wanted, in lower case; files
            may have them in upper case.

    Returns:
        list[Source]: The files.
    """
    found = [
        Source(place / name, (place / name).relative_to(folder))
        for place, _, names in walk_folders(folder)
        for name in names
        if Path(name).suffix.lower() in suffixes and (place / name).is_file()
    ]
    return sorted(found, key=lambda item: natural_key(item.name))


def find_files(
    source: Path, suffixes: Sequence[str], root: Path | None = None
) -> list[Source]:
    """List the files of a folder, of a list or pattern, or the one file given.

    Args:
        source (Path): A folder (searched with its sub-folders), a ``.txt``
            list (first column = path, see
            :func:`mmxdistill.datasets.lists.read_list`), a pattern of files
            (``*``, ``?``, ``[...]``; names are relative to the last folder
            without these), or a file.
        suffixes (Sequence[str]): Of the files wanted in a folder, in lower
            case.
        root (Path, optional): Folder to which the paths of a list are
            relative. Defaults to the folder of the list.

    Returns:
        list[Source]: In natural order; a list keeps its own.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: Nothing is found, or a list cannot be read or names two
            files of the same relative path.
    """
    if source.is_dir():
        found = walk(source, suffixes)
    elif not source.exists() and glob.has_magic(str(source)):
        found = _matching(source)
    elif not source.is_file():
        raise FileNotFoundError(f'{source} does not exist')
    elif source.suffix.lower() == '.txt':
        found = list(_listed(source, root or source.parent))
    else:
        found = [Source(source, Path(source.name))]
    if not found:
        raise ValueError(
            f'{source} holds no file of type {", ".join(suffixes)}'
        )
    return found


def _matching(pattern: Path) -> list[Source]:
    plain = takewhile(lambda part: not glob.has_magic(part), pattern.parts)
    folder = Path(*plain)
    found = [
        Source(path, path.relative_to(folder))
        for path in map(Path, glob.glob(str(pattern), recursive=True))
        if path.is_file()
    ]
    return sorted(found, key=lambda item: natural_key(item.name))


def _listed(file: Path, root: Path) -> Iterator[Source]:
    from mmxdistill.datasets.lists import read_list

    names = set()
    for row in read_list(file):
        path = _first_column(row, root, file)
        # Never write outside the output folder.
        inside = not path.is_absolute() and '..' not in path.parts
        name = path if inside else Path(path.name)
        if name in names:
            raise ValueError(
                f'{file} names {name} twice, and both would be written to '
                'the same place: use paths below --root'
            )
        names.add(name)
        yield Source(root / path, name)


def _first_column(row: list[str], root: Path, file: Path) -> Path:
    """The path of a row, also if it has blanks and no quotes."""
    first, whole = Path(row[0]), Path(' '.join(row))
    if first == whole or not (root / whole).exists():
        return first
    if (root / first).exists():
        raise ValueError(
            f"{file}: '{whole}' may be one file or '{first}' with another "
            'column, and both exist: separate columns by tabs'
        )
    return whole


def check_apart(source: Path, *outputs: Path) -> None:
    """Check that the next run will not take what this one writes as input.

    Raises:
        ValueError: An output folder is the source folder, or inside it.
    """
    for output in outputs:
        if output.resolve().is_relative_to(source.resolve()):
            raise ValueError(
                f'{output} is inside {source}, and would be taken as input '
                'next time: write to another folder'
            )


def take_shard(items: Sequence[Any], shard: tuple[int, int]) -> list[Any]:
    """Every N-th item, from the I-th on: ``shard`` is (I, N)."""
    part, parts = shard
    return list(items[part - 1 :: parts])
