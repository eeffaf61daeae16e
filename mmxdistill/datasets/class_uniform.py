"""Samples drawn class by class: what the region (SDS) training reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset, InfiniteSampler

from mmxdistill.datasets.roidb import match_rois
from mmxdistill.datasets.sample_boxes import SampleBoxes, map_boxes
from mmxdistill.datasets.samplers import DrawIndex, seed_draws
from mmxdistill.registry import DATA_SAMPLERS, DATASETS

__all__ = ['ClassUniformDataset', 'ClassUniformSampler']


@DATASETS.register_module()
class ClassUniformDataset:
    """A data set as lists of boxes, one list per class.

    An item is a box that overlaps an object by ``iou_thr`` (IoU with +1;
    objects themselves included): the sample of its image, with the class as
    ``region_class`` among the meta information. The items of a class lie side
    by side; :class:`ClassUniformSampler` draws a class, then an item of it, as
    the released region training does (*Fast R-CNN*, branch
    sds-distillation).

    Args:
        dataset (dict | BaseDataset): The data set, with proposals.
        iou_thr (float): Lowest overlap. Defaults to 0.7.
        lazy_init (bool): Whether to load the annotations later. Defaults to
            False.

    Raises:
        ValueError: No sample has an object.

    Attributes:
        class_sizes (np.ndarray): Items of each class, int64 (classes,).
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        iou_thr: float = 0.7,
        lazy_init: bool = False,
    ) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        self.dataset: Any = dataset
        self.iou_thr = iou_thr
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """Meta information of the data set, with its classes."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Load the annotations, and count the boxes of every class."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        classes = len(self.metainfo['classes'])
        count = partial(_count_boxes, classes=classes, iou_thr=self.iou_thr)
        counts = np.array(map_boxes(count, self.dataset, 'region boxes'))
        if not counts.any():
            raise ValueError(
                'ClassUniformDataset: no sample has an object; give the '
                'labelled training set'
            )
        self.class_sizes = counts.sum(0)
        # Items before the end of each (class, image).
        self._ends = counts.T.ravel().cumsum()
        self._fully_initialized = True

    def __len__(self) -> int:
        """Number of items."""
        return int(self.class_sizes.sum())

    def __getitem__(self, index: int) -> Any:
        """Load the sample of an item.

        Args:
            index (int): Number of the item, or a :class:`DrawIndex`.

        Returns:
            dict: What the data set's pipeline makes of the image.
        """
        place = int(np.searchsorted(self._ends, int(index), side='right'))
        label, image = divmod(place, len(self.dataset))
        if isinstance(index, DrawIndex):
            image = DrawIndex(image, index.seed)
        sample = self.dataset[image]
        sample['data_samples'].set_metainfo(dict(region_class=label))
        return sample


@DATA_SAMPLERS.register_module()
class ClassUniformSampler(InfiniteSampler):
    """Endless stream of items of a :class:`ClassUniformDataset`.

    Each draw takes a class, all that have items with equal probability, and
    then one of its items. The n-th draw depends on the seed and n alone.

    Args: see :class:`mmengine.dataset.InfiniteSampler`.

    Raises:
        TypeError: The data set is of another kind.
    """

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        if not isinstance(dataset, ClassUniformDataset):
            raise TypeError(
                'ClassUniformSampler needs a mmxdistill.ClassUniformDataset, '
                f'found {type(dataset).__name__}'
            )
        super().__init__(dataset, **kwargs)
        self.dataset = dataset
        seed_draws(dataset)

    def _infinite_indices(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed)
        sizes = self.dataset.class_sizes
        starts = sizes.cumsum() - sizes
        present = np.flatnonzero(sizes)
        while True:
            draw = torch.rand(2, generator=generator, dtype=torch.float64)
            label = present[int(draw[0] * len(present))]
            yield int(starts[label] + int(draw[1] * sizes[label]))

    def _indices_of_rank(self) -> Iterator[int]:
        draws = enumerate(self._infinite_indices())
        for draw, index in draws:
            if draw % self.world_size == self.rank:
                seed = np.random.SeedSequence((self.seed, draw))
                yield DrawIndex(index, int(seed.generate_state(1)[0]))


def _count_boxes(
    sample: SampleBoxes, classes: int, iou_thr: float
) -> np.ndarray:
    """Boxes of each class that overlap an object enough, int64 (classes,)."""
    rois = match_rois(sample.gt_boxes, sample.gt_labels, sample.proposals)
    labels = rois.labels[rois.overlaps >= iou_thr]
    return np.bincount(labels, minlength=classes)
