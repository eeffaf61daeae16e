"""Reader of the data of the authors' release (Fast R-CNN, MCG boxes)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmxdistill.converters.images import read_image
from mmxdistill.converters.matlab import read_mat
from mmxdistill.converters.nyud2.classes import (
    CLASSES,
    FIRST_ID,
    NUM_FRAMES,
    image_stem,
)
from mmxdistill.converters.nyud2.coco import NYUD2Object

__all__ = ['AuthorsFolder', 'AuthorsFrame', 'read_mcg_boxes']

_SPLITS = ('train', 'val', 'trainval', 'test')


@dataclass(frozen=True, eq=False)
class AuthorsFrame:
    """One frame.

    Attributes:
        image: File of the colour image.
        hha: File of the HHA image.
        size: Height and width of both, pixels.
        objects: Objects of the 19 classes; with masks if the folder has the
            segmentations of the SDS release.
        others: Number of labelled objects of other classes.
    """

    image: Path
    hha: Path
    size: tuple[int, int]
    objects: list[NYUD2Object]
    others: int


class AuthorsFolder:
    """``nyud2_data.tgz`` of the authors, unpacked.

    ::

        data/images/img_5001.png ...
        data/hha/img_5001.png ...
        benchmarkData/metadata/nyusplits.mat
        benchmarkData/gt_box_cache_dir/img_5001.mat ...
        benchmarkData/groundTruth/img_5001.mat ...  (SDS only)

    Args:
        root (str or PathLike): The folder above, or one that holds it as
            ``nyud2``.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: The splits are not those of NYUD2.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        root = Path(root)
        if not (root / 'benchmarkData').is_dir():
            root = root / 'nyud2'
        self.images = root / 'data/images'
        self.hha = root / 'data/hha'
        benchmark = root / 'benchmarkData'
        self.boxes = benchmark / 'gt_box_cache_dir'
        self.segmentations = benchmark / 'groundTruth'
        split_file = benchmark / 'metadata/nyusplits.mat'
        parts = [self.images, self.hha, self.boxes, split_file]
        missing = [str(part) for part in parts if not part.exists()]
        if missing:
            raise FileNotFoundError(
                f"the authors' NYUD2 data lacks {', '.join(missing)}"
            )
        self.splits = _read_splits(split_file)

    def read(self, image_id: int) -> AuthorsFrame:
        """Check the files of one frame and read its objects.

        Args:
            image_id (int): From 5001 on.

        Returns:
            AuthorsFrame: The frame.

        Raises:
            FileNotFoundError: A file is missing.
            ValueError: A file cannot be read, or the files do not fit.
        """
        stem = image_stem(image_id)
        image, hha = (
            folder / f'{stem}.png' for folder in (self.images, self.hha)
        )
        size, hha_size = _image_size(image), _image_size(hha)
        if size != hha_size:
            raise ValueError(
                f"'{image}' is {size[1]}x{size[0]}, but '{hha}' "
                f'{hha_size[1]}x{hha_size[0]} (w x h)'
            )
        objects = _read_objects(self.boxes / f'{stem}.mat')
        known = [item for item in objects if item.category in CLASSES]
        if self.segmentations.is_dir():
            path = self.segmentations / f'{stem}.mat'
            known = _with_masks(known, _read_segmentation(path, size), path)
        return AuthorsFrame(image, hha, size, known, len(objects) - len(known))


def _image_size(path: Path) -> tuple[int, int]:
    """Height and width of an image that can be decoded."""
    height, width = read_image(path).shape[:2]
    return height, width


def _read_splits(path: Path) -> dict[str, tuple[int, ...]]:
    vectors = read_mat(path, *_SPLITS)
    splits = {
        name: tuple(sorted(int(i) for i in np.atleast_1d(vector)))
        for name, vector in zip(_SPLITS, vectors, strict=True)
    }
    last = FIRST_ID + NUM_FRAMES - 1
    for name, ids in splits.items():
        outside = [i for i in ids if not FIRST_ID <= i <= last]
        if outside or len(set(ids)) < len(ids):
            raise ValueError(
                f"'{path}': split {name} has {len(outside)} numbers out of "
                f'{FIRST_ID}..{last}, e.g. {outside[:3]}, and '
                f'{len(ids) - len(set(ids))} twice'
            )
    train, val, trainval, test = (set(splits[name]) for name in _SPLITS)
    if train & val or train | val != trainval or trainval & test:
        raise ValueError(
            f"'{path}': trainval must be train and val together, and the "
            'splits must not overlap'
        )
    return splits


