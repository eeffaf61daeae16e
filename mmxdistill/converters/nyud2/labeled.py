"""Reader of the official ``nyu_depth_v2_labeled.mat``.

A MATLAB v7.3 file is HDF5: axes are reversed, cells hold references to their
contents, strings are arrays of character codes. The file is 2.8 GB large, so
frames are read one by one, and only the part of each that is used.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmxdistill.converters.nyud2.classes import (
    CLASSES,
    CROP,
    FIRST_ID,
    category_of,
)
from mmxdistill.converters.nyud2.coco import NYUD2Object
from mmxdistill.encodings import as_depth_mm

__all__ = ['LabeledFile', 'LabeledFrame']

# Shape of a frame in the file (MATLAB's reversed).
_FRAME = (640, 480)
_MEMBERS = dict(
    images=(3, *_FRAME),
    depths=_FRAME,
    rawDepths=_FRAME,
    labels=_FRAME,
    instances=_FRAME,
)
_CACHE_BYTES = 64 << 20
_REFERENCE_BYTES = 8
_MAX_NAME = 1000


@dataclass(frozen=True, eq=False)
class LabeledFrame:
    """One frame, cropped.

    Attributes:
        image: BGR, uint8 (425, 560, 3).
        depth: Millimetres, holes filled by the data set's authors, uint16
            (425, 560).
        depth_raw: The same before filling, 0 = missing.
        objects: Objects of the 19 classes, with masks.
        scene: Name of the video the frame is from.
    """

    image: np.ndarray
    depth: np.ndarray
    depth_raw: np.ndarray
    objects: list[NYUD2Object]
    scene: str


class LabeledFile:
    """The labelled frames of NYUD2.

    Cheap to copy to another process: each process opens the file itself.

    Args:
        path (str or PathLike): ``nyu_depth_v2_labeled.mat``.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: h5py is not installed.
        ValueError: The file is another one, or incomplete.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        with _open(self.path) as file, _naming(self.path):
            self._check(file)
            self.scenes = _strings(file, 'scenes')
            names = _strings(file, 'names')
        categories = [category_of(name) for name in names]
        missing = sorted(set(CLASSES) - set(categories))
        if missing:
            raise ValueError(
                f"'{self.path}': its {len(names)} label names lack the "
                f'classes {missing}: this is not nyu_depth_v2_labeled.mat'
            )
        # Entry 0 is "unlabelled".
        self._categories: list[str | None] = [None, *categories]

    def _check(self, file: Any) -> None:
        wanted = [*_MEMBERS, 'names', 'scenes']
        missing = [
            name for name in wanted if not hasattr(file.get(name), 'dtype')
        ]
        if missing:
            raise _WrongFileError(
                f"'{self.path}' has no {', '.join(missing)}, only "
                f'{sorted(k for k in file if not k.startswith("#"))}: give '
                'nyu_depth_v2_labeled.mat'
            )
        frames = file['scenes'].size
        for name, shape in _MEMBERS.items():
            if file[name].shape != (frames, *shape):
                raise _WrongFileError(
                    f"'{self.path}': {name} has the shape "
                    f'{file[name].shape}, expected {(frames, *shape)} for '
                    f'{frames} scene names'
                )

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.scenes)

    def read(self, image_id: int) -> LabeledFrame:
        """Read and crop one frame.

        An object is a pair of label and instance number (the toolbox's
        ``get_instance_masks``). What is left of it in the crop counts.

        Args:
            image_id (int): From 5001 on.

        Returns:
            LabeledFrame: The frame.

        Raises:
            ValueError: The number is out of range, or the frame cannot be
                read.
        """
        index = image_id - FIRST_ID
        if not 0 <= index < len(self):
            raise ValueError(
                f'image {image_id} is out of range: the {len(self)} frames '
                f'are numbered from {FIRST_ID}'
            )
        file = _open_once(self.path)
        rows, columns = CROP
        with _naming(self.path, f': frame {index + 1} cannot be read'):
            planes = {
                name: file[name][index, ..., columns, rows].T
                for name in _MEMBERS
            }
        return LabeledFrame(
            image=np.ascontiguousarray(planes['images'][..., ::-1]),
            depth=_millimetres(planes['depths']),
            depth_raw=_millimetres(planes['rawDepths']),
            objects=self._objects(planes['labels'], planes['instances']),
            scene=self.scenes[index],
        )

    def _objects(
        self, labels: np.ndarray, instances: np.ndarray
    ) -> list[NYUD2Object]:
        if labels.max() >= len(self._categories):
            raise ValueError(
                f'label {labels.max()} has no name: there are '
                f'{len(self._categories) - 1} names'
            )
        codes = labels.astype(np.int64) << 8 | instances
        objects = []
        for code in np.unique(codes):
            category = self._categories[code >> 8]
            if category is None:
                continue
            mask = codes == code
            rows = np.flatnonzero(mask.any(1))
            columns = np.flatnonzero(mask.any(0))
            box = columns[0], rows[0], columns[-1], rows[-1]
            x1, y1, x2, y2 = map(int, box)
            objects.append(
                NYUD2Object(category, (x1, y1, x2, y2), int(code & 255), mask)
            )
        return objects


