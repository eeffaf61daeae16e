"""Whether the labels of a COCO file are the classes that a config says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.fileio import get

from mmxdistill.datasets.transforms.stock_checks import data_sets

__all__ = ['check_categories', 'check_class_order']

_LIST = re.compile(rb'"categories"\s*:\s*(?=\[)')
_LONGEST = 1 << 24  # characters of the list of categories


def check_class_order(
    classes: Sequence[str], known: Sequence[str], path: str
) -> None:
    """Check that mmdet gives the objects of a file the labels of the classes.

    ``CocoDataset`` numbers labels in the order of the file's categories,
    whatever the order of the classes is, and passes over classes that the
    file does not have.

    Args:
        classes (Sequence[str]): ``metainfo['classes']``.
        known (Sequence[str]): Names of the file's categories.
        path (str): The file.

    Raises:
        ValueError: A label is another class; says what to write.
    """
    ordered = [name for name in known if name in classes]
    if ordered != list(classes[: len(ordered)]):
        raise ValueError(
            f'metainfo.classes {list(classes)} must follow the order of the '
            f"categories in '{path}', which is that of mmdet's labels, "
            f'without another class between them: {ordered}'
        )


def check_categories(dataset: Any) -> None:
    """Compare the classes of mmdet's own COCO data sets with their files.

    Args:
        dataset (BaseDataset): A data set, or one around others.

    Raises:
        ValueError: A label is another class; see :func:`check_class_order`.
    """
    for part in data_sets(dataset):
        # Ours look when they are loaded; others have an order of their own.
        load = getattr(type(part), 'load_data_list', None)
        if load is CocoDataset.load_data_list:
            classes = list(part.metainfo['classes'])
            check_class_order(classes, _read_names(part), part.ann_file)


def _read_names(dataset: CocoDataset) -> list[str]:
    """Names of the categories, without parsing images and boxes again."""
    content = get(dataset.ann_file, backend_args=dataset.backend_args)
    decoder = json.JSONDecoder()
    for match in _LIST.finditer(content):
        part = content[match.end() : match.end() + _LONGEST]
        try:
            found, _ = decoder.raw_decode(part.decode('utf-8', 'ignore'))
            names = {one['id']: one['name'] for one in found}
        except (ValueError, TypeError, KeyError):
            continue
        # Other lists may have this name; mmdet has kept the right numbers.
        numbers = [i for i in names if names[i] in dataset.metainfo['classes']]
        if numbers == dataset.cat_ids:
            return list(names.values())
    return [one['name'] for one in json.loads(content)['categories']]