def _read_objects(path: Path) -> list[NYUD2Object]:
    (rec,) = read_mat(path, 'rec')
    try:
        # A struct array of one element is a dict, an empty one an array.
        found = rec['objects']
        entries = [found] if isinstance(found, dict) else list(found)
        return [
            NYUD2Object(
                str(entry['class']),
                _box(entry['bbox']),
                int(entry.get('instanceId', number)),
            )
            for number, entry in enumerate(entries, 1)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"'{path}': rec.objects must be structs with class and bbox "
            f'({type(error).__name__}: {error})'
        ) from None


def _box(bbox: Any) -> tuple[float, float, float, float]:
    """From MATLAB's first pixel 1 to ours 0."""
    x1, y1, x2, y2 = np.asarray(bbox, np.float64).ravel() - 1
    return float(x1), float(y1), float(x2), float(y2)


def _read_segmentation(path: Path, size: tuple[int, int]) -> np.ndarray:
    (cell,) = read_mat(path, 'groundTruth')
    try:
        entry = cell if isinstance(cell, dict) else cell[0]
        segmentation = np.asarray(entry['Segmentation'])
    except (KeyError, TypeError, IndexError):
        raise ValueError(
            f"'{path}': there is no groundTruth{{1}}.Segmentation"
        ) from None
    if segmentation.shape != size:
        raise ValueError(
            f"'{path}': Segmentation has the shape {segmentation.shape}, "
            f'the image {size}'
        )
    return segmentation


def _with_masks(
    objects: list[NYUD2Object], segmentation: np.ndarray, path: Path
) -> list[NYUD2Object]:
    masked = []
    for item in objects:
        mask = segmentation == item.instance
        rows = np.flatnonzero(mask.any(1))
        columns = np.flatnonzero(mask.any(0))
        extent = [(line[0], line[-1]) for line in (columns, rows) if len(line)]
        x1, y1, x2, y2 = item.box
        if extent != [(x1, x2), (y1, y2)]:
            raise ValueError(
                f"'{path}': instance {item.instance} does not fill the box "
                f'{item.box} of the {item.category}: the segmentation '
                'belongs to other boxes'
            )
        masked.append(
            NYUD2Object(item.category, item.box, item.instance, mask)
        )
    return masked


def read_mcg_boxes(
    path: str | os.PathLike[str],
) -> dict[str, dict[str, np.ndarray]]:
    """Read the authors' proposals, ``nyud2_mcg_boxes.mat``.

    The file holds (y1, x1, y2, x2) counted from 1, best first.

    Args:
        path (str or PathLike): The file.

    Returns:
        dict: Image name (``'img_5001'``) -> ``bboxes`` (n, 4), xyxy counted
        from 0, the last column and row belong to the box, and ``scores``
        (n,) falling from 1; both float32.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is another one or damaged, or holds what cannot
            be boxes.
    """
    path = Path(path)
    # Simplified, a cell of one image would be read as its boxes.
    imnames, cells = (
        variable.ravel()
        for variable in read_mat(path, 'imnames', 'bboxes', simplify=False)
    )
    names = [''.join(map(str, np.ravel(name))) for name in imnames]
    if len(names) != len(cells) or len(set(names)) < len(names):
        raise ValueError(
            f"'{path}': {len(names)} imnames ({len(set(names))} different) "
            f'for {len(cells)} bboxes'
        )
    proposals = {}
    for name, cell in zip(names, cells, strict=True):
        boxes = np.asarray(cell, np.float64)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"'{path}': the boxes of {name} have the shape "
                f'{boxes.shape}, expected (n, 4)'
            )
        boxes = boxes[:, [1, 0, 3, 2]] - 1
        wrong = ~(
            np.isfinite(boxes).all(1)
            & (boxes[:, :2] >= 0).all(1)
            & (boxes[:, 2:] >= boxes[:, :2]).all(1)
        )
        if wrong.any():
            raise ValueError(
                f"'{path}': {wrong.sum()} boxes of {name} are no boxes, e.g. "
                f'(x1, y1, x2, y2) = {boxes[wrong][0].tolist()} counted from '
                '0'
            )
        scores = np.linspace(1, 0, len(boxes), endpoint=False)
        proposals[name] = dict(
            bboxes=boxes.astype(np.float32),
            scores=scores.astype(np.float32),
        )
    return proposals
