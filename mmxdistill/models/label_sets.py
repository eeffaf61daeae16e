"""Detectors for other classes than they were trained for, by selection."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmdet.registry import DATASETS
from torch import Tensor, nn

__all__ = ['class_indices', 'config_classes', 'select_rows', 'with_classes']

# Rows of a prior beside those of the classes (none, background, or box and
# objectness) -> where the classes begin.
_CLASSES_BEGIN = {0: 0, 1: 0, 5: 5}
_DATASETS = ('test_dataloader', 'val_dataloader', 'train_dataloader')


def config_classes(cfg: Mapping) -> tuple[str, ...] | None:
    """Names of the classes in the config of an experiment.

    Args:
        cfg (dict): With data loaders, as mmdet's configs.

    Returns:
        tuple[str, ...] | None: None if it does not say.
    """
    for key in _DATASETS:
        dataset = (cfg.get(key) or {}).get('dataset')
        while isinstance(dataset, Mapping):
            given = (dataset.get('metainfo') or {}).get('classes')
            if given:
                return tuple(given)
            inner = dataset.get('dataset') or dataset.get('datasets')
            if inner is None:
                break
            dataset = inner[0] if isinstance(inner, Sequence) else inner
        if isinstance(dataset, Mapping):
            kind = dataset['type']
            kind = DATASETS.get(kind) if isinstance(kind, str) else kind
            known = getattr(kind, 'METAINFO', {}).get('classes')
            if known:
                return tuple(known)
    return None


def class_indices(
    wanted: Sequence[str] | Mapping[str, str], source: Sequence[str]
) -> list[int]:
    """Where wanted classes stand among those of a detector.

    Args:
        wanted (Sequence[str] | dict[str, str]): Names of the classes; or
            new name -> name in ``source``, as ``dict(sofa='couch')``.
        source (Sequence[str]): Classes of the detector.

    Returns:
        list[int]: Index of each.

    Raises:
        ValueError: A class is not there, or no class is wanted.
    """
    names = list(wanted.values()) if isinstance(wanted, Mapping) else wanted
    missing = [name for name in names if name not in source]
    if missing or not len(names):
        raise ValueError(
            f'classes: the detector does not know {missing or "no class"}; '
            'map your names to its own, as in classes=dict(sofa="couch"). It '
            f'knows {list(source)}'
        )
    return [list(source).index(name) for name in names]


def with_classes(model: Any, number: int) -> Any:
    """Config of a detector for another number of classes.

    Args:
        model (ConfigDict): Config of a one- or two-stage detector.
        number (int): Number of classes.

    Returns:
        ConfigDict: A copy.

    Raises:
        ValueError: There is no ``bbox_head`` with ``num_classes``.
    """
    model = copy.deepcopy(model)
    parent: Any = model.get('roi_head') or model
    changed = 0
    for key in ('bbox_head', 'mask_head'):
        heads = parent.get(key)
        found: Any = heads if isinstance(heads, (list, tuple)) else [heads]
        for head in found:
            if isinstance(head, dict) and 'num_classes' in head:
                head['num_classes'] = number
                changed += 1
    if not changed:
        raise ValueError(
            f'{model["type"]}: its config has no bbox_head with num_classes, '
            'so classes cannot be selected'
        )
    return model


def select_rows(
    source: nn.Module,
    target: nn.Module,
    wider: nn.Module,
    indices: Sequence[int],
    number: int,
) -> None:
    """Copy a detector's weights to its copy for some of the classes.

    Args:
        source (nn.Module): Detector of all classes.
        target (nn.Module): The same for ``len(indices)`` classes.
        wider (nn.Module): The same for one class more than ``source``, whose
            shapes tell which layers depend on the classes.
        indices (Sequence[int]): Where those stand.
        number (int): How many classes the source has.

    Raises:
        ValueError: A layer does not have the rows of a head of mmdet.
    """
    given, more = source.state_dict(), wider.state_dict()
    chosen = {}
    for key in target.state_dict():
        rows = given[key]
        if rows.shape != more[key].shape:
            rows = _rows(key, rows, more[key], indices, number)
        chosen[key] = rows
    target.load_state_dict(chosen)


def _rows(
    key: str, weight: Tensor, more: Tensor, indices: Sequence[int], number: int
) -> Tensor:
    """Rows of the classes (and of the background) in a layer's outputs.

    Layouts: (classes, 4) for boxes per class and (classes, cells) for masks in
    RoI heads; (priors, classes) or (priors, classes + background) elsewhere;
    with boxes and objectness before the classes in YOLOv3.
    """
    each = len(more) - len(weight)  # rows of a class
    extra = len(weight) // each - number if each > 0 else -1
    if (
        extra not in _CLASSES_BEGIN
        or len(weight) != each * (number + extra)
        or weight.shape[1:] != more.shape[1:]
    ):
        raise ValueError(
            f"classes: '{key}' has {tuple(weight.shape)} weights for {number} "
            f'classes and {tuple(more.shape)} for one more, which is no '
            'layout of mmdet; select the classes in the config of the data '
            'set instead'
        )
    first = _CLASSES_BEGIN[extra]
    order = [*range(number + extra)]
    order[first : first + number] = [first + index for index in indices]
    chosen = torch.tensor(order, device=weight.device)
    if 'roi_head' in key:
        return weight.unflatten(0, (-1, each))[chosen].flatten(0, 1)
    return weight.unflatten(0, (each, -1))[:, chosen].flatten(0, 1)
