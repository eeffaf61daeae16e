"""The data sets of a config, one by one, for tools that look at them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.transforms import LoadModalities
from mmxdistill.options import SPLITS
from mmxdistill.registry import DATASETS

__all__ = [
    'SPLITS',
    'build_dataset',
    'dataset_configs',
    'image_loader',
    'split_modalities',
]


def dataset_configs(
    config_file: str | os.PathLike[str], splits: Iterable[str] = SPLITS
) -> dict[str, dict[str, Any]]:
    """List the data sets of a config.

    What wraps a data set (``ConcatDataset``, ``RepeatDataset``, ...) is taken
    off, and equal ones are listed once.

    Args:
        config_file (str or PathLike): The config.
        splits (Iterable[str]): Out of 'train', 'val' and 'test', the loaders
            to look at. Defaults to all; a config need not have each.

    Returns:
        dict[str, dict]: Name ('train', 'val/test', 'train.2' of several) ->
        config of the data set.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: It has no data set of these splits.
    """
    if not Path(config_file).is_file():
        raise FileNotFoundError(f"config '{config_file}' does not exist")
    cfg = Config.fromfile(config_file)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    found: list[tuple[str, dict]] = []
    splits = list(splits)
    for split in splits:
        loader = cfg.get(f'{split}_dataloader')
        singles = list(_singles(loader['dataset'])) if loader else []
        for number, single in enumerate(singles, 1):
            name = split if len(singles) == 1 else f'{split}.{number}'
            found.append((name, single))
    if not found:
        raise ValueError(
            f"config '{config_file}' has no data set of {splits}: it needs a "
            'train_dataloader, val_dataloader or test_dataloader'
        )
    merged: list[tuple[list[str], dict]] = []
    for name, single in found:
        for names, other in merged:
            if single == other:
                names.append(name)
                break
        else:
            merged.append(([name], single))
    return {'/'.join(names): single for names, single in merged}


def _singles(config: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if 'datasets' in config:
        for inner in config['datasets']:
            yield from _singles(inner)
    elif 'dataset' in config:
        yield from _singles(config['dataset'])
    else:
        yield dict(config)


def build_dataset(
    config: Mapping[str, Any], proposals: bool = False, filtered: bool = False
) -> BaseDataset:
    """Build a data set for a look at it, without its check of all files.

    Encodings that the data preprocessor would compute on its device are
    computed in the pipeline, so that there are images to see.

    Args:
        config (Mapping): Config of a single data set.
        proposals (bool): Load its proposal file, if it has one. Defaults to
            False.
        filtered (bool): Leave out the images that training leaves out
            (``filter_cfg``). Defaults to False.

    Returns:
        BaseDataset: The data set.
    """
    chosen = _without_device(config)
    if not proposals:
        chosen.pop('proposal_file', None)
    if not filtered:
        chosen.pop('filter_cfg', None)
    kind = chosen['type']  # a name, or the class in a new-style config
    found = kind if inspect.isclass(kind) else DATASETS.get(kind)
    if issubclass(found, (PairedDataset, PairedCocoDataset)):
        chosen['check_pairs'] = False
    return DATASETS.build(chosen)


def _without_device(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {
            key: False if key == 'on_device' else _without_device(value)
            for key, value in node.items()
        }
    if isinstance(node, (list, tuple)):
        return type(node)(_without_device(child) for child in node)
    return node


def image_loader(dataset: BaseDataset) -> Any:
    """Find the transform that loads the images of a data set.

    Args:
        dataset (BaseDataset): The data set.

    Returns:
        BaseTransform: :class:`LoadModalities` or ``LoadImageFromFile``.

    Raises:
        ValueError: The pipeline has neither.
    """
    for transform in dataset.pipeline.transforms:
        if isinstance(transform, (LoadModalities, LoadImageFromFile)):
            return transform
    names = [type(t).__name__ for t in dataset.pipeline.transforms]
    raise ValueError(
        f'the pipeline {names} of the data set has neither LoadModalities '
        'nor LoadImageFromFile'
    )


def split_modalities(results: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Take the stacked image of a sample apart.

    Args:
        results (Mapping): Sample with ``img``, and ``modalities`` and
            ``modality_channels`` unless there is a single modality.

    Returns:
        dict[str, np.ndarray]: Modality -> its image (H, W, C); 'image' is
        that of a data set without modalities.
    """
    image = np.atleast_3d(results['img'])
    names: Sequence[str] = results.get('modalities') or ('image',)
    channels = results.get('modality_channels') or (image.shape[2],)
    ends = np.cumsum(channels)[:-1]
    return dict(zip(names, np.split(image, ends, axis=2), strict=True))
