"""Pairs of images out of what a user gives: arrays, files, folders, videos."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np

__all__ = ['Pair', 'PartnerName', 'list_pairs']

Source: TypeAlias = 'str | np.ndarray | None'
# (modality, another one, its path) -> path of the first, if it is known.
PartnerName: TypeAlias = Callable[[str, str, str], 'str | None']

_IMAGES = frozenset(
    '.bmp .flo .jpeg .jpg .npy .pgm .png .pnm .ppm .tif .tiff .webp'.split()
)
_VIDEOS = frozenset(
    '.avi .flv .m4v .mkv .mov .mp4 .mpeg .mpg .ts .webm .wmv'.split()
)
_SHOWN = 3


class Pair(NamedTuple):
    """Images of one scene.

    Attributes:
        name (str): How its results are named.
        sources (dict): Modality -> path of its file, its image as an array,
            or None if it is missing.
    """

    name: str
    sources: dict[str, Source]


def list_pairs(
    inputs: Any,
    partner: PartnerName,
    derive: Callable[[Pair], Pair],
    allow_missing: bool = False,
) -> Iterator[Pair]:
    """List the pairs of some inputs.

    Everything but the frames of videos is looked up before the first pair.

    Args:
        inputs (dict | Sequence[dict]): Modality -> array, path of an image,
            a folder or a video, or a list of arrays and paths; None if the
            modality is missing. Or several of these.
        partner (Callable): How the config names the file of a modality, see
            :data:`PartnerName`.
        derive (Callable): Adds the files that were not given.
        allow_missing (bool): A file that is not there is a missing modality,
            not an error. Defaults to False.

    Returns:
        Iterator[Pair]: The pairs.

    Raises:
        FileNotFoundError: Files are missing; names them.
        ValueError: The modalities are not of one kind, or of other numbers.
    """
    several = [inputs] if isinstance(inputs, Mapping) else list(inputs)
    found: list[Iterator[Pair]] = []
    for one in several:
        kinds = {name: _kind(name, value) for name, value in one.items()}
        present = {name: k for name, k in kinds.items() if k != 'nothing'}
        if not present:
            raise ValueError(f'all modalities are missing: {list(one)}')
        if len(set(present.values())) > 1:
            raise ValueError(
                'the modalities of a pair must be given in the same way, '
                'found '
                + ', '.join(f"'{n}': {kind}" for n, kind in present.items())
            )
        (kind,) = set(present.values())
        if kind == 'a video':
            found.append(map(derive, _of_videos(one)))
            continue
        if kind == 'a folder':
            pairs = _of_folders(one, partner)
        elif kind == 'a list':
            pairs = _of_lists(one)
        else:
            pairs = [_named(one)]
        pairs = [derive(pair) for pair in pairs]
        found.append(iter(_without_absent(pairs, allow_missing)))
    return itertools.chain.from_iterable(found)


def _kind(name: str, value: Any) -> str:
    if value is None:
        return 'nothing'
    if isinstance(value, np.ndarray):
        return 'an image'
    if isinstance(value, (list, tuple)):
        return 'a list'
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(
            f"'{name}' must be a NumPy array, a path, a list of these, or "
            f'None; found {type(value).__name__}'
        )
    if os.path.isdir(value):
        return 'a folder'
    return 'a video' if Path(value).suffix.lower() in _VIDEOS else 'an image'


def _source(value: Any) -> Source:
    if value is None or isinstance(value, np.ndarray):
        return value
    return os.fspath(value)


def _named(values: Mapping[str, Any], index: int = 0) -> Pair:
    sources = {name: _source(value) for name, value in values.items()}
    for source in sources.values():
        if isinstance(source, str):
            return Pair(Path(source).stem, sources)
    return Pair(f'{index:08d}', sources)


def _of_lists(values: Mapping[str, Any]) -> list[Pair]:
    sizes = {n: len(value) for n, value in values.items() if value is not None}
    if len(set(sizes.values())) > 1:
        raise ValueError(
            f'the lists of the modalities differ in length: {sizes}; put None '
            'where a modality is missing'
        )
    (size,) = set(sizes.values())
    pairs = []
    for index in range(size):
        one = {n: v and v[index] for n, v in values.items()}
        for name, value in one.items():
            if _kind(f'{name}[{index}]', value) not in ('an image', 'nothing'):
                raise ValueError(
                    f"'{name}[{index}]' must be an image or its path, found "
                    f'{_kind(name, value)}'
                )
        pairs.append(_named(one, index))
    return pairs


def _of_folders(values: Mapping[str, Any], partner: PartnerName) -> list[Pair]:
    """Pair by the names of the config, else by equal stems."""
    files = {n: _by_stem(v) for n, v in values.items() if v is not None}
    first, *others = files
    unused = {name: dict(files[name]) for name in others}
    pairs = []
    for stem, path in files[first].items():
        sources: dict[str, Source] = dict.fromkeys(values)
        sources[first] = path
        for name in others:
            wanted = partner(name, first, path)
            names = [stem] if wanted is None else [Path(wanted).stem, stem]
            known = [n for n in names if n in files[name]]
            if known:
                sources[name] = files[name][known[0]]
                unused[name].pop(known[0], None)
            else:  # it is reported by this name
                sources[name] = str(
                    Path(values[name], f'{names[0]}{Path(path).suffix}')
                )
        pairs.append(Pair(stem, sources))
    left = sorted({stem for found in unused.values() for stem in found})
    for stem in left:
        sources = dict.fromkeys(values)
        for name in files:
            sources[name] = unused.get(name, {}).get(
                stem, str(Path(values[name], f'{stem}.*'))
            )
        pairs.append(Pair(stem, sources))
    if not pairs:
        raise ValueError(
            f'the folders hold no images: {[str(values[n]) for n in files]}'
        )
    return pairs


def _by_stem(folder: str | os.PathLike[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() not in _IMAGES or path.name.startswith('.'):
            continue
        other = files.setdefault(path.stem, str(path))
        if other != str(path):
            raise ValueError(
                f"'{other}' and '{path}' have the same name: it is not clear "
                'which of them makes the pair; remove one, or give lists of '
                'paths'
            )
    return files


def _without_absent(pairs: list[Pair], allow_missing: bool) -> list[Pair]:
    """Find files that are not there."""
    absent: dict[str, list[str]] = {}
    checked = []
    for pair in pairs:
        sources = dict(pair.sources)
        for name, source in sources.items():
            if isinstance(source, str) and _absent(source):
                absent.setdefault(name, []).append(source)
                sources[name] = None
        checked.append(Pair(pair.name, sources))
    if not absent:
        return pairs
    text = '; '.join(
        f"modality '{name}' lacks {len(paths)} of {len(pairs)}: "
        + ', '.join(f"'{path}'" for path in paths[:_SHOWN])
        + (', ...' if len(paths) > _SHOWN else '')
        for name, paths in absent.items()
    )
    complete = any(
        all(source is not None for source in pair.sources.values())
        for pair in checked
    )
    if allow_missing and (complete or len(pairs) == 1):
        warnings.warn(
            f'files are missing, the others decide alone: {text}',
            stacklevel=4,
        )
        return checked
    raise FileNotFoundError(
        f'files do not exist: {text}. '
        + (
            'No pair is complete: are these the right folders?'
            if allow_missing
            else 'For late fusion, allow_missing (--allow-missing) lets the '
            'other modalities decide alone'
        )
    )


def _absent(path: str) -> bool:
    return '://' not in path and not os.path.isfile(path)


def _of_videos(values: Mapping[str, Any]) -> Iterator[Pair]:
    """Frames of one video per modality, in step."""
    paths = {
        name: None if value is None else os.fspath(value)
        for name, value in values.items()
    }
    readers = {n: _frames(path) for n, path in paths.items() if path}
    name = Path(paths[next(iter(readers))] or '').stem
    return _in_step(name, paths, readers)


def _in_step(
    name: str,
    paths: Mapping[str, str | None],
    readers: Mapping[str, Iterator[np.ndarray]],
) -> Iterator[Pair]:
    for index in itertools.count():
        frames = {n: next(reader, None) for n, reader in readers.items()}
        ended = [n for n, frame in frames.items() if frame is None]
        if len(ended) == len(frames):
            return
        if ended:
            longer = next(n for n in frames if n not in ended)
            raise ValueError(
                f"'{paths[ended[0]]}' ends after {index} frames, but "
                f"'{paths[longer]}' goes on: the videos of a pair must have "
                'the same number of frames'
            )
        yield Pair(f'{name}_{index:06d}', {n: frames.get(n) for n in paths})


def _frames(path: str) -> Iterator[np.ndarray]:
    """Open a video, at once, and list its frames."""
    if not os.path.isfile(path):
        raise FileNotFoundError(f"video '{path}' does not exist")
    video = cv2.VideoCapture(path)
    known, first = video.read()
    if not known:
        raise ValueError(f"'{path}' is no video that OpenCV can decode")
    return _rest(video, first)


def _rest(video: Any, frame: np.ndarray) -> Iterator[np.ndarray]:
    try:
        known = True
        while known:
            yield frame
            known, frame = video.read()
    finally:
        video.release()
