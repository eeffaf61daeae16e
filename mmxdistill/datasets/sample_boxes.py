"""Ground truth and proposals of all samples, without loading an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from mmcv.transforms import RandomApply, RandomChoice, RandomFlip
from mmdet.datasets.transforms import LoadProposals
from mmengine.dataset import BaseDataset
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmxdistill.parallel import available_cpus, map_parallel

__all__ = ['SampleBoxes', 'map_boxes']

# Below this, starting worker processes costs more than it saves.
_MIN_PARALLEL = 200

# (left-right, upside down) -> probability.
Flips = dict[tuple[bool, bool], float]


class SampleBoxes(NamedTuple):
    """Boxes of a sample, x1, y1, x2, y2 in pixels of the original image.

    Args:
        gt_boxes (np.ndarray): Without those to be ignored, (k, 4).
        gt_labels (np.ndarray): Classes, from 0 (k,).
        proposals (np.ndarray): As many as the pipeline loads, (n, 4).
        flips (dict[tuple[bool, bool], float]): Probability with which the
            pipeline mirrors the image (left-right, upside down).
    """

    gt_boxes: np.ndarray
    gt_labels: np.ndarray
    proposals: np.ndarray
    flips: Flips


def map_boxes(
    function: Callable[[SampleBoxes], Any], dataset: Any, description: str
) -> list[Any]:
    """Apply a function to the boxes of each sample of a data set.

    The main process works for all ranks; with many samples in parallel and
    with a progress bar. A sample that a wrapper repeats is computed once.

    Args:
        function (Callable): Takes :class:`SampleBoxes`. It and its results
            must be picklable.
        dataset (BaseDataset): A fully initialised data set with proposals,
            or a Concat-, Repeat- or ClassBalancedDataset of such.
        description (str): Label of the progress bar.

    Returns:
        list: One result per sample, in order; the same on all ranks.

    Raises:
        KeyError: A sample has no proposals.
        TypeError: The data set is of another kind.
    """
    results: list[Any] = [None]
    if is_main_process():
        results = [_map(function, dataset, description)]
    broadcast_object_list(results)
    return results[0]


def _map(function: Callable, dataset: Any, description: str) -> list[Any]:
    """:func:`map_boxes` in one process."""
    if isinstance(dataset, BaseDataset):
        return _map_samples(function, dataset, description)
    if hasattr(dataset, 'datasets'):
        parts = [_map(function, d, description) for d in dataset.datasets]
        return [result for part in parts for result in part]
    if hasattr(dataset, '_get_ori_dataset_idx'):
        found = _map(function, dataset.dataset, description)
        return [
            found[dataset._get_ori_dataset_idx(i)] for i in range(len(dataset))
        ]
    raise TypeError(
        f'the boxes of a {type(dataset).__name__} are not known before its '
        'pipeline runs: use a data set of mmxdistill or mmdet, or a Concat-, '
        'Repeat- or ClassBalancedDataset of such'
    )


def _map_samples(
    function: Callable, dataset: BaseDataset, description: str
) -> list[Any]:
    boxes = _Boxes(dataset)
    count = len(dataset)
    if count < _MIN_PARALLEL:
        return [boxes.apply(function, index) for index in range(count)]
    print_log(f'{description} of {count} samples', logger='current')
    outcomes = map_parallel(
        partial(boxes.apply, function),
        range(count),
        available_cpus(),
        description,
        chunk_size=16,
        name=boxes.name,
        log=partial(print_log, logger='current'),
    )
    for outcome in outcomes:
        if outcome.error is not None:
            raise ValueError(f"'{boxes.name(outcome.item)}': {outcome.error}")
    return [outcome.result for outcome in outcomes]


class _Boxes:
    """Boxes of the samples of an unwrapped data set."""

    def __init__(self, dataset: Any) -> None:
        transforms = list(_leaves(dataset.pipeline.transforms))
        loaders = [t for t in transforms if isinstance(t, LoadProposals)]
        # All samples have proposals, or none.
        some = dataset.get_data_info(0) if len(dataset) else None
        if some is not None and ('proposals' not in some or not loaders):
            raise KeyError(
                f"'{some.get('img_path')}' has no proposals: set the "
                'proposal_file of the data set and put LoadProposals into '
                'its pipeline'
            )
        self.dataset = dataset
        self.loader: Any = loaders[0] if loaders else None
        self.flips = _flips(t for t in transforms if isinstance(t, RandomFlip))

    def name(self, index: int) -> str:
        return str(self.dataset.get_data_info(index).get('img_path'))

    def apply(self, function: Callable, index: int) -> Any:
        return function(self[index])

    def __getitem__(self, index: int) -> SampleBoxes:
        info = self.dataset.get_data_info(index)
        sample = dict(proposals=info['proposals'])
        truth = [i for i in info['instances'] if not i.get('ignore_flag')]
        return SampleBoxes(
            np.array([i['bbox'] for i in truth], float).reshape(-1, 4),
            np.array([i['bbox_label'] for i in truth], int),
            self.loader.transform(sample)['proposals'],
            self.flips,
        )


def _leaves(transforms: Iterable[Any]) -> Iterator[Any]:
    """Transforms that every sample passes, out of their wrappers."""
    for transform in transforms:
        if isinstance(transform, (RandomApply, RandomChoice)):
            continue
        inner = getattr(transform, 'transforms', None)
        if inner is None:
            yield transform
        else:
            yield from _leaves(getattr(inner, 'transforms', inner))


def _flips(transforms: Iterable[RandomFlip]) -> Flips:
    """Probability of each orientation behind all these transforms."""
    total: Flips = {(False, False): 1.0}
    for transform in transforms:
        single, before, total = _flip(transform), total, {}
        for (x, y), p in before.items():
            for (flip_x, flip_y), q in single.items():
                key = (x != flip_x, y != flip_y)
                total[key] = total.get(key, 0.0) + p * q
    return total


def _flip(transform: RandomFlip) -> Flips:
    """Probability of each orientation behind one transform."""
    names = transform.direction
    names = [names] if isinstance(names, str) else names
    shares = transform.prob
    if isinstance(shares, float):
        shares = [shares / len(names)] * len(names)
    single: Flips = {(False, False): 1.0 - sum(shares)}
    for name, share in zip(names, shares, strict=True):
        key = (name != 'vertical', name != 'horizontal')
        single[key] = single.get(key, 0.0) + share
    return single
