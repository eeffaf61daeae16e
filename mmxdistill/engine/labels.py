"""Whether a label is the same class to a model and to its data."""

from __future__ import annotations

import re
from typing import Any

from mmdet.models.detectors import RPN
from torch import nn

__all__ = ['check_labels']

# Heads whose outputs are the labels of the data set: not those of a student
# or teacher inside, and not an RPN.
_HEAD = re.compile(
    r'(module\.)*(streams\.[^.]+\.)?(roi_head\.)?(bbox|mask)_head(\.\d+)?'
)


def check_labels(model: nn.Module, dataset: Any) -> None:
    """Compare the classes of a detector with those of a data set.

    They must be as many as ``num_classes`` of its heads, and the same as its
    ``class_names``, where it has them. mmdet's ``NumClassCheckHook`` looks at
    the former when a training has begun, and not before a test.

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
    proposers = [n for n, m in model.named_modules() if isinstance(m, RPN)]
    for name, head in model.named_modules():
        number = getattr(head, 'num_classes', None)
        if not isinstance(number, int) or not _HEAD.fullmatch(name):
            continue
        if 'mask_head' in name and getattr(head, 'class_agnostic', False):
            continue
        if name.rpartition('.')[0] in proposers:  # all objects are one class
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
    named = getattr(model, 'class_names', None)
    # As many as the heads have: a stream's config may name those of the data
    # set that it inherits.
    if named is None or len(named) != len(classes):
        return
    if tuple(classes) != tuple(named):
        raise ValueError(
            f"the detector's classes are {list(named)}, in this order, but "
            f'those of the data set are {list(classes)}: write the same in '
            'both'
        )
