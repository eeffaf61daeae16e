"""MOTChallenge sequences: frames and boxes of pedestrians."""

from __future__ import annotations

import configparser
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmxdistill.converters.coco import clip_box
from mmxdistill.converters.images import read_image
from mmxdistill.converters.video_frames import list_frames
from mmxdistill.text_files import read_text

__all__ = ['CLASSES', 'LABEL_FILES', 'MOTBox', 'MOTSequence', 'read_sequence']

CLASSES = ('person',)
LABEL_FILES = dict(gt='gt/gt.txt', det='det/det.txt')

# frame, id, x, y, width, height, flag or score, ...
_MIN_COLUMNS = 7
# Files of MOT16 and later say in these what a box is and how visible; those
# of 2015 have ten columns, of which the last three are a place in 3-D.
_COLUMNS_WITH_CLASS = 9
_COLUMNS_OF_2015 = (7, 10)
# Class numbers of MOTChallenge, from 1.
_MOT_LABELS = (
    'pedestrian',
    'person on vehicle',
    'car',
    'bicycle',
    'motorbike',
    'non motorized vehicle',
    'static person',
    'distractor',
    'occluder',
    'occluder on the ground',
    'occluder full',
    'reflection',
    'crowd',
)
_WANTED = ('pedestrian', 'person')
# Neither right nor wrong to detect.
_IGNORED = ('person on vehicle', 'static person', 'distractor', 'reflection')
_LABELS = 'labels.txt'


@dataclass(frozen=True)
class MOTBox:
    """A box.

    Attributes:
        box: x1, y1, x2, y2, pixels, inside the image; the left edge of the
            first pixel is 0.
        track: Number of the person, -1 if not known.
        score: 1 for labels, that of the detector for detections.
        ignored: Neither right nor wrong to detect.
    """

    box: tuple[float, float, float, float]
    track: int
    score: float
    ignored: bool


@dataclass(frozen=True, eq=False)
class MOTSequence:
    """A sequence.

    Attributes:
        name: Of its folder.
        frames: Its images in order, all of one folder.
        size: Height and width, pixels.
        boxes: Boxes of each frame.
        counts: Number of boxes that were ``cut off at the border``, are
            ``of other classes``, or ``outside the image or empty``.
        skipped: A message per box of the last kind.
    """

    name: str
    frames: tuple[Path, ...]
    size: tuple[int, int]
    boxes: tuple[tuple[MOTBox, ...], ...]
    counts: Counter[str]
    skipped: tuple[str, ...]


def read_sequence(folder: Path, kind: str = 'gt') -> MOTSequence:
    """Read a sequence.

    ::

        img1/000001.jpg ...
        gt/gt.txt             (or det/det.txt)
        gt/labels.txt         (names of the classes, if they are others)
        seqinfo.ini           (checked if it is there)

    Without ``labels.txt``, class numbers are MOTChallenge's. Tools such as
    CVAT export others with this file: classes are then taken by their name.

    Args:
        folder (Path): The sequence.
        kind (str): ``gt`` for the labels, ``det`` for the detections that
            come with the sequences. Defaults to 'gt'.

    Returns:
        MOTSequence: The sequence.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: A part is damaged, or they do not fit.
    """
    if kind not in LABEL_FILES:
        raise ValueError(
            f'boxes are one of {", ".join(LABEL_FILES)}, not {kind!r}'
        )
    frames = list_frames(folder / 'img1')
    height, width = read_image(frames[0]).shape[:2]
    _check_info(folder / 'seqinfo.ini', len(frames), height, width)
    boxes: list[list[MOTBox]] = [[] for _ in frames]
    counts: Counter[str] = Counter()
    skipped = []
    path = folder / LABEL_FILES[kind]
    rows = _read_rows(path, len(frames))
    labels = _class_names(folder, path, rows) if kind == 'gt' else None
    for row in rows:
        ignored = kind == 'gt' and row[6] == 0
        if labels is not None:
            label = labels[int(row[7]) - 1]
            ignored |= label in _IGNORED
            if label not in _WANTED and label not in _IGNORED:
                counts['of other classes'] += 1
                continue
        # The first pixel is 1.
        x, y = row[2] - 1, row[3] - 1
        corners = np.array([x, y, x + row[4], y + row[5]])
        inside, cut = clip_box(corners, width, height)
        frame, track = int(row[0]), int(row[1])
        if inside is None:
            counts['outside the image or empty'] += 1
            skipped.append(
                f'{folder.name} frame {frame} id {track}: '
                f'({", ".join(f"{value:g}" for value in row[2:6])}) is '
                f'outside the {width}x{height} image or empty'
            )
            continue
        counts['cut off at the border'] += cut
        score = 1.0 if kind == 'gt' else float(row[6])
        boxes[frame - 1].append(MOTBox(inside, track, score, bool(ignored)))
    return MOTSequence(
        folder.name,
        frames,
        (height, width),
        tuple(map(tuple, boxes)),
        +counts,
        tuple(skipped),
    )


