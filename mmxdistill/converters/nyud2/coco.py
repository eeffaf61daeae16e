"""NYUD2 objects as COCO annotations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from mmxdistill.converters.nyud2.classes import CLASSES

__all__ = ['NYUD2Object', 'coco_annotations']


@dataclass(frozen=True, eq=False)
class NYUD2Object:
    """A labelled object.

    Attributes:
        category: One of ``CLASSES``.
        box: x1, y1, x2, y2 of its first and last column and row, counted
            from 0 (the authors' boxes minus 1).
        instance: Its number in the label file.
        mask: Its pixels, bool (H, W), if known.
    """

    category: str
    box: tuple[float, float, float, float]
    instance: int
    mask: np.ndarray | None = None


def coco_annotations(
    objects: Iterable[NYUD2Object], height: int, width: int
) -> tuple[list[dict[str, Any]], list[str]]:
    """Turn the objects of an image into COCO annotations.

    ``bbox`` is (x1, y1, x2 - x1, y2 - y1), so that mmdet sees the corners
    that the authors' code works with (as its own VOC data set does); the
    last column and row belong to the object. ``segmentation`` is a
    compressed RLE that pycocotools reads.

    Args:
        objects (Iterable[NYUD2Object]): The objects.
        height (int): Of the image, pixels.
        width (int): Of the image, pixels.

    Returns:
        tuple: The annotations without ids, and one message per object that
        is left out: its box is empty, outside the image, or one pixel
        wide, for which mmdet has no box.
    """
    annotations, skipped = [], []
    for item in objects:
        x1, y1, x2, y2 = item.box
        problem = None
        if not np.isfinite(item.box).all():
            problem = 'has a box that is not a number'
        elif x2 < x1 or y2 < y1:
            problem = 'has an empty box'
        elif x1 < 0 or y1 < 0 or x2 > width - 1 or y2 > height - 1:
            problem = f'lies outside the {width}x{height} image'
        elif x2 - x1 < 1 or y2 - y1 < 1:
            problem = 'is one pixel wide'
        if problem:
            skipped.append(
                f'{item.category} {item.instance} {problem}: '
                f'({x1:g}, {y1:g}, {x2:g}, {y2:g})'
            )
            continue
        annotation: dict[str, Any] = dict(
            category_id=CLASSES.index(item.category) + 1,
            bbox=[x1, y1, x2 - x1, y2 - y1],
            area=(x2 - x1 + 1) * (y2 - y1 + 1),
            iscrowd=0,
            instance=item.instance,
        )
        if item.mask is not None:
            rle = coco_mask.encode(np.asfortranarray(item.mask, np.uint8))
            annotation['segmentation'] = dict(
                size=list(rle['size']), counts=rle['counts'].decode('ascii')
            )
            annotation['area'] = int(np.count_nonzero(item.mask))
        annotations.append(annotation)
    return annotations, skipped