def _millimetres(metres: np.ndarray) -> np.ndarray:
    # The authors' files hold uint16(1000 * metres), which rounds half up.
    exact = metres.astype(np.float32) * np.float32(1000)
    return as_depth_mm(np.floor(exact.astype(np.float64) + 0.5))


class _WrongFileError(ValueError):
    """The file is another one, or damaged, and the message says where."""


@contextmanager
def _naming(path: Path, what: str = '') -> Iterator[None]:
    """Name the file in the errors of h5py, of many types."""
    try:
        yield
    except _WrongFileError:
        raise
    except Exception as error:
        raise ValueError(
            f"'{path}'{what} ({type(error).__name__}: {error}): the file is "
            'damaged; download it again'
        ) from error


def _open(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise ImportError(
            f"'{path}' is read with h5py: pip install "
            "'mmxdistill[datasets]' or pip install h5py"
        ) from None
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    if not h5py.is_hdf5(path):
        raise ValueError(
            f"'{path}' is no MATLAB v7.3 file: give nyu_depth_v2_labeled.mat "
            '(2.8 GB; an interrupted download or a saved error page is '
            'smaller)'
        )
    try:
        return h5py.File(path, 'r', rdcc_nbytes=_CACHE_BYTES)
    except OSError as error:
        raise ValueError(
            f"'{path}' cannot be opened ({error}): the file is incomplete; "
            'download it again'
        ) from error


@functools.lru_cache(maxsize=1)
def _open_in_process(path: Path, process: int) -> Any:
    return _open(path)


def _open_once(path: Path) -> Any:
    # HDF5 handles do not survive a fork.
    return _open_in_process(path, os.getpid())


def _strings(file: Any, name: str) -> list[str]:
    """Strings of a cell array."""
    cells = file[name]
    if cells.dtype.kind != 'O':
        raise _WrongFileError(
            f"'{file.filename}': {name} is no cell array of strings"
        )
    # Declared, but never written, any number takes no place in the file.
    if cells.size * _REFERENCE_BYTES > Path(file.filename).stat().st_size:
        raise _WrongFileError(
            f"'{file.filename}' is damaged: {name} has {cells.size} strings"
        )
    texts = []
    for reference in cells[()].ravel():
        codes = file[reference]
        if codes.size > _MAX_NAME:
            raise _WrongFileError(
                f"'{file.filename}' is damaged: a string of {name} has "
                f'{codes.size} characters'
            )
        empty = 'MATLAB_empty' in codes.attrs
        texts.append('' if empty else ''.join(map(chr, codes[()].ravel())))
    return texts
