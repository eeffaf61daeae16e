"""What the converters share: finding files, shards, processes, the report.

A converter parses its command line with :func:`add_arguments`, lists its work
with :func:`find_files` and :func:`take_shard`, does it with :func:`run_all`
and exits with what :func:`report` returns.
"""

import argparse
import glob
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.fileio import dump, load
from mmengine.utils import track_progress_rich

from mmxdistill.atomic import atomic_write


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


def add_arguments(
    parser: argparse.ArgumentParser, source: str, lists: bool = True
) -> None:
    """Add SOURCE, OUT, --root, --jobs, --shard and --overwrite.

    Args:
        parser (argparse.ArgumentParser): Parser of the converter.
        source (str): What SOURCE may be.
        lists (bool): SOURCE may be a list of files: add --root. Defaults to
            True.
    """
    parser.add_argument('source', type=Path, metavar='SOURCE', help=source)
    parser.add_argument(
        'out', type=Path, metavar='OUT', help='folder to write'
    )
    if lists:
        parser.add_argument(
            '--root',
            type=Path,
            help='folder to which the paths of a list are relative '
            '(default: that of the list)',
        )
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --jobs, --shard and --overwrite.

    Args:
        parser (argparse.ArgumentParser): Parser of a tool whose inputs are
            others than those of :func:`add_arguments`.
    """
    parser.add_argument(
        '--jobs',
        type=_positive,
        default=os.cpu_count() or 1,
        help='processes (default: one per CPU)',
    )
    parser.add_argument(
        '--shard',
        type=_shard,
        default=(1, 1),
        metavar='I/N',
        help='do the I-th of N parts (I from 1), e.g. --shard '
        '$SLURM_ARRAY_TASK_ID/8',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='write files again that are there',
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no positive number')
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise argparse.ArgumentTypeError(
        f'{text!r}: write I/N with 1 <= I <= N, e.g. 1/8 to 8/8'
    )


def natural_key(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sort key by which frame 2 comes before frame 10."""
    name = path.as_posix()
    pairs = re.findall(r'(\D*)(\d*)', name)
    return [(text, int(number or -1)) for text, number in pairs], name


def walk(folder: Path, suffixes: Sequence[str]) -> list[Source]:
    """List the files of a folder and its sub-folders, in natural order."""
    found = [
        Source(path, path.relative_to(folder))
        for path in folder.rglob('*')
        if path.suffix.lower() in suffixes and path.is_file()
    ]
    return sorted(found, key=lambda item: natural_key(item.name))


