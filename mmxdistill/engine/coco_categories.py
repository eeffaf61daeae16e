"""Whether mmdet's labels of a COCO file are the classes that it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.fileio import get

__all__ = ['check_categories']

_KEY = b'"categories"'


def check_categories(dataset: Any) -> None:
    """Compare the classes of mmdet's COCO data sets with their files.

    mmdet numbers labels in the order of the file's categories, whatever the
    order of ``metainfo['classes']`` is, and leaves out classes that the file
    does not have: in both cases labels get the names of others.
    :class:`~mmxdistill.datasets.PairedCocoDataset` looks itself.

    Args:
        dataset (BaseDataset): A data set, or one around others.

    Raises:
        ValueError: A label is another class; names the file and says what to
            write.
    """
    for part in _parts(dataset):
        # Some have an order of their own.
        loads = getattr(type(part), 'load_data_list', None)
        if loads is not CocoDataset.load_data_list:
            continue
        classes = list(part.metainfo.get('classes') or ())
        names = _read_names(part.ann_file)
        labels = [name for name in names if name in classes]
        if labels != classes:
            missing = [name for name in classes if name not in names]
            raise ValueError(
                f"metainfo.classes {classes} of the {type(part).__name__}: '"
                f"{part.ann_file}' "
                + (
                    f'has no category {missing}, so mmdet gives later classes '
                    f'their numbers; its categories are {names}'
                    if missing
                    else 'has them in another order, which is that of '
                    f"mmdet's labels: write classes={labels}"
                )
            )


def _parts(dataset: Any) -> Iterator[Any]:
    inner = getattr(dataset, 'datasets', None)
    if inner is None and getattr(dataset, 'dataset', None) is not None:
        inner = [dataset.dataset]
    if inner is None:
        yield dataset
    else:
        for part in inner:
            yield from _parts(part)


def _read_names(path: str) -> list[str]:
    """Names of the categories, without parsing images and boxes again."""
    content = get(path)
    start = content.find(_KEY)
    while start >= 0:
        text = content[start + len(_KEY) :].lstrip()
        if text.startswith(b':'):
            # Ends in the middle of a long file, but not of this list.
            head = text[1 : 1 << 24].decode('utf-8', 'replace').lstrip()
            try:
                found, _ = json.JSONDecoder().raw_decode(head)
                return [category['name'] for category in found]
            except (json.JSONDecodeError, TypeError, KeyError):
                pass
        start = content.find(_KEY, start + 1)
    return [one['name'] for one in json.loads(content)['categories']]
