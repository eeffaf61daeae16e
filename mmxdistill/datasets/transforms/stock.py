"""mmdet's own transforms on images with the channels of several modalities.

Most geometric transforms of mmdet and mmcv take any number of channels.
Those that fill or mix (``Rotate``, ``Pad``, ``Mosaic``, ...) take three:
OpenCV fills at most four channels with a constant, and some make canvases of
three. :func:`teach_stock_transforms` lets them work on a stack in threes,
modality by modality, with the same random draw, so that a pipeline written
for mmdet is right as it is, in any data set. Other images, of up to four
channels, go through as before.

Photometric transforms know colours. On a stack they are refused: they belong
to the pipeline of the modality that they are for.
"""

from __future__ import annotations

import copy
import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from mmdet.datasets import MultiImageMixDataset

from mmxdistill.datasets.transforms.channels import (
    pick_channels,
    split_channels,
    stack_channels,
)
from mmxdistill.datasets.transforms.reduced_jpeg import refuse_undecoded
from mmxdistill.datasets.transforms.stock_checks import (
    advice,
    check_data_set,
    data_sets,
    too_late,
)
from mmxdistill.datasets.transforms.stock_names import (
    IN_THREES,
    PHOTOMETRIC,
    classes_of,
)

__all__ = ['teach_stock_transforms']

_PACKED = ('missing_modalities', 'device_resize', 'modality_sources')
# Interpolations of OpenCV.
_PLANE_BY_PLANE = ('bilinear', 'nearest')

Transform: TypeAlias = Callable[[Any, dict], dict | None]


def teach_stock_transforms() -> None:
    """Let the stock transforms see how many channels a stack has.

    Their classes are changed in place, once, so that it does not matter who
    builds them, and when: a data set, ``MultiImageMixDataset``, a worker
    process.
    """
    for names, wrap in (
        (IN_THREES, _in_threes),
        (PHOTOMETRIC, _refusing),
        (('PackDetInputs',), _packing),
    ):
        for cls in classes_of(names):
            for child in _family(cls):
                own = vars(child).get('transform')
                if own and not hasattr(own, 'of_one_modality'):
                    wrapped = wrap(own)
                    wrapped.of_one_modality = own  # type: ignore[attr-defined]
                    child.transform = wrapped  # type: ignore[attr-defined]
    for cls in classes_of(('Resize',)):
        own = vars(cls).get('_resize_img')
        if own and not hasattr(own, 'of_one_modality'):
            cls._resize_img = _resizing(own)  # type: ignore[attr-defined]
    init = MultiImageMixDataset.__init__
    if not hasattr(init, 'unchecked'):
        MultiImageMixDataset.__init__ = _checking(init)


def _family(cls: type) -> Iterator[type]:
    yield cls
    child: type
    for child in cls.__subclasses__():
        yield from _family(child)


def _widths(results: dict) -> tuple[int, ...] | None:
    """Channels of each modality; None if the stock transform will do."""
    image = results.get('img')
    shape: tuple[int, ...] = getattr(image, 'shape', ())
    if 'modality_channels' in results:
        widths = tuple(results['modality_channels'])
    elif len(shape) == 3 and shape[2] > 4:
        widths = (shape[2],)  # of somebody else's loader
    else:
        return None
    return None if widths == (3,) else widths


def _resizing(resize_img: Callable[[Any, dict], None]) -> Any:
    """Resize a stack so that each modality is resized as if it were alone.

    OpenCV rounds images of more than four channels differently, or refuses
    them. ``nearest`` and ``bilinear`` give single planes the values that they
    have in an image of three (not of two, which it halves differently), and
    are fastest with them.
    """

    @functools.wraps(resize_img)
    def on_stack(self: Any, results: dict) -> None:
        refuse_undecoded(self, results)
        widths = _widths(results)
        if widths is None or (len(widths) == 1 and widths[0] <= 4):
            resize_img(self, results)
            return
        planes = split_channels(results['img'])
        stack = planes.transpose(1, 2, 0)
        single = self.backend == 'cv2' and (
            self.interpolation in _PLANE_BY_PLANE
        )
        parts = []
        known = results.pop('modality_channels', None)
        for channels in _threes(widths):
            wanted = range(channels.start, channels.stop)
            if single and len(wanted) == 3:
                images = list(planes[channels])
            else:
                images = [pick_channels(stack, wanted)]
            for results['img'] in images:
                resize_img(self, results)
                parts.append(results['img'])
        results['img'] = stack_channels(parts)
        if known is not None:
            results['modality_channels'] = known

    on_stack.of_one_modality = resize_img  # type: ignore[attr-defined]
    return on_stack