def find_files(
    source: Path, suffixes: Sequence[str], root: Path | None = None
) -> list[Source]:
    """List the files of a folder, of a list or pattern, or the one file given.

    Args:
        source (Path): A folder (searched with its sub-folders), a ``.txt``
            list (first column = path; lines that begin with ``#`` are
            comments), a pattern of files (``*``, ``?``, ``[...]``; names are
            relative to the last folder without these), or a file.
        suffixes (Sequence[str]): Of the files wanted in a folder, in lower
            case.
        root (Path, optional): Folder to which the paths of a list are
            relative. Defaults to the folder of the list.

    Returns:
        list[Source]: In natural order; a list keeps its own.

    Raises:
        SystemExit: There is no such file or folder, nothing is found, or a
            list names two files of the same relative path.
    """
    if source.is_dir():
        found = walk(source, suffixes)
    elif not source.exists() and glob.has_magic(str(source)):
        found = _matching(source)
    elif not source.is_file():
        raise SystemExit(f'Error: {source} does not exist')
    elif source.suffix == '.txt':
        found = list(_listed(source, root or source.parent))
    else:
        found = [Source(source, Path(source.name))]
    if not found:
        raise SystemExit(
            f'Error: {source} holds no file of type {", ".join(suffixes)}'
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


def check_apart(source: Path, *outputs: Path) -> None:
    """Check that the next run will not take what this one writes as input.

    Raises:
        SystemExit: An output folder is the source folder, or inside it.
    """
    for output in outputs:
        if output.resolve().is_relative_to(source.resolve()):
            raise SystemExit(
                f'Error: {output} is inside {source}, and would be taken as '
                'input next time: write to another folder'
            )


def check_settings(
    out: Path, settings: dict[str, Any], overwrite: bool
) -> None:
    """Record the settings in OUT, or check that they are those of before.

    Args:
        out (Path): Output folder.
        settings (dict): All that the files in it depend on, as JSON holds it.
        overwrite (bool): The files will be made again.

    Raises:
        SystemExit: OUT holds files that were made differently.
    """
    file = out / 'settings.json'
    if file.exists() and not overwrite:
        before = load(file)
        if before != settings:
            raise SystemExit(
                f'Error: the files in {out} were made with {before}, but now '
                f'the settings are {settings}: write to another folder, or '
                'give --overwrite'
            )
    with atomic_write(file) as stream:
        stream.write(dump(settings, file_format='json').encode())


def _listed(file: Path, root: Path) -> Iterator[Source]:
    names = set()
    for line in file.read_text(encoding='utf-8').splitlines():
        column = re.split(r'[,\s]+', line.strip())[0]
        if not column or column.startswith('#'):
            continue
        path = Path(column)
        # Never write outside the output folder.
        inside = not path.is_absolute() and '..' not in path.parts
        name = path if inside else Path(path.name)
        if name in names:
            raise SystemExit(
                f'Error: {file} names {name} twice, and both would be '
                'written to the same place: use paths below --root'
            )
        names.add(name)
        yield Source(root / path, name)


def take_shard(items: Sequence[Any], shard: tuple[int, int]) -> list[Any]:
    """Every N-th item, from the I-th on: ``shard`` is (I, N)."""
    part, parts = shard
    return list(items[part - 1 :: parts])


class _Captured:
    """A function whose errors are results, in a process of one thread."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, item: Any) -> tuple[Any, str | None]:
        cv2.setNumThreads(1)
        try:
            return self.function(item), None
        except Exception as error:
            # str() of a KeyError is the quoted message.
            text = error.args[0] if isinstance(error, KeyError) else error
            return None, f'{item}: {type(error).__name__}: {text}'


def run_all(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    jobs: int,
    description: str,
) -> tuple[list[tuple[Any, Any]], list[str]]:
    """Call a function for every item, in parallel and with progress.

    Args:
        function (Callable): Takes an item; picklable if ``jobs`` > 1.
        items (Sequence): Its arguments; ``str(item)`` names one in messages.
        jobs (int): Processes.
        description (str): What the progress bar says.

    Returns:
        tuple: ``(item, result)`` of the calls that succeeded, and a message
        for each that raised.
    """
    if not items:
        return [], []
    try:
        outcomes = track_progress_rich(
            _Captured(function),
            [(item,) for item in items],
            nproc=min(jobs, len(items)),
            description=description,
        )
    except KeyboardInterrupt:
        raise SystemExit(
            '\nInterrupted: the same command goes on from here.'
        ) from None
    done = [
        (item, result)
        for item, (result, problem) in zip(items, outcomes, strict=True)
        if problem is None
    ]
    return done, [problem for _, problem in outcomes if problem is not None]


def report(out: Path, written: int, present: int, failures: list[str]) -> int:
    """Print what was done.

    Args:
        out (Path): Output folder.
        written (int): Files written.
        present (int): Files that were there before.
        failures (list[str]): One message per file that failed.

    Returns:
        int: Exit status: 1 if anything failed, else 0.
    """
    print(
        f'{out}: {written} written, {present} already there, '
        f'{len(failures)} failed'
    )
    for failure in failures:
        print(f'  {failure}', file=sys.stderr)
    return int(bool(failures))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a PNG file; it appears only when it is complete.

    Raises:
        ValueError: OpenCV cannot encode the image.
    """
    done, content = cv2.imencode('.png', image)
    if not done:
        raise ValueError(f'{path}: OpenCV cannot write {image.dtype} images')
    with atomic_write(path) as file:
        file.write(content.tobytes())
