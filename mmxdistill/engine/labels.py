"""Whether a label is the same class to a model and to its data."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

__all__ = ['check_labels']

# Heads whose outputs are the labels of the data set: not those of a student
# or teacher inside, and not an RPN.
_HEAD = re.compile(
    r'(module\.)*(streams\.[^.]+\.)?(roi_head\.)?(bbox|mask)_head(\.\d+)?'
)


def check_labels(model: nn.Module, dataset: Any) -> None:
    """Compare the classes of a detector with those of a data set.

    ``class_names``, where the detector has them, must be the same, and as
    many as ``num_classes`` of its heads. mmdet's ``NumClassCheckHook`` looks
    at the latter when a training has begun, and not before a test.

    Args:
        model (nn.Module): The detector.
        dataset (BaseDataset): With ``metainfo``; one without classes fits.

    Raises:
        ValueError: They differ; says what to write.
    """
    metainfo = getattr(dataset, 'metainfo', None) or {}
    # Panoptic data: the other classes are no objects.
    classes = metainfo.get('thing_classes') or metainfo.get('classes')
    if not classes or hasattr(model, 'language_model'):  # labels are words
        return
    named = getattr(model, 'class_names', None)
    if named and tuple(classes) != tuple(named):
        raise ValueError(
            f"the detector's classes are {list(named)}, in this order, but "
            f'those of the data set are {list(classes)}: write the same in '
            'both'
        )
    for name, head in model.named_modules():
        number = getattr(head, 'num_classes', None)
        if not isinstance(number, int) or not _HEAD.fullmatch(name):
            continue
        if 'mask_head' in name and getattr(head, 'class_agnostic', False):
            continue
        if number != len(classes):
            raise ValueError(
                f'num_classes={number} of model.{name}, but the '
                f'{type(dataset).__name__} has {len(classes)} classes: set '
                f'num_classes={len(classes)}, or metainfo=dict(classes=...) '
                f'of the data set, which are {list(classes)[:10]}'
                + ' and more'
                * (len(classes) > 10)
            )