def _in_threes(transform: Transform) -> Transform:
    @functools.wraps(transform)
    def on_stack(self: Any, results: dict) -> dict | None:
        if 'device_resize' in results:
            raise ValueError(too_late(self))
        refuse_undecoded(self, results)
        widths = _widths(results)
        if widths is None or _knows(self, sum(widths)):
            return transform(self, results)
        return _apply_in_threes(self, transform, results, widths)

    return on_stack


def _knows(transform: Any, channels: int) -> bool:
    """Whether its config has a fill value for every channel of the stack."""
    fill: Any = getattr(transform, 'fill_in', None)
    fill = getattr(transform, 'mean', fill)
    return channels != 3 and np.size(fill) == channels > 1


def _apply_in_threes(
    self: Any, transform: Transform, results: dict, widths: tuple[int, ...]
) -> dict | None:
    """Apply a transform to each modality with the same random draw."""
    for other in results.get('mix_results', ()):
        if _widths(other) != widths:
            raise ValueError(
                f'{type(self).__name__} mixes samples with {widths} and '
                f'{_widths(other) or (3,)} channels per modality: all must '
                'have the same modalities'
            )
    parts = list(_threes(widths))
    caches = _caches(self, len(parts))
    # All before the first one is changed in place.
    samples = [_part(results, part, n > 0) for n, part in enumerate(parts)]
    draw = random.getstate(), np.random.get_state()  # noqa: NPY002
    done = []
    for number, sample in enumerate(samples):
        random.setstate(draw[0])
        np.random.set_state(draw[1])  # noqa: NPY002
        if caches is not None:
            self.results_cache = caches[number]
        done.append(transform(self, sample))
    if caches is not None:
        self.results_cache = caches[0]
    if any(part is None for part in done):
        return None
    stacked: Any = done[0]
    stacked['img'] = stack_channels(
        [
            np.atleast_3d(part['img'])[  # type: ignore[index]
                ..., : channels.stop - channels.start
            ]
            for part, channels in zip(done, parts, strict=True)
        ]
    )
    if 'modality_channels' in results:
        stacked['modality_channels'] = results['modality_channels']
    if 'pad_shape' in stacked:
        stacked['pad_shape'] = stacked['img'].shape
    if 'mix_results' in results:
        stacked['mix_results'] = results['mix_results']
    # In place: FixShapeResize does not look at what its Pad returns.
    results.clear()
    results.update(stacked)
    return results


def _threes(widths: Sequence[int]) -> Iterator[slice]:
    """Up to three channels of a modality each."""
    start = 0
    for width in widths:
        for first in range(start, start + width, 3):
            yield slice(first, min(first + 3, start + width))
        start += width


def _caches(self: Any, count: int) -> list[list] | None:
    """A cache of recent samples for each part, if the transform has one."""
    if not hasattr(self, 'results_cache'):
        return None
    caches = self.__dict__.setdefault('_caches', [])
    if len(caches) != count:
        if caches:
            raise ValueError(
                f'{type(self).__name__} got samples of different modalities; '
                'its cache needs all of the same'
            )
        caches.extend([] for _ in range(count))
    return caches


def _part(results: dict, channels: slice, copied: bool) -> dict:
    """Make a plain sample of three channels, the last of them repeated."""
    part = {
        key: copy.deepcopy(value) if copied else value
        for key, value in results.items()
        if key not in ('img', 'mix_results', 'modality_channels')
    }
    if 'mix_results' in results:
        part['mix_results'] = [
            _part(other, channels, True) for other in results['mix_results']
        ]
    three = [min(channels.start + i, channels.stop - 1) for i in range(3)]
    part['img'] = pick_channels(results['img'], three)
    return part


def _refusing(transform: Transform) -> Transform:
    @functools.wraps(transform)
    def on_stack(self: Any, results: dict) -> dict | None:
        if len(results.get('modality_channels', ())) > 1:
            raise ValueError(advice(self, results['modalities']))
        return transform(self, results)

    return on_stack


def _packing(transform: Transform) -> Transform:
    """Whatever the ``meta_keys``, say what the image is not, and made of.

    Zeros would be an image otherwise, and one that is left to the device, of
    which nobody can tell by its size that it is reduced or to be mirrored,
    would be finished; and one that was made of other files as well, the one
    whose features are stored.
    """

    @functools.wraps(transform)
    def packed(self: Any, results: dict) -> dict | None:
        found = transform(self, results)
        for key in _PACKED:
            if found is not None and results.get(key):
                found['data_samples'].set_metainfo({key: results[key]})
        return found

    return packed


def _checking(init: Callable[..., None]) -> Callable[..., None]:
    """Let ``MultiImageMixDataset`` look at its pipeline when it is built."""

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        for inner in data_sets(self.dataset):
            check_data_set(inner, self.pipeline)

    checked.unchecked = init  # type: ignore[attr-defined]
    return checked
