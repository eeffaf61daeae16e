"""What a pipeline must not do to images that are stacked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmcv.transforms import BaseTransform

from mmxdistill.datasets.transforms.stock_names import (
    ANY_CHANNELS,
    IN_THREES,
    PHOTOMETRIC,
    TURNING,
    is_a,
)

__all__ = ['advice', 'check_data_set', 'data_sets', 'too_late', 'walk']


def walk(node: Any) -> Iterator[BaseTransform]:
    """Yield all transforms of a pipeline, those in wrappers too.

    Pipelines of a single modality, which :class:`LoadModalities` has, are
    left out.

    Args:
        node: Transform, or any nesting of lists, dicts and ``Compose``.
    """
    if isinstance(node, Mapping):
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from walk(child)
        return
    if isinstance(node, BaseTransform):
        yield node
    if hasattr(node, 'pipelines'):  # LoadModalities
        return
    if isinstance(node, BaseTransform) or hasattr(node, 'transforms'):
        yield from walk(list(vars(node).values()))


def check_data_set(dataset: Any, then: Sequence[Any] = ()) -> None:
    """Check what a data set does to the images that it stacks.

    Args:
        dataset (BaseDataset): Data set; one without :class:`LoadModalities`
            is as its user likes it.
        then (Sequence): Transforms that a wrapper of it applies.

    Raises:
        ValueError: A photometric transform would see several modalities,
            proposals would stay where they are while the image moves, or flow
            would be turned but not its directions.
    """
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    for step in steps:
        if hasattr(step, 'pipelines'):  # LoadModalities
            names = getattr(dataset, 'use', None) or step.pipelines
            _check_pipeline([*steps, *then], list(names))


def _check_pipeline(steps: Sequence[Any], modalities: Sequence[str]) -> None:
    if len(modalities) > 1:
        for transform in walk(steps):
            if is_a(transform, PHOTOMETRIC):
                raise ValueError(advice(transform, modalities))
    flip_flow = [o for o in walk(steps) if type(o).__name__ == 'FlipFlow']
    turning = [one for one in walk(steps) if is_a(one, TURNING)]
    if flip_flow and turning:
        name = type(turning[0]).__name__
        raise ValueError(
            f"{name} turns the image of '{flip_flow[0].modality}', but not "
            f'the directions of its flow: leave {name} out, or compute the '
            'flow of turned frames'
        )
    resized = False
    for one in walk(steps):
        if resized and is_a(one, ANY_CHANNELS + IN_THREES):
            raise ValueError(too_late(one))
        resized |= getattr(one, 'on_device', False)
    loaded = False
    for step in steps:
        inner = list(walk(step))
        carries = any(
            type(one).__name__.endswith('ProposalBroadcaster') for one in inner
        )
        moving = [one for one in inner if is_a(one, ANY_CHANNELS + IN_THREES)]
        moving = [one for one in moving if not _keeps_place(one)]
        if loaded and moving and not carries:
            name = type(moving[0]).__name__
            raise ValueError(
                f'{name} moves the image and its boxes, but not the '
                'proposals that LoadProposals has loaded: put it into '
                "dict(type='mmxdistill.FastProposalBroadcaster', transforms="
                f"[dict(type='{name}', ...)])"
            )
        loaded |= any(type(one).__name__ == 'LoadProposals' for one in inner)


def _keeps_place(transform: object) -> bool:
    """Whether boxes stay where they are."""
    return is_a(transform, ('Pad', 'CutOut', 'RandomErasing', 'CopyPaste'))


def too_late(transform: object) -> str:
    """What to do about a transform behind the resizing on the device."""
    name = type(transform).__name__
    return (
        f'{name} comes after CaffeResize(on_device=True), which leaves the '
        f'image as large as it was: put {name} before it (padding into the '
        'data_preprocessor), or resize in the loader (on_device=False)'
    )


def data_sets(dataset: Any) -> Iterator[Any]:
    """Data sets inside of wrappers."""
    for inner in getattr(dataset, 'datasets', ()):
        yield from data_sets(inner)
    if hasattr(dataset, 'dataset'):
        yield from data_sets(dataset.dataset)
    elif not hasattr(dataset, 'datasets'):
        yield dataset


def advice(transform: object, modalities: Sequence[str]) -> str:
    """What to do about a photometric transform."""
    name = type(transform).__name__
    return (
        f'{name} works on the colours of one image, but gets the stacked '
        f'channels of {list(modalities)}. Put it into the pipeline of the '
        f'modality that it is for: modalities=dict({modalities[0]}=dict('
        "path=..., pipeline=[dict(type='LoadImageFromFile'), dict("
        f"type='{name}')]), ...)"
    )
