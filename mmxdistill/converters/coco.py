"""Parts of COCO annotation files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ['clip_box', 'coco_file']


def clip_box(
    box: ArrayLike, right: float, bottom: float
) -> tuple[tuple[float, float, float, float] | None, bool]:
    """Cut off what lies outside an image.

    Args:
        box (array_like): x1, y1, x2, y2, pixels.
        right (float): Largest x of the image: its width, or its last column
            if the last column belongs to a box.
        bottom (float): Largest y.

    Returns:
        tuple: The box, None if less than a pixel of it is in the image (or
        it is no box at all), and whether something was cut off.
    """
    corners = np.asarray(box, np.float64)
    if not np.isfinite(corners).all():
        return None, False
    inside = corners.clip(0, [right, bottom, right, bottom])
    x1, y1, x2, y2 = map(float, inside)
    if x2 - x1 < 1 or y2 - y1 < 1:
        return None, False
    return (x1, y1, x2, y2), bool((inside != corners).any())


def coco_file(
    records: Sequence[dict[str, Any]], classes: Sequence[str], description: str
) -> dict[str, Any]:
    """Content of an annotation file.

    Args:
        records (Sequence[dict]): Per image, its COCO record and the key
            ``annotations``: annotations without ``id`` and ``image_id``.
        classes (Sequence[str]): Names of the categories, which are numbered
            from 1.
        description (str): Of the file.

    Returns:
        dict: ``info``, ``images``, ``annotations``, ``categories``.
    """
    images, annotations = [], []
    for record in records:
        images.append({k: v for k, v in record.items() if k != 'annotations'})
        annotations += [
            dict(image_id=record['id'], **annotation)
            for annotation in record['annotations']
        ]
    return dict(
        info=dict(description=description),
        images=images,
        annotations=[
            dict(id=number, **annotation)
            for number, annotation in enumerate(annotations, 1)
        ],
        categories=[dict(id=i, name=n) for i, n in enumerate(classes, 1)],
    )
