"""COCO annotation files, read once and checked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mmxdistill.text_files import read_json

__all__ = ['check_classes', 'read_coco', 'read_records']

_SHOWN = 3


def read_records(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read the image records of a COCO file.

    Args:
        path (str or PathLike): The file.

    Returns:
        list[dict]: The records.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file.
    """
    return _part(read_json(path), 'images', path)


def _part(content: Any, name: str, path: Any) -> list[dict[str, Any]]:
    part = content.get(name) if isinstance(content, dict) else None
    if not isinstance(part, list):
        raise ValueError(
            f"'{path}' is no COCO annotation file: it has no list '{name}'"
        )
    wrong = next((item for item in part if not isinstance(item, dict)), None)
    if wrong is not None:
        raise ValueError(
            f"'{path}': {name} holds {str(wrong)[:80]!r} instead of a record"
        )
    return part


def read_coco(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a COCO file with boxes.

    Areas that are missing are those of the boxes.

    Args:
        path (str or PathLike): The file.

    Returns:
        dict: ``images``, ``annotations`` and ``categories``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file, two records share an id or two
            categories a name, or a record lacks a field.
    """
    content = read_json(path)
    parts = ('images', 'annotations', 'categories')
    _, annotations, categories = (_part(content, p, path) for p in parts)
    for name in parts:
        _check_unique(content[name], 'id', name, path)
    _check_unique(categories, 'name', 'categories', path)
    for record in content['images']:
        _check_size(record, path)
    for item in annotations:
        if not item.get('ignore'):
            _check_annotation(item, path)
    return content


def _check_unique(
    records: Sequence[dict[str, Any]], field: str, part: str, path: Any
) -> None:
    for record in records:
        if not isinstance(record.get(field), (int, str)):
            raise ValueError(
                f"'{path}': a record of {part} has no {field}: "
                f'{str(record)[:120]}'
            )
    counts = Counter(record[field] for record in records)
    if len(counts) < len(records):
        twice = [value for value, number in counts.items() if number > 1]
        raise ValueError(
            f"'{path}': {len(twice)} times, several {part} have the same "
            f'{field}, e.g. {twice[:_SHOWN]}'
            + (
                ': merge them, or give them names of their own'
                if field == 'name'
                else ': each needs its own'
            )
        )


def _check_size(record: dict[str, Any], path: Any) -> None:
    for field in ('width', 'height'):
        value = record.get(field)
        if value is not None and not _is_number(value):
            raise ValueError(
                f"'{path}': image {record['id']} has the {field} {value!r}, "
                'which is no number'
            )


def _check_annotation(item: dict[str, Any], path: Any) -> None:
    missing = [f for f in ('image_id', 'category_id') if f not in item]
    box: Any = item.get('bbox')
    sound = isinstance(box, list) and len(box) == 4
    if missing or not (sound and all(map(_is_number, box))):
        raise ValueError(
            f"'{path}': annotation {item['id']} "
            + (
                f'has no {" and no ".join(missing)}'
                if missing
                else f'has the bbox {box}, which is no [x, y, width, height]'
            )
        )
    if not _is_number(item.get('area')):
        if item.get('area') is not None:
            raise ValueError(
                f"'{path}': annotation {item['id']} has the area "
                f'{item["area"]!r}, which is no number'
            )
        item['area'] = box[2] * box[3]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and abs(value) < float('inf')


def check_classes(classes: Any) -> None:
    """Check the class names of a data set.

    Args:
        classes (Any): ``metainfo['classes']``.

    Raises:
        ValueError: They are no names, or a name occurs twice.
    """
    if isinstance(classes, str):
        raise ValueError(
            f"metainfo.classes is the text '{classes}', whose letters would "
            f"be the classes: write classes=('{classes}',), with the comma "
            '(or the path of a file with a name per line)'
        )
    if not all(isinstance(name, str) for name in classes):
        raise ValueError(f'metainfo.classes must be names: {list(classes)}')
    twice = [name for name, n in Counter(classes).items() if n > 1]
    if twice:
        raise ValueError(f'metainfo.classes has {twice} twice')
