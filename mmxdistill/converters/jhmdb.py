"""JHMDB: readers of its frames, splits, puppet masks and boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from mmxdistill.classes import JHMDB_CLASSES
from mmxdistill.converters.coco import clip_box
from mmxdistill.converters.images import read_image
from mmxdistill.converters.matlab import read_mat
from mmxdistill.converters.video_frames import list_frames
from mmxdistill.safe_pickle import read_pickle
from mmxdistill.text_files import read_text

__all__ = [
    'CLASSES',
    'SPLITS',
    'JHMDBFolder',
    'JHMDBVideo',
    'read_puppet_boxes',
    'read_split',
    'read_tubes',
]

CLASSES = JHMDB_CLASSES
SPLITS = (1, 2, 3)

_FRAMES = ('Rename_Images', 'Frames')
_MASKS = 'puppet_mask'
_TUBES = 'JHMDB-GT.pkl'
# Names contain spaces in no case, but #, (), & and !.
_LINE = re.compile(r'(\S+)\.avi\s+([12])')
_SUBSETS = {'1': 'train', '2': 'test'}

Boxes = list[np.ndarray]


@dataclass(frozen=True, eq=False)
class JHMDBVideo:
    """A video.

    Attributes:
        name: ``<class>/<video>``.
        frames: Its images in order.
        size: Height and width, pixels.
        boxes: Per frame, boxes (n, 4) float64 of the actors: x1, y1, x2, y2
            of the first and last column and row, counted from 0. Empty for
            frames that are not labelled.
        skipped: A message per box that is left out.
    """

    name: str
    frames: tuple[Path, ...]
    size: tuple[int, int]
    boxes: Boxes
    skipped: tuple[str, ...]

    @property
    def action(self) -> str:
        """One of :data:`CLASSES`."""
        return self.name.split('/')[0]


class JHMDBFolder:
    """The archives of JHMDB, unpacked into one folder.

    ::

        Rename_Images/<class>/<video>/00001.png ...   (or Frames/)
        splits/<class>_test_split1.txt ...
        puppet_mask/<class>/<video>/puppet_mask.mat   (or JHMDB-GT.pkl)

    Puppet masks are taken if both are there.

    Args:
        root (Path): The folder.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: The splits are not those of JHMDB.
    """

    def __init__(self, root: Path) -> None:
        found = [root / name for name in _FRAMES if (root / name).is_dir()]
        labels = [
            root / name for name in (_MASKS, _TUBES) if (root / name).exists()
        ]
        missing = [
            what
            for there, what in (
                (found, f'frames ({" or ".join(_FRAMES)})'),
                ((root / 'splits').is_dir(), 'splits'),
                (labels, f'labels ({_MASKS} or {_TUBES})'),
            )
            if not there
        ]
        if missing:
            raise FileNotFoundError(
                f"'{root}' lacks {', '.join(missing)}: unpack the archives "
                'of JHMDB there'
            )
        self.frames = found[0]
        self.labels = labels[0]
        self.splits = {n: read_split(root / 'splits', n) for n in SPLITS}
        everything = [
            sorted(s['train'] + s['test']) for s in self.splits.values()
        ]
        for number, names in zip(SPLITS, everything, strict=True):
            different = set(names) ^ set(everything[0])
            if different:
                raise ValueError(
                    f"'{root / 'splits'}': split {number} has not the videos "
                    f'of split {SPLITS[0]}: {len(different)} are in one only, '
                    f'e.g. {sorted(different)[:3]}'
                )
        self.videos = everything[0]

    def read(self, name: str) -> JHMDBVideo:
        """Read the boxes of a video and check its frames.

        Args:
            name (str): ``<class>/<video>``.

        Returns:
            JHMDBVideo: The video.

        Raises:
            FileNotFoundError: It has no frames or no labels.
            ValueError: Frames are missing, or labels damaged.
        """
        frames = list_frames(self.frames / name)
        height, width = size = read_image(frames[0]).shape[:2]
        if self.labels.name == _MASKS:
            path = self.labels / name / 'puppet_mask.mat'
            found = read_puppet_boxes(path, size)
        else:
            tube = _tubes_in_process(self.labels).get(name, {})
            _check_length(self.labels, name, max(tube, default=0), frames)
            found = [
                tube.get(i, np.empty((0, 4)))
                for i in range(1, len(frames) + 1)
            ]
        _check_length(self.labels, name, len(found), frames)
        boxes: Boxes = []
        skipped = []
        for number, rows in enumerate(found, 1):
            inside = [clip_box(row, width - 1, height - 1)[0] for row in rows]
            kept = [box for box in inside if box is not None]
            boxes.append(np.array(kept).reshape(-1, 4))
            if len(kept) < len(rows):
                skipped.append(
                    f'{name} frame {number}: {len(rows) - len(kept)} boxes '
                    f'are empty or outside the {width}x{height} image'
                )
        boxes += [np.empty((0, 4))] * (len(frames) - len(boxes))
        return JHMDBVideo(name, frames, size, boxes, tuple(skipped))


def _check_length(
    labels: Path, name: str, last: int, frames: Sequence[Path]
) -> None:
    if last > len(frames):
        raise ValueError(
            f"'{labels}' has labels of {last} frames of {name}, but there "
            f'are {len(frames)}: the video is incomplete, or another'
        )


def read_split(folder: Path, number: int) -> dict[str, list[str]]:
    """Read a split.

    Args:
        folder (Path): ``splits``, with a file
            ``<class>_test_split<number>.txt`` per class, whose lines are
            ``<video>.avi 1`` (train) or ``<video>.avi 2`` (test).
        number (int): 1, 2 or 3.

    Returns:
        dict[str, list[str]]: ``train`` and ``test``: ``<class>/<video>``.

    Raises:
        ValueError: There is no such split, files of classes are missing or
            too many, or a file has other lines.
    """
    if number not in SPLITS:
        raise ValueError(f'JHMDB has the splits {SPLITS}, not {number}')
    ending = f'_test_split{number}.txt'
    found = {
        path.name.removesuffix(ending): path
        for path in folder.glob(f'*{ending}')
        if not path.name.startswith('.')
    }
    wrong = sorted(set(found) ^ set(CLASSES))
    if wrong:
        raise ValueError(
            f"'{folder}' must have a file <class>{ending} for each of the "
            f'{len(CLASSES)} classes; missing or of no class: {wrong[:5]} '
            '(the splits of HMDB51 are others)'
        )
    split: dict[str, list[str]] = dict(train=[], test=[])
    for action in CLASSES:
        seen = set()
        text = read_text(found[action])
        for line_number, line in enumerate(text.splitlines(), 1):
            match = _LINE.fullmatch(line.strip())
            if not match or match[1] in seen:
                raise ValueError(
                    f"'{found[action]}' line {line_number}: expected "
                    "'<video>.avi 1' or 2, each video once, found "
                    f'{line[:80]!r}'
                )
            seen.add(match[1])
            split[_SUBSETS[match[2]]].append(f'{action}/{match[1]}')
        if not seen:
            raise ValueError(f"'{found[action]}' is empty")
    return split


def read_puppet_boxes(path: Path, size: Sequence[int]) -> Boxes:
    """Boxes around the puppet masks of a video.

    Args:
        path (Path): ``puppet_mask.mat``.
        size (Sequence[int]): Height and width of the frames, pixels.

    Returns:
        list[np.ndarray]: Per mask a box (1, 4), or (0, 4) if it is empty.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file, or damaged, or of other frames.
    """
    (masks,) = read_mat(path, 'part_mask', simplify=False)
    if masks.ndim == 2:  # MATLAB drops the last axis of one frame
        masks = masks[..., None]
    if masks.ndim != 3 or masks.shape[:2] != tuple(size):
        raise ValueError(
            f"'{path}': part_mask has the shape {masks.shape}, expected "
            f'{tuple(size)} x frames'
        )
    boxes = []
    for index in range(masks.shape[2]):
        mask = masks[..., index] > 0
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        extent = []
        if len(rows):
            extent = [columns[0], rows[0], columns[-1], rows[-1]]
        boxes.append(np.array(extent, np.float64).reshape(-1, 4))
    return boxes


def read_tubes(path: Path) -> dict[str, dict[int, np.ndarray]]:
    """Read the boxes that action-tube detectors are distributed with.

    Args:
        path (Path): ``JHMDB-GT.pkl``: under ``gttubes``, for every video and
            class, arrays of rows (frame from 1, x1, y1, x2, y2). The corners
            are taken as they are.

    Returns:
        dict: ``<class>/<video>`` -> frame from 1 -> boxes (n, 4).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file, or damaged.
    """
    content = read_pickle(path)
    try:
        videos = content['gttubes']
        tubes: dict[str, dict[int, np.ndarray]] = {}
        for video, by_class in videos.items():
            arrays = [t for found in by_class.values() for t in found]
            rows = np.concatenate(arrays).astype(np.float64)
            if rows.shape[1] != 5 or not np.isfinite(rows).all():
                raise ValueError(f'{video} has rows of {rows.shape[1]}')
            numbers = rows[:, 0].astype(int)
            if numbers.min() < 1 or (numbers != rows[:, 0]).any():
                raise ValueError(f'{video} has a frame {rows[:, 0].min()}')
            tubes[video] = {
                int(n): rows[numbers == n, 1:] for n in np.unique(numbers)
            }
    # A damaged file may hold anything.
    except Exception as error:
        raise ValueError(
            f"'{path}' is damaged or another file: expected gttubes "
            f'({type(error).__name__}: {error})'
        ) from None
    return tubes


@lru_cache(maxsize=1)
def _tubes_in_process(path: Path) -> dict[str, dict[int, np.ndarray]]:
    return read_tubes(path)
