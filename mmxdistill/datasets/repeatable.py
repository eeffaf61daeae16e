"""Data sets whose images can be made again: what is random, what is not.

A feature of a teacher may be kept if the same pixels come again. They do if
the pipeline loads, mirrors and resizes; not if it crops, mixes or colours at
random.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from mmcv.transforms import RandomChoiceResize, RandomFlip, Resize

from mmxdistill.datasets.plain import as_plain
from mmxdistill.datasets.transforms.stock_checks import data_sets

__all__ = ['META_KEYS', 'describe_loading', 'variants']

# What tells the images of a file apart; PackDetInputs has to pass it on.
META_KEYS = (
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
_PACKAGES = ('mmcv', 'mmdet', 'mmxdistill')
# Settings that a sample does not tell; of other transforms, all.
_SETTINGS: dict[str, tuple[str, ...]] = {
    'LoadImageFromFile': ('to_float32', 'color_type', 'imdecode_backend'),
    'Resize': ('keep_ratio', 'interpolation', 'backend'),
    'FixScaleResize': ('keep_ratio', 'interpolation', 'backend'),
    'FixShapeResize': ('keep_ratio', 'interpolation', 'backend'),
    'CaffeResize': (),  # the scale is told by the sample
    'RandomFlip': (),
    'CaffeRandomFlip': (),
}
_PIXELS = (
    *_SETTINGS,
    'CenterCrop',
    'ComputeFlow',
    'EncodeDisparity',
    'EncodeFlow',
    'EncodeHHA',
    'FillDepth',
    'FlipFlow',
    'LoadDepthFromFile',
    'LoadFlowFromFile',
    'LoadGrayImageFromFile',
    'Pad',
    'RemapToReference',
    'ResizeToReference',
    'WarpToReference',
)
_NO_PIXELS = (
    'FilterAnnotations',
    'LoadAnnotations',
    'LoadEmptyAnnotations',
    'LoadProposals',
    'LoadSuperpixels',
    'PackDetInputs',
)
_WRAPPERS = ('Compose', 'FastProposalBroadcaster', 'ProposalBroadcaster')
# A sample tells what one of them did.
_TOLD: dict[str, tuple[type, ...]] = {
    'flips': (RandomFlip,),
    'resizes': (Resize, RandomChoiceResize),
}
_ADVICE = {
    'RandomResize': 'draw from a few sizes instead '
    "(dict(type='RandomChoiceResize', scales=[...]))",
    'ResizeShortestEdge': 'draw from a few sizes instead '
    "(dict(type='RandomChoiceResize', scales=[...], keep_ratio=True))",
}


def describe_loading(dataset: Any, modalities: Sequence[str]) -> list[Any]:
    """Tell how images are made, if they can be made again.

    Sizes and mirroring are not told, as each sample has them in its
    meta-information.

    Args:
        dataset (Dataset): Of mmengine's kind; wrappers are looked into.
        modalities (Sequence[str]): Those that matter. What happens to others
            in their own pipelines may be random.

    Returns:
        list: Names and settings of transforms, plain (JSON).

    Raises:
        ValueError: A transform draws pixels that do not come again, or draws
            what the sample does not tell; or data sets differ. The message
            names it, and what to write.
    """
    found: list[Any] = []
    for single in _singles(dataset):
        described = _describe(single, modalities)
        if found and described != found:
            raise ValueError(
                f'the data sets of the training load {list(modalities)} in '
                f'several ways, which a sample does not tell:\n{found}\n'
                f'{described}'
            )
        found = described
    return found


def variants(dataset: Any) -> list[tuple[str, Any]]:
    """List all that a data set may draw of each sample.

    Args:
        dataset (Dataset): That :func:`describe_loading` accepts.

    Returns:
        list[tuple[str, Dataset]]: What was chosen, for a person to read, and
        a data set without choices (``'horizontal flip, scale (640, 480)'``);
        they share the annotations.
    """
    return [
        (', '.join(names) or 'as loaded', fixed)
        for single in _singles(dataset)
        for names, fixed in _fix(single)
    ]


def _singles(dataset: Any) -> Iterator[Any]:
    """Data sets inside of wrappers, if these leave the images alone."""
    for inner in data_sets(dataset):
        steps = getattr(getattr(inner, 'pipeline', None), 'transforms', None)
        if steps is None:
            raise ValueError(
                f'{type(inner).__name__} has no pipeline, so nobody can tell '
                'whether its images come again'
            )
        yield inner
    mixing: Any = dataset
    while mixing is not None:
        if hasattr(mixing, 'pipeline') and hasattr(mixing, 'dataset'):
            raise ValueError(
                f'{type(mixing).__name__} mixes images at random, so that '
                'none comes twice: use the data set inside of it'
            )
        mixing = getattr(mixing, 'dataset', None)


def _describe(dataset: Any, modalities: Sequence[str]) -> list[Any]:
    described = []
    steps = list(_unwrapped(dataset.pipeline.transforms))
    for step in steps:
        pipelines = getattr(step, 'pipelines', None)
        if pipelines is None:
            described += _described(step)
            continue
        if getattr(step, 'reduced_jpeg', False):
            described.append(['reduced_jpeg', True])
        missing = [name for name in modalities if name not in pipelines]
        if missing:
            raise ValueError(
                f'LoadModalities has no {missing}, but {list(pipelines)}'
            )
        for name in modalities:
            inner = _unwrapped(pipelines[name].transforms)
            told = [row for one in inner for row in _described(one, name)]
            described.append([name, told])
    _check_told(steps)
    _check_meta_keys(steps, modalities)
    return described


def _unwrapped(steps: Sequence[Any]) -> Iterator[Any]:
    for step in steps:
        if _name(step) in _WRAPPERS:
            inner = getattr(step.transforms, 'transforms', step.transforms)
            yield from _unwrapped(inner)
        else:
            yield step


def _name(transform: Any) -> str:
    """Name of the class, with its module if it is of another package."""
    kind = type(transform)
    package = kind.__module__.partition('.')[0]
    name: str = kind.__name__
    return name if package in _PACKAGES else f'{kind.__module__}.{name}'


def _described(step: Any, modality: str | None = None) -> list[Any]:
    """Name and settings of a transform; nothing if pixels stay."""
    name = _name(step)
    if name in _NO_PIXELS:
        return []
    told = [what for what, kinds in _TOLD.items() if isinstance(step, kinds)]
    if modality is not None and (
        told == ['flips'] or name == 'RandomChoiceResize'
    ):
        raise ValueError(
            f"{name} is in the pipeline of the modality '{modality}', so a "
            'sample does not tell what it did: put it behind LoadModalities, '
            'where it moves all modalities'
        )
    if name == 'RandomChoiceResize':
        # Its own resize has one of its scales.
        return [[name, _described(step.resize)]]
    if name not in _PIXELS and not getattr(step, 'repeatable', False):
        raise ValueError(
            f'{name} may give another image each time: '
            + _ADVICE.get(name, _advice(modality))
        )
    wanted = None if modality is not None and told else _SETTINGS.get(name)
    reads: tuple[str, ...] = getattr(step, 'reads', ())
    if modality is None and reads:
        raise ValueError(
            f'{name} takes {list(reads)} from the sample, of which '
            'nothing is known here: put it into the pipeline of a modality of '
            'LoadModalities'
        )
    settings = {
        key: _setting(name, key, value)
        for key, value in sorted(vars(step).items())
        if key[0] != '_' and (wanted is None or key in wanted)
    }
    return [[name, settings]]


def _setting(transform: str, key: str, value: Any) -> Any:
    try:
        return as_plain(value)
    except ValueError as error:
        raise ValueError(
            f"'{key}' of {transform} cannot be compared: {error}; if it does "
            f"not matter, call it '_{key}'"
        ) from None


def _advice(modality: str | None) -> str:
    return (
        'leave it out'
        + (
            ', or put it into the pipeline of another modality than '
            f"'{modality}'"
            if modality
            else ''
        )
        + '; a transform of your own that gives the same image for the same '
        'image can say so in its class (repeatable = True), and what else it '
        "takes from the sample (reads = ('camera', 'modality_paths.mask'))"
    )


def _check_told(steps: Sequence[Any]) -> None:
    """Refuse what a sample does not tell: what all but the last did."""
    for what, kinds in _TOLD.items():
        found = [step for step in steps if isinstance(step, kinds)]
        if len(found) > 1:
            raise ValueError(
                f'the pipeline has {len(found)} {what} '
                f'({", ".join(map(_name, found))}), of which a sample tells '
                'only the last: merge them into one'
            )


def _check_meta_keys(steps: Sequence[Any], modalities: Sequence[str]) -> None:
    wanted = set(META_KEYS)
    for step in steps:
        pipelines = list(getattr(step, 'pipelines', ()))
        # The path of the first is img_path.
        if pipelines and set(modalities) != {pipelines[0]}:
            wanted.add('modality_paths')
    packs = [step for step in steps if _name(step) == 'PackDetInputs']
    if len(packs) != 1:
        raise ValueError(
            'the pipeline must end with one PackDetInputs, which tells what '
            'was done to an image'
        )
    missing = sorted(wanted - set(packs[0].meta_keys))
    if missing:
        raise ValueError(
            f'meta_keys of PackDetInputs lack {missing}, which tell the '
            'images of a file apart: add them'
        )


def _fix(dataset: Any) -> Iterator[tuple[list[str], Any]]:
    """All combinations of the choices in a pipeline."""
    steps = list(_unwrapped(dataset.pipeline.transforms))
    options = [list(_options(step)) for step in steps]
    for chosen in itertools.product(*options):
        fixed = copy.copy(dataset)
        fixed.pipeline = copy.deepcopy(dataset.pipeline)
        copies = _unwrapped(fixed.pipeline.transforms)
        names = []
        for step, (name, settings) in zip(copies, chosen, strict=True):
            vars(step).update(settings)
            names += [name] * bool(name)
        yield names, fixed


def _options(step: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of each choice; one of a transform without."""
    if isinstance(step, RandomFlip):
        given = step.direction
        directions = [given] if isinstance(given, str) else list(given)
        odds = step.prob
        odds = odds if isinstance(odds, list) else [odds or 0.0]
        if sum(odds) < 1:
            yield '', dict(prob=0.0)
        if len(odds) < len(directions):  # one probability for all
            odds = odds * len(directions)
        for direction, prob in zip(directions, odds, strict=True):
            if prob > 0:
                yield f'{direction} flip', dict(prob=1.0, direction=direction)
    elif isinstance(step, RandomChoiceResize):
        for scale in step.scales:
            yield f'scale {scale}', dict(scales=[scale])
    else:
        yield '', {}
