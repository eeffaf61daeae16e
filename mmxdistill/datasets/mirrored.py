"""Every training image and its mirror image."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from mmcv.transforms import RandomApply, RandomChoice, RandomFlip
from mmengine.dataset import BaseDataset, ConcatDataset

from mmxdistill.registry import DATASETS

__all__ = ['MirroredDataset']


@DATASETS.register_module()
class MirroredDataset(ConcatDataset):
    """A data set and, behind it, the mirror images of all its samples.

    As the epoch of Caffe's Fast R-CNN (*Fast R-CNN*, ``datasets/imdb.py``,
    ``append_flipped_images``). Where the pipeline has its random flip, the
    first half of the samples is never mirrored and the second half always;
    nothing is loaded or checked twice. For :class:`CaffeEpochSampler` and
    whatever reads a data set's samples it is a ``ConcatDataset`` of the two.

    Args:
        dataset (dict | BaseDataset): The data set, with one horizontal
            ``RandomFlip`` (or :class:`CaffeRandomFlip`) in its pipeline. Its
            probability does not matter.
        lazy_init (bool): Whether to load the annotations later. Defaults to
            False.

    Raises:
        TypeError: ``dataset`` is a wrapper: wrap the data sets in it instead.
        ValueError: The pipeline has no flip, several, one that is not
            horizontal, or one that not every sample passes.
    """

    def __init__(
        self, dataset: dict | BaseDataset, lazy_init: bool = False
    ) -> None:
        if isinstance(dataset, dict):
            dataset = DATASETS.build(dataset)
        if not isinstance(dataset, BaseDataset):
            raise TypeError(
                'MirroredDataset needs a data set with a pipeline, found '
                f'{type(dataset).__name__}: put MirroredDataset around each '
                'data set inside of it'
            )
        pipelines = [_flip_with(p, dataset.pipeline) for p in (0.0, 1.0)]
        halves = [copy.copy(dataset) for _ in pipelines]
        for half, pipeline in zip(halves, pipelines, strict=True):
            half.pipeline = pipeline
        super().__init__(halves, lazy_init=lazy_init)

    def full_init(self) -> None:
        """Load the annotations once, for both halves."""
        original, mirrored = self.datasets
        original.full_init()
        if not mirrored._fully_initialized:
            pipeline = mirrored.pipeline
            vars(mirrored).update(vars(original), pipeline=pipeline)
        super().full_init()


def _flip_with(prob: float, pipeline: Any) -> Any:
    """A copy of a pipeline with another probability of its flip."""
    pipeline = copy.deepcopy(pipeline)
    flips = list(_flips(pipeline.transforms))
    if len(flips) != 1 or flips[0].direction not in (
        'horizontal',
        ['horizontal'],
    ):
        raise ValueError(
            'MirroredDataset wants one horizontal RandomFlip in the pipeline '
            f'of its data set, found {[repr(flip) for flip in flips]}'
        )
    flips[0].prob = prob
    return pipeline


def _flips(
    transforms: Iterable[Any], inside: str = ''
) -> Iterator[RandomFlip]:
    """All flips, out of their wrappers."""
    for transform in transforms:
        if isinstance(transform, RandomFlip):
            if inside:
                raise ValueError(
                    'MirroredDataset wants every sample to pass the '
                    f'RandomFlip of the pipeline: take it out of {inside}'
                )
            yield transform
        name = type(transform).__name__
        random = isinstance(transform, (RandomApply, RandomChoice))
        inner = getattr(transform, 'transforms', ())
        yield from _flips(
            getattr(inner, 'transforms', inner), name if random else inside
        )
