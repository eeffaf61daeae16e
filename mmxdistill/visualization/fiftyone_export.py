"""Data sets of pairs, and what detectors found in them, for FiftyOne.

A pair becomes a group with a slice per modality; each slice has the objects
and the detections of every detector.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.utils import track_iter_progress

from mmxdistill.atomic import atomic_write
from mmxdistill.datasets.configured import image_loader, split_modalities
from mmxdistill.visualization.images import to_levels
from mmxdistill.visualization.predictions import Found

__all__ = ['Group', 'check_names', 'export_groups', 'list_groups']

# What browsers show, if it has 8 bits.
_SHOWN = ('.bmp', '.jpeg', '.jpg', '.png', '.webp')
_TAKEN = (
    *('filepath', 'ground_truth', 'group', 'id', 'img_id', 'metadata'),
    *('created_at', 'last_modified_at', 'tags'),
)


@dataclass(frozen=True, eq=False)
class Group:
    """A pair.

    Attributes:
        img_id: As the data set has it.
        files: Modality -> file that a browser shows.
        size: Width and height, to which the boxes refer.
        boxes: (g, 4) xyxy in pixels.
        labels: Class of each.
        ignored: Of each, whether it is not trained on.
        found: Detector -> its detections.
    """

    img_id: Any
    files: Mapping[str, str]
    size: tuple[int, int]
    boxes: np.ndarray
    labels: list[str]
    ignored: list[bool]
    found: Mapping[str, Found]


def check_names(names: Mapping[str, Any]) -> None:
    """Refuse names of detectors that cannot be fields of a sample.

    Args:
        names (Mapping[str, Any]): By the names of the detectors.

    Raises:
        ValueError: A name is none.
    """
    for name in names:
        if not name.isidentifier() or name[0] == '_' or name in _TAKEN:
            raise ValueError(
                f'{name!r} cannot be a field of FiftyOne: choose a word that '
                f'is none of {list(_TAKEN)}'
            )


def list_groups(
    dataset: BaseDataset,
    predictions: Mapping[str, Mapping[Any, Found]],
    media: str | os.PathLike[str],
) -> Iterator[Group]:
    """List the pairs of a data set.

    Files that a browser shows are used where they are. Of others (16 bits,
    flow, raw arrays), and of modalities that are warped onto the first one,
    a picture of what the loader gives is written.

    Args:
        dataset (BaseDataset): The data set.
        predictions (Mapping): Detector -> ``img_id`` -> what it found.
        media (str or PathLike): Folder for pictures.

    Yields:
        Group: A pair.

    Raises:
        ValueError: The detections are of other images, or of other classes.
    """
    classes = dataset.metainfo.get('classes') or ()
    loader = image_loader(dataset)
    warped = getattr(loader, 'registered', {})
    seen: dict[str, int] = dict.fromkeys(predictions, 0)
    for index in track_iter_progress(list(range(len(dataset)))):
        info = dataset.get_data_info(index)
        paths = info.get('modality_paths') or {'image': info['img_path']}
        wanted = info.get('modalities') or tuple(paths)
        drawn = [
            name
            for name in wanted
            if name in warped or not _is_shown(os.fspath(paths.get(name, '')))
        ]
        size = info.get('width'), info.get('height')
        images: dict[str, np.ndarray] = {}
        if drawn or None in size:
            images = split_modalities(loader(dict(info)))
            size = next(iter(images.values())).shape[1::-1]
        files = {}
        for name in wanted:
            path = os.fspath(paths.get(name, ''))
            if name in drawn:
                path = str(Path(media) / name / f'{index:06}.jpg')
                _write(path, images[name])
            files[name] = os.path.abspath(path)
        instances = info.get('instances') or ()
        img_id = info.get('img_id')
        found = {}
        for name, by_image in predictions.items():
            if img_id in by_image:
                seen[name] += 1
                found[name] = by_image[img_id]
                found[name].check_labels(name, len(classes))
        yield Group(
            img_id=img_id,
            files=files,
            size=size,
            boxes=np.array([one['bbox'] for one in instances]).reshape(-1, 4),
            labels=[str(classes[one['bbox_label']]) for one in instances],
            ignored=[bool(one.get('ignore_flag')) for one in instances],
            found=found,
        )
    unused = sorted(name for name, count in seen.items() if not count)
    if unused:
        raise ValueError(
            f'predictions {unused} are of none of the images: give the split '
            'that was tested (--split)'
        )


def _is_shown(path: str) -> bool:
    """Whether a browser shows a file."""
    if not path.lower().endswith(_SHOWN):
        return False
    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    return image is not None and image.dtype == np.uint8


def _write(path: str, image: np.ndarray) -> None:
    known, content = cv2.imencode('.jpg', to_levels(image))
    assert known
    with atomic_write(path) as file:
        file.write(content.tobytes())


def export_groups(
    groups: Iterator[Group],
    classes: list[str],
    name: str,
    overwrite: bool = False,
) -> int:
    """Make a grouped data set of FiftyOne, which stays in its database.

    Args:
        groups (Iterator[Group]): The pairs.
        classes (list[str]): Names of the labels.
        name (str): Of the data set.
        overwrite (bool): Replace one of this name. Defaults to False.

    Returns:
        int: Number of pairs.

    Raises:
        ImportError: FiftyOne is missing; says how to install it.
        ValueError: There is a data set of this name, or no pair.
    """
    try:
        import fiftyone as fo
    except ImportError as error:
        raise ImportError(
            'FiftyOne is not installed: pip install mmxdistill[fiftyone]'
        ) from error
    if fo.dataset_exists(name) and not overwrite:
        raise ValueError(
            f'FiftyOne has a data set {name!r}: choose another --name, or '
            '--overwrite it'
        )
    samples, count = [], 0
    slices: list[str] = []
    for count, group in enumerate(groups, 1):  # noqa: B007
        made = fo.Group()
        for modality, path in group.files.items():
            if modality not in slices:
                slices.append(modality)
            sample = fo.Sample(filepath=path, group=made.element(modality))
            sample['img_id'] = group.img_id
            sample['ground_truth'] = fo.Detections(
                detections=_objects(fo, group)
            )
            for detector, found in group.found.items():
                sample[detector] = fo.Detections(
                    detections=_detections(fo, group, found, classes)
                )
            samples.append(sample)
    if not samples:
        raise ValueError('the data set is empty')
    # All are there: only now is another one replaced.
    dataset = fo.Dataset(name, overwrite=overwrite)
    dataset.add_group_field('group', default=slices[0])
    dataset.add_samples(samples)
    dataset.default_classes = classes
    dataset.persistent = True
    dataset.save()
    return count


def _objects(fo: Any, group: Group) -> list[Any]:
    return [
        fo.Detection(label=label, bounding_box=box, ignored=ignored)
        for label, box, ignored in zip(
            group.labels,
            _relative(group.boxes, group.size),
            group.ignored,
            strict=True,
        )
    ]


def _detections(
    fo: Any, group: Group, found: Found, classes: list[str]
) -> list[Any]:
    return [
        fo.Detection(
            label=classes[label], bounding_box=box, confidence=float(score)
        )
        for label, box, score in zip(
            found.labels,
            _relative(found.boxes, group.size),
            found.scores,
            strict=True,
        )
    ]


def _relative(boxes: np.ndarray, size: tuple[int, int]) -> list[list[float]]:
    """x, y, width and height in parts of the image."""
    corners = np.asarray(boxes, np.float64) / np.tile(size, 2)
    corners[:, 2:] -= corners[:, :2]
    return corners.tolist()