def _class_names(
    folder: Path, path: Path, rows: list[list[float]]
) -> tuple[str, ...] | None:
    """Names of the classes, None if the boxes have no class: pedestrians.

    Raises:
        ValueError: It is not known what the numbers in the file mean.
    """
    columns = len(rows[0])
    places = (folder / 'gt', folder, folder.parent)
    found = [place / _LABELS for place in places]
    file = next(filter(Path.is_file, found), None)
    names: tuple[str, ...] = _MOT_LABELS
    if file is not None:
        lines = read_text(file).splitlines()
        names = tuple(
            re.sub(r'[\s_-]+', ' ', line.strip().lower()) for line in lines
        )
        while names and not names[-1]:
            names = names[:-1]
        if not set(names) & set(_WANTED):
            raise ValueError(
                f"'{file}' names the classes {list(names)}, of which none is "
                f'{" or ".join(_WANTED)}: rename the one that is'
            )
    if columns == _COLUMNS_WITH_CLASS:
        unknown = {row[7] for row in rows} - set(range(1, len(names) + 1))
        if unknown:
            raise ValueError(
                f"'{path}' has the class {min(unknown):g}, but "
                f'{file or "MOTChallenge"} has 1 to {len(names)}: name the '
                f"classes in '{found[0]}', one a line, the first is class 1"
            )
        return names
    if file is not None and set(names) - set(_WANTED):
        raise ValueError(
            f"'{file}' names {len(names)} classes, but the {columns} columns "
            f"of '{path}' say no class: nine are needed (frame, id, x, y, "
            'width, height, flag, class, visible part)'
        )
    if columns not in _COLUMNS_OF_2015 or _is_visdrone(rows):
        raise ValueError(
            f"'{path}' has {columns} columns that are not those of "
            'MOTChallenge (VisDrone has ten: ..., category, truncation, '
            'occlusion): write frame, id, x, y, width, height, flag, class, '
            f"visible part, and name the classes in '{found[0]}'"
        )
    return None


def _is_visdrone(rows: list[list[float]]) -> bool:
    """Whether the last of ten columns hold no place, but small integers."""
    last = {tuple(row[7:]) for row in rows}
    return last != {(-1, -1, -1)} and all(
        len(row) == 3
        and row[0] in range(12)
        and row[1] in (-1, 0, 1)
        and row[2] in (-1, 0, 1, 2)
        for row in last
    )


def _check_info(path: Path, length: int, height: int, width: int) -> None:
    if not path.is_file():
        return
    parser = configparser.ConfigParser()
    try:
        parser.read_string(read_text(path))
        section = parser['Sequence']
        names = ('seqLength', 'imWidth', 'imHeight')
        stated = tuple(section.getint(name) for name in names)
    except (configparser.Error, KeyError, ValueError) as error:
        raise ValueError(f"'{path}' cannot be read: {error}") from None
    if stated != (length, width, height):
        raise ValueError(
            f"'{path}' says {stated[0]} frames of {stated[1]}x{stated[2]}, "
            f'but there are {length} of {width}x{height}: the sequence is '
            'incomplete'
        )


def _read_rows(path: Path, length: int) -> list[list[float]]:
    if not path.is_file():
        raise FileNotFoundError(
            f"'{path}' does not exist (test sequences have det/det.txt only)"
        )
    rows: list[list[float]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        cells = line.split(',')
        if not line.strip():
            continue
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if (
            len(row) < _MIN_COLUMNS
            or not np.isfinite(row[:7]).all()
            or any(value % 1 for value in row[:2])
        ):
            raise ValueError(
                f"'{path}' line {number}: expected frame, id, x, y, "
                f'width, height, flag, ...; found {line[:80]!r}'
            )
        if not 1 <= row[0] <= length:
            raise ValueError(
                f"'{path}' line {number}: frame {row[0]:g}, but the "
                f'sequence has frames 1 to {length}'
            )
        if rows and len(rows[0]) != len(row):
            raise ValueError(
                f"'{path}' line {number} has {len(row)} columns, line 1 "
                f'has {len(rows[0])}: the file is damaged'
            )
        rows.append(row)
    if not rows:
        raise ValueError(f"'{path}' is empty")
    return rows
