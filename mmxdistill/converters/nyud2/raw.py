"""Raw video frames of NYUD2: pairing by time, even choice, reading."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmxdistill.converters.kinect import MISSING_DISPARITY

__all__ = [
    'MAX_GAP',
    'FramePair',
    'pair_frames',
    'read_color',
    'read_disparity',
    'read_frame_list',
    'spread_evenly',
    'write_frame_list',
]

# Seconds between the two images of a pair; beyond, the camera has moved on.
MAX_GAP = 0.1
# r-<seconds>-<ticks>.ppm, d-<seconds>-<ticks>.pgm; the ticks may be missing.
_NAME = re.compile(r'([rd])-(\d+(?:\.\d+)?)(?:-\d+)?\.(ppm|pgm)')
_SUFFIX = dict(r='ppm', d='pgm')
_SIZE = (480, 640)
_CHANNEL_BYTES = dict(r=3, d=2)
_HEADER = re.compile(rb'(P[56])\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})\s')


@dataclass(frozen=True)
class FramePair:
    """A colour and a depth frame.

    Attributes:
        name: Name of the pair, without dots, e.g.
            ``bedroom_0001-12941-6324869-2938947``.
        color: Colour file.
        depth: Depth file.
    """

    name: str
    color: Path
    depth: Path

    def __str__(self) -> str:
        """Names of the files, for messages."""
        return f'{self.color} + {self.depth.name}'


def pair_frames(folder: Path) -> tuple[list[FramePair], Counter[str]]:
    """Pair the frames of a video by the time in their names.

    Every depth frame goes to the colour frame that is nearest in time, if
    it is within :data:`MAX_GAP`; of several, a colour frame keeps the
    nearest. Files that are too short to hold a frame take no part: the data
    set has a number of them.

    Args:
        folder (Path): Folder of the video; its name is that of the scene.

    Returns:
        tuple: The pairs in order of time, and the number of files that are
        ``truncated``, ``not a frame`` (accelerometer dumps, index) or frames
        ``without a partner``.
    """
    frames: dict[str, list[tuple[float, Path]]] = dict(r=[], d=[])
    counts: Counter[str] = Counter()
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if not match or _SUFFIX[match[1]] != match[3]:
            counts['not a frame'] += 1
        elif path.stat().st_size <= _payload(match[1]):
            counts['truncated'] += 1
        else:
            frames[match[1]].append((float(match[2]), path))
    color, depth = (sorted(frames[kind]) for kind in 'rd')
    best: dict[Path, tuple[float, Path]] = {}
    times = np.array([time for time, _ in color])
    for time, path in depth:
        if not color:
            break
        nearest = int(np.abs(times - time).argmin())
        gap, partner = abs(times[nearest] - time), color[nearest][1]
        if gap <= MAX_GAP and gap < best.get(partner, (np.inf,))[0]:
            best[partner] = gap, path
    name = folder.resolve().name
    pairs = [
        FramePair(
            f'{name}-{path.stem[2:].replace(".", "-")}', path, best[path][1]
        )
        for _, path in color
        if path in best
    ]
    lonely = len(color) + len(depth) - 2 * len(pairs)
    if lonely:
        counts['without a partner'] += lonely
    return pairs, counts


def _payload(kind: str) -> int:
    return _SIZE[0] * _SIZE[1] * _CHANNEL_BYTES[kind]


def spread_evenly(pairs: Sequence[FramePair], number: int) -> list[FramePair]:
    """Choose pairs at equal distances; all if there are not enough."""
    if len(pairs) <= number:
        return list(pairs)
    places = (np.arange(number) + 0.5) * len(pairs) / number
    return [pairs[int(place)] for place in places]


def write_frame_list(
    path: Path, pairs: Iterable[FramePair], comments: Iterable[str] = ()
) -> None:
    """Write a frame list: names of pairs and their files, from the scene on.

    Args:
        path (Path): The list; :class:`PairedDataset` reads the names.
        pairs (Iterable[FramePair]): The pairs.
        comments (Iterable[str]): Lines to put before them.
    """
    from mmxdistill.datasets.lists import write_list

    rows = [
        [
            pair.name,
            f'{pair.color.parent.resolve().name}/{pair.color.name}',
            f'{pair.depth.parent.resolve().name}/{pair.depth.name}',
        ]
        for pair in pairs
    ]
    write_list(path, rows, comments)


def read_frame_list(path: Path, scenes: Mapping[str, Path]) -> list[FramePair]:
    """Read a frame list and find its files.

    Args:
        path (Path): The list.
        scenes (Mapping[str, Path]): Folder of every scene that may be used.

    Returns:
        list[FramePair]: The pairs, in the order of the list.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: It is no frame list, or asks for scenes that are not
            there or may not be used.
    """
    from mmxdistill.datasets.lists import read_list

    pairs, missing = [], set()
    for row in read_list(path):
        files = [column.split('/') for column in row[1:]]
        if len(files) != 2 or any(len(file) != 2 for file in files):
            raise ValueError(
                f"'{path}': expected 'NAME SCENE/r-*.ppm SCENE/d-*.pgm', "
                f'found {" ".join(row)[:80]!r}'
            )
        missing |= {scene for scene, _ in files if scene not in scenes}
        if not missing:
            color, depth = (scenes[scene] / file for scene, file in files)
            pairs.append(FramePair(row[0], color, depth))
    if missing:
        raise ValueError(
            f"'{path}' wants frames of {len(missing)} scenes that are not "
            f'there or not of the split: {sorted(missing)[:5]}'
        )
    if len({pair.name for pair in pairs}) < len(pairs) or not pairs:
        raise ValueError(f"'{path}' is empty or has the same name twice")
    return pairs


def _read_pnm(path: Path, kind: bytes) -> tuple[np.ndarray, int]:
    """Bytes of a binary PGM or PPM file as (H, W, bytes a pixel)."""
    content = path.read_bytes()
    header = _HEADER.match(content)
    if not header or header[1] != kind:
        raise ValueError(f"'{path}' is no {kind.decode()} image")
    width, height, largest = (int(header[i]) for i in (2, 3, 4))
    if (height, width) != _SIZE:
        raise ValueError(
            f"'{path}' is {width}x{height}, expected "
            f'{_SIZE[1]}x{_SIZE[0]}: no raw frame of NYUD2'
        )
    depth = (3 if kind == b'P6' else 1) * (2 if largest > 255 else 1)
    size = width * height * depth
    if len(content) - header.end() < size:
        raise ValueError(
            f"'{path}' is truncated: {len(content) - header.end()} of "
            f'{size} bytes'
        )
    pixels = np.frombuffer(content, np.uint8, size, header.end())
    return pixels.reshape(height, width, depth), largest


def read_color(path: Path) -> np.ndarray:
    """Read a raw colour frame.

    Args:
        path (Path): ``r-*.ppm``.

    Returns:
        np.ndarray: BGR, uint8 (480, 640, 3).

    Raises:
        ValueError: The file is truncated or no such image.
    """
    pixels, largest = _read_pnm(path, b'P6')
    if largest > 255:
        raise ValueError(f"'{path}' is no 8-bit image")
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)


def read_disparity(path: Path) -> np.ndarray:
    """Read a raw depth frame.

    The data set's files have the low byte first, against the PGM standard;
    files with the high byte first (written again by other tools) are told
    by their values, which have 11 bits.

    Args:
        path (Path): ``d-*.pgm``.

    Returns:
        np.ndarray: Raw Kinect values, 0..2047, uint16 (480, 640).

    Raises:
        ValueError: The file is truncated or no such image.
    """
    pixels, largest = _read_pnm(path, b'P5')
    if largest <= 255:
        raise ValueError(
            f"'{path}' has 8 bits, raw depth 16: it has lost the distances"
        )
    for order in '<u2', '>u2':
        values = pixels.view(order)[..., 0]
        if values.max() <= MISSING_DISPARITY:
            return values.astype(np.uint16)
    raise ValueError(
        f"'{path}' has values above {MISSING_DISPARITY} in both byte orders: "
        'no raw depth of a Kinect'
    )
