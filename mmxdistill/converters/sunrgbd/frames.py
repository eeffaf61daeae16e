"""Frames of SUN RGB-D: colour, depth, camera, tilt; and the splits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmxdistill.converters.images import read_image
from mmxdistill.converters.matlab import read_mat
from mmxdistill.converters.work_list import walk_folders
from mmxdistill.datasets.transforms import FillDepth, LoadDepthFromFile
from mmxdistill.encodings import PinholeCamera

__all__ = [
    'NYUD2_FOLDER',
    'SENSORS',
    'SUNRGBDFrame',
    'SUNRGBDImages',
    'find_root',
    'find_sequences',
    'read_splits',
    'sequence_of',
]

# Kinect v1, Kinect v2, Intel RealSense, Asus Xtion.
SENSORS = ('kv1', 'kv2', 'realsense', 'xtion')
# The 1449 labelled frames of NYUD2, among them those of its test set.
NYUD2_FOLDER = 'kv1/NYUdata'
# What is farther is cut to this by the data set's toolbox.
_MAX_MM = 8000
_ORTHONORMAL = 1e-3


@dataclass(frozen=True, eq=False)
class SUNRGBDImages:
    """Images of a frame.

    Attributes:
        color: File of the colour image.
        depth: uint16 (H, W), millimetres up to 8000, without holes.
        raw_depth: The same, 0 where the sensor did not measure or measured
            more than 8 metres.
        camera: Intrinsics.
        gravity: Unit vector pointing down, camera axes (x right, y down, z
            forward), float64 (3,); None if the frame has no ``extrinsics``.
    """

    color: Path
    depth: np.ndarray
    raw_depth: np.ndarray
    camera: PinholeCamera
    gravity: np.ndarray | None


@dataclass(frozen=True)
class SUNRGBDFrame:
    """A frame.

    ::

        image/0000103.jpg       colour
        depth/0000103.png       depth as measured, bits rotated by 3
        depth_bfx/0000103.png   the same with filled holes
        intrinsics.txt          3 x 3
        extrinsics/2014....txt  3 x 4, rotation to the upright camera
        annotation2Dfinal/index.json

    Attributes:
        root: Folder that holds ``kv1``, ``kv2``, ...
        sequence: Path of the frame below it.
        image_id: Its number in the data set, from 1.
    """

    root: Path
    sequence: str
    image_id: int

    def __str__(self) -> str:
        """Path, as messages name the frame."""
        return self.sequence

    @property
    def folder(self) -> Path:
        """Folder of the frame."""
        return self.root / self.sequence

    @property
    def name(self) -> str:
        """Name without slashes."""
        return self.sequence.replace('/', '_')

    @property
    def sensor(self) -> str:
        """One of :data:`SENSORS`."""
        return self.sequence.split('/')[0]

    @property
    def polygons(self) -> Path:
        """File of the labels."""
        return self.folder / 'annotation2Dfinal/index.json'

    def read(self) -> SUNRGBDImages:
        """Read the frame.

        Returns:
            SUNRGBDImages: Its images.

        Raises:
            FileNotFoundError: A member is missing.
            ValueError: A member is damaged, or they do not fit.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(f"'{self.folder}' does not exist")
        color = _first_file(self.folder / 'image', '.jpg')
        filled = _first_file(self.folder / 'depth_bfx', '.png')
        raw = _first_file(self.folder / 'depth', '.png')
        image = read_image(color)
        load = LoadDepthFromFile(mask='raw', rotated_bits=True)
        sample = load.transform(
            dict(img_path=str(filled), modality_paths=dict(raw=str(raw)))
        )
        near = sample['img'] <= _MAX_MM
        depth = FillDepth().transform(sample)['img'].clip(max=_MAX_MM)
        height, width = depth.shape
        if image.shape[:2] != depth.shape:
            raise ValueError(
                f"'{color}' is {image.shape[1]}x{image.shape[0]}, but "
                f"'{filled}' {width}x{height} (w x h)"
            )
        camera = _read_camera(self.folder / 'intrinsics.txt', height, width)
        return SUNRGBDImages(
            color,
            depth,
            np.where(sample['depth_mask'] & near, depth, np.uint16(0)),
            camera,
            _read_gravity(self.folder / 'extrinsics'),
        )


def _first_file(folder: Path, suffix: str) -> Path:
    """The first file of a folder, as the toolbox takes it."""
    found = sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() == suffix and not path.name.startswith('.')
    )
    if not found:
        raise FileNotFoundError(f"'{folder}' holds no {suffix} file")
    return found[0]


