"""Fills the cache of the teachers' features ahead of a training."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset, DataLoader, Subset

from mmxdistill.datasets.repeatable import variants
from mmxdistill.engine.hooks.teacher_cache import open_cache
from mmxdistill.models.detectors import SupervisionTransfer

__all__ = ['Filled', 'fill_cache']

_MAX_WAITING = 16  # sizes of images


class Filled(NamedTuple):
    """What is in a cache now.

    Attributes:
        images (int): Images of the training, of which each has a feature per
            way to mirror and resize it.
        ways (list[str]): These ways.
        added (int): Features that were not there before.
        size (int): Bytes of the folder.
        complete (bool): Whether all of them are there.
        hint (str | None): Why a training will still compute some.
    """

    images: int
    ways: list[str]
    added: int
    size: int
    complete: bool
    hint: str | None


@torch.no_grad()
def fill_cache(runner: Runner) -> Filled:
    """Compute the teachers' features of all images that a training may draw.

    Images are loaded by the workers of the training's loader, and computed in
    its batches, those of a size together. Several processes
    (``--launcher``) share the work. What is there already is not computed
    again, so that an interrupted one goes on.

    Args:
        runner (Runner): Of the training, with a ``teacher_cache``.

    Returns:
        Filled: What is there now.

    Raises:
        ValueError: Images do not come again, the folder is of something else,
            or the features do not fit the disk or ``max_gb``.
    """
    model: Any = runner.model
    if is_model_wrapper(model):
        model = model.module
    if not isinstance(model, SupervisionTransfer):
        raise ValueError(
            f'the model is a {type(model).__name__}, which has no teacher'
        )
    train = runner.train_dataloader
    cache = open_cache(model, train.dataset)
    ways = variants(train.dataset)
    everything: Any = ConcatDataset([dataset for _, dataset in ways])
    mine = range(get_rank(), len(everything), get_world_size())
    loader = DataLoader(
        Subset(everything, mine),
        batch_size=None,
        num_workers=train.num_workers,
        worker_init_fn=train.worker_init_fn,
        multiprocessing_context=train.multiprocessing_context,
    )
    size = train.batch_size or getattr(train.batch_sampler, 'batch_size', 1)
    shapes: set[tuple[int, int]] = set()
    model.train()
    checked = False
    for group in _groups(_shown(loader, len(mine)), size):
        data = FUNCTIONS.get('pseudo_collate')(group)
        data = model.data_preprocessor(data, True)
        inputs, samples = data['inputs'], data['data_samples']
        shapes.add((int(inputs.shape[2]), int(inputs.shape[3])))
        cache.features(model.teach, inputs, samples)
        if not checked:
            _check_room(cache, cache.record_bytes * len(everything))
            checked = True
        if cache.store.problem is not None:
            break
    cache.flush()
    stopped = cache.store.problem is not None
    counts = torch.tensor([cache.seen - cache.found, int(stopped)])
    all_reduce(counts)
    return Filled(
        len(train.dataset),
        [name for name, _ in ways],
        int(counts[0]),
        cache.store.size(),
        int(counts[1]) == 0,
        cache.store.problem or _hint(shapes, size),
    )


def _hint(shapes: set[tuple[int, int]], batch_size: int) -> str | None:
    if len(shapes) == 1 or batch_size == 1:
        return None
    h, w = (max(sides) for sides in zip(*shapes, strict=True))
    return (
        f'Images are padded to {len(shapes)} sizes. Batches of several are '
        'padded to the largest, and the features at the border depend on it: '
        'the training will compute those anew. To have one size, set '
        'data_preprocessor.batch_augments=[dict(type="BatchFixedSizePad", '
        f'size=({h}, {w}))].'
    )


def _shown(loader: Iterable[Any], total: int) -> Iterable[Any]:
    """Show the progress, in one of the processes."""
    from rich.progress import track

    return track(loader, 'teacher features', total, disable=get_rank() > 0)


def _groups(samples: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Put samples of one size together, up to ``size``.

    That of the result: resizing may be left to the device.
    """
    waiting: dict[tuple[int, ...], list[Any]] = {}
    for sample in samples:
        shape = tuple(sample['data_samples'].img_shape[:2])
        group = waiting.setdefault(shape, [])
        group.append(sample)
        if len(group) == size:
            yield waiting.pop(shape)
        elif len(waiting) > _MAX_WAITING:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _check_room(cache: Any, needed: int) -> None:
    """Say at once what would be found out after hours."""
    about = f'about {needed / 1e9:.3g} GB for all images'
    if cache.max_bytes is not None and needed > cache.max_bytes:
        raise ValueError(
            f'teacher_cache: {about}, but max_gb is '
            f"{cache.max_bytes / 1e9:g}: set more, or dtype='int8'"
        )
    free = shutil.disk_usage(cache.path).free + cache.store.size()
    if needed > free:
        raise ValueError(
            f"teacher_cache: {about}, but '{cache.path}' has {free / 1e9:.3g} "
            "GB: give another path, or dtype='int8'"
        )
