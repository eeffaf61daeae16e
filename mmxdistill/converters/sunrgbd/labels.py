"""Labels of SUN RGB-D as objects of the 19 NYUD2 classes."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmxdistill.converters import nyud2
from mmxdistill.converters.coco import clip_box
from mmxdistill.converters.matlab import read_mat

from .frames import sequence_of

__all__ = [
    'SUNRGBDLabel',
    'annotate',
    'category_of',
    'read_boxes',
    'read_polygons',
]

# Other spellings and words for the same thing. Kinds of a thing
# (coffee_table, sofa_chair) are classes of their own, as in NYUD2.
_SYNONYMS = {
    'bath-tub': 'bathtub',
    'book-shelf': 'bookshelf',
    'couch': 'sofa',
    'garbage-can': 'garbage-bin',
    'garbagebin': 'garbage-bin',
    'nightstand': 'night-stand',
    'trash-bin': 'garbage-bin',
    'trash-can': 'garbage-bin',
    'trashcan': 'garbage-bin',
    'tv': 'television',
}
_BOX_VARIABLES = {True: 'SUNRGBDMeta2DBB', False: 'SUNRGBDMeta'}


@dataclass(frozen=True, eq=False)
class SUNRGBDLabel:
    """A labelled object, or what should be one.

    Attributes:
        name: As the annotators wrote it.
        box: x1, y1, x2, y2 of its first and last column and row, counted
            from 0, if the label is a box.
        polygons: Its outlines, each (n, 2) x and y counted from 0, if the
            label is these.
        problem: Why it cannot be used, if so.
    """

    name: str
    box: np.ndarray = field(default_factory=lambda: np.full(4, np.nan))
    polygons: tuple[np.ndarray, ...] = ()
    problem: str | None = None


def category_of(name: str) -> str | None:
    """Class of a label.

    Args:
        name (str): Free text of the annotators: ``night_stand``, ``chair2``,
            ``sofa:occluded``.

    Returns:
        str | None: One of ``nyud2.CLASSES``, None if it is none of them.
    """
    word = re.sub(r'[\s_-]+', ' ', name.partition(':')[0].lower())
    word = word.rstrip('0123456789 ').lstrip().replace(' ', '-')
    return nyud2.category_of(_SYNONYMS.get(word, word))


def read_boxes(path: Path) -> dict[str, list[SUNRGBDLabel]]:
    """Read the published 2-D boxes.

    Args:
        path (Path): ``SUNRGBDMeta2DBB_v2.mat`` or ``SUNRGBDMeta.mat``; its
            boxes are x, y, width, height, where the first pixel is 1 and
            x + width the last column.

    Returns:
        dict: Path of the frame below the root -> its labels.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file, or damaged.
    """
    (entries,) = read_mat(path, _BOX_VARIABLES['2DBB' in path.name])
    found = {}
    for entry in _as_list(entries):
        try:
            sequence = sequence_of(entry['sequenceName'])
            found[sequence] = [
                _box_label(item) for item in _as_list(entry['groundtruth2DBB'])
            ]
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                f"'{path}': expected structs with sequenceName and "
                'groundtruth2DBB, of classname and gtBb2D '
                f'({type(error).__name__}: {error}); give '
                'SUNRGBDMeta2DBB_v2.mat or SUNRGBDMeta.mat'
            ) from None
        except ValueError as error:
            raise ValueError(f"'{path}': {error}") from None
    return found


def _as_list(value: Any) -> list[Any]:
    """A struct array of one element is a dict, an empty one an array."""
    return [value] if isinstance(value, dict) else list(value)


def _box_label(item: dict[str, Any]) -> SUNRGBDLabel:
    name = str(item['classname'])
    values = np.asarray(item['gtBb2D'], np.float64).ravel()
    if values.shape != (4,):
        return SUNRGBDLabel(name, problem='has no box')
    x, y, width, height = values
    box = np.array([x - 1, y - 1, x - 1 + width, y - 1 + height])
    return SUNRGBDLabel(name, box)


def read_polygons(path: Path) -> list[SUNRGBDLabel]:
    r"""Read the outlines of a frame.

    Args:
        path (Path): ``annotation2Dfinal/index.json``. Some have stray
            backslashes (``"wall\"``), which are ignored.

    Returns:
        list[SUNRGBDLabel]: One label per object, of one or more outlines.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no such file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' does not exist")
    text = path.read_text(encoding='utf-8', errors='replace')
    try:
        content = _load_json(text)
        polygons = content['frames'][0].get('polygon') or []
        names = [(item or {}).get('name') for item in content['objects']]
    except (
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as e:
        raise ValueError(
            f"'{path}' is damaged or no outlines of SUN RGB-D "
            f'({type(e).__name__}: {e})'
        ) from None
    outlines: dict[int, list[np.ndarray]] = {}
    problems = []
    for item in polygons:
        name = 'outline'
        try:
            number = item['object']
            if not (0 <= number < len(names) and names[number]):
                raise ValueError(f'object {number} has no name')
            name = str(names[number])
            points = np.array([item['x'], item['y']], np.float64).T
            if points.ndim != 2 or len(points) < 3:
                raise ValueError('fewer than 3 points')
            if not np.isfinite(points).all():
                raise ValueError('points that are no numbers')
        except (ValueError, KeyError, TypeError) as error:
            problems.append(
                SUNRGBDLabel(name, problem=f'has no outline: {error}')
            )
        else:
            outlines.setdefault(number, []).append(points)
    labels = [
        SUNRGBDLabel(str(names[number]), polygons=tuple(parts))
        for number, parts in outlines.items()
    ]
    return labels + problems


def _load_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text.replace('\\', ''))


def annotate(
    labels: list[SUNRGBDLabel], height: int, width: int
) -> tuple[list[dict[str, Any]], list[str], Counter[str]]:
    """Turn the labels of an image into COCO annotations.

    What is outside the image is cut off.

    Args:
        labels (list[SUNRGBDLabel]): The labels.
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        tuple: Annotations (of :func:`mmxdistill.converters.nyud2.
        coco_annotations`), a message for each label that is left out
        although its class is wanted, and the number of labels with each of
        the names that are no wanted class.
    """
    objects, skipped = [], []
    others: Counter[str] = Counter()
    for number, label in enumerate(labels, 1):
        category = category_of(label.name)
        if label.problem and (category or label.name == 'outline'):
            skipped.append(f'{label.name} {label.problem}')
        elif category is None:
            others[label.name] += 1
        else:
            mask = _fill(label.polygons, height, width)
            box = label.box if mask is None else _extent(mask)
            inside, _ = clip_box(box, width - 1, height - 1)
            if inside is None:
                skipped.append(
                    f'{label.name} is empty, outside the {width}x{height} '
                    'image or one pixel wide'
                )
            else:
                objects.append(
                    nyud2.NYUD2Object(category, inside, number, mask)
                )
    annotations, _ = nyud2.coco_annotations(objects, height, width)
    return annotations, skipped, others


def _fill(
    polygons: tuple[np.ndarray, ...], height: int, width: int
) -> np.ndarray | None:
    """Pixels inside the outlines, None if there are none."""
    if not polygons:
        return None
    mask = np.zeros((height, width), np.uint8)
    # Points far outside would leave the range of OpenCV's coordinates.
    limit = 10 * max(height, width)
    for points in polygons:
        corners = np.rint(points).clip(-limit, limit).astype(np.int32)
        # One by one: where outlines overlap, both count.
        cv2.fillPoly(mask, [corners], 1)
    return mask.astype(bool)


def _extent(mask: np.ndarray) -> np.ndarray:
    """First and last column and row; NaN if the mask is empty."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1], rows[-1]])