def _numbers(path: Path, counts: tuple[int, ...], what: str) -> np.ndarray:
    """Numbers of a text file."""
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    text = path.read_text(encoding='utf-8', errors='replace')
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.empty(0)
    if len(values) not in counts or not np.isfinite(values).all():
        raise ValueError(
            f"'{path}' must hold {what}: {counts[0]} numbers, found "
            f'{text[:80]!r}'
        )
    return values


def _read_camera(path: Path, height: int, width: int) -> PinholeCamera:
    # Its pixels count from 1, as the toolbox uses it and our cameras do.
    matrix = _numbers(path, (9,), 'the 3 x 3 intrinsics').reshape(3, 3)
    try:
        camera = PinholeCamera.from_any(matrix)
        camera.check_fits(height, width)
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from None
    return camera


def _read_gravity(folder: Path) -> np.ndarray | None:
    files = sorted(folder.glob('*.txt'))
    if not files:
        return None
    # Of several, the last is valid (as in the toolbox).
    values = _numbers(files[-1], (12, 9), 'the 3 x 4 extrinsics')
    rotation = values.reshape(3, -1)[:, :3]
    if (
        np.abs(rotation @ rotation.T - np.eye(3)).max() > _ORTHONORMAL
        or np.linalg.det(rotation) < 0
    ):
        raise ValueError(
            f"'{files[-1]}' holds no rotation: {rotation.tolist()}"
        )
    # Upright, y points down: its axis in the camera is the second row.
    return rotation[1] / np.linalg.norm(rotation[1])


def find_root(source: Path) -> Path:
    """Find the folder of the sensors.

    Args:
        source (Path): That folder, or the one that holds it as ``SUNRGBD``.

    Returns:
        Path: It.

    Raises:
        FileNotFoundError: No sensor's folder is there.
    """
    for place in (source, source / 'SUNRGBD'):
        if any((place / sensor).is_dir() for sensor in SENSORS):
            return place
    raise FileNotFoundError(
        f"'{source}' holds none of {', '.join(SENSORS)}: give the folder into "
        'which SUNRGBD.zip was unpacked'
    )


def find_sequences(root: Path) -> set[str]:
    """Find the frames that are there, by their ``intrinsics.txt``.

    Args:
        root (Path): Of :func:`find_root`.

    Returns:
        set[str]: Their paths below the root.
    """
    found = set()
    for sensor in SENSORS:
        for place, folders, files in walk_folders(root / sensor):
            if 'intrinsics.txt' in files:
                found.add(place.relative_to(root).as_posix())
                folders.clear()
    return found


def sequence_of(text: str) -> str:
    """Path of a frame below the root, from one on the authors' machine.

    Args:
        text (str): E.g. ``/n/fs/sun3d/data/SUNRGBD/kv1/NYUdata/NYU0001/``.

    Returns:
        str: ``kv1/NYUdata/NYU0001``.

    Raises:
        ValueError: It is no such path.
    """
    sequence = text.rpartition('SUNRGBD/')[2].strip('/')
    sensor, *rest = sequence.split('/')
    if sensor not in SENSORS or not rest or '..' in rest:
        raise ValueError(f'{text!r} is no path of a frame of SUN RGB-D')
    return sequence


def read_splits(path: Path) -> dict[str, list[str]]:
    """Read ``allsplit.mat``.

    Args:
        path (Path): ``SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat``.

    Returns:
        dict[str, list[str]]: ``test`` and ``train``: paths of the frames. In
        this order they are numbered from 1 in the data set's label files.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another or a damaged file, or a frame is in it
            twice.
    """
    cells = read_mat(path, 'alltest', 'alltrain', simplify=False)
    splits: dict[str, list[str]] = {}
    for name, cell in zip(('test', 'train'), cells, strict=True):
        try:
            splits[name] = [
                sequence_of(''.join(map(str, np.ravel(item))))
                for item in cell.ravel()
            ]
        except ValueError as error:
            raise ValueError(f"'{path}', all{name}: {error}") from None
    counts = Counter(splits['test'] + splits['train'])
    twice = [sequence for sequence, count in counts.items() if count > 1]
    names = Counter(sequence.replace('/', '_') for sequence in counts)
    twice += [name for name, count in names.items() if count > 1]
    if twice or not counts:
        raise ValueError(
            f"'{path}' lists {len(counts)} frames, and {len(twice)} of them "
            f'twice, e.g. {twice[:3]}'
        )
    return splits
