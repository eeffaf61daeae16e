"""The order in which Caffe's Fast R-CNN draws its training images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mmxdistill.datasets.roidb import is_usable, match_rois
from mmxdistill.datasets.sample_boxes import SampleBoxes, map_boxes
from mmxdistill.datasets.samplers import ResumableInfiniteSampler
from mmxdistill.registry import DATA_SAMPLERS

__all__ = ['CaffeEpochSampler']


@DATA_SAMPLERS.register_module()
class CaffeEpochSampler(ResumableInfiniteSampler):
    """Endless stream of permutations that lose their last images.

    As the released data layer (*Fast R-CNN*, ``roi_data_layer/layer.py``): a
    new permutation of the training images is drawn as soon as a minibatch
    would reach the end of the old one, so its last 1 to ``batch_size`` images
    are not used. Images without foreground or without background RoIs
    (:func:`is_usable`) are never drawn. NumPy draws, from ``seed``; otherwise
    as :class:`ResumableInfiniteSampler`.

    The epoch has Caffe's flipped copies if the data set is a
    :class:`MirroredDataset`.

    Args:
        dataset (Dataset): The data set, or wrappers around data sets, with
            proposals.
        batch_size (int): Images of a minibatch and process: that of the data
            loader. Defaults to 2.
        seed (int, optional): Seed of the permutations. Defaults to a random
            one, the same on all processes.

    Raises:
        ValueError: No image of the data set can be used.
    """

    def __init__(
        self, dataset: Any, batch_size: int = 2, seed: int | None = None
    ) -> None:
        found = map_boxes(_usable, dataset, 'check for usable RoIs')
        self.usable = np.array(found, bool)
        if not self.usable.any():
            raise ValueError(
                f'none of the {len(found)} training images has both a '
                'proposal with an IoU above 0.5 (or a ground-truth box) and '
                'one with an IoU between 0 and 0.5: do the boxes of '
                'proposal_file and ann_file belong to the same images?'
            )
        self.batch_size = batch_size
        super().__init__(dataset, seed=seed)

    def _infinite_indices(self) -> Iterator[int]:
        generator = np.random.RandomState(self.seed)
        minibatch = self.batch_size * self.world_size
        order = self._permutation(generator)
        start = 0
        while True:
            if start + minibatch >= len(order):
                order = self._permutation(generator)
                start = 0
            yield from order[start : start + minibatch].tolist()
            start += minibatch

    def _permutation(self, generator: np.random.RandomState) -> np.ndarray:
        # All images are permuted, then those that cannot be used left out.
        order = generator.permutation(len(self.usable))
        return order[self.usable[order]]


def _usable(sample: SampleBoxes) -> bool:
    return is_usable(match_rois(*sample[:3]).overlaps)
