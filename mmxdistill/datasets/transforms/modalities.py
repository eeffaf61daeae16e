"""The transform that loads all modalities of a scene and stacks them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose, LoadImageFromFile

from mmxdistill.datasets.transforms.image_file import (
    check_header,
    check_stock_loader,
    read_bytes,
)
from mmxdistill.datasets.transforms.registration import ToReference
from mmxdistill.registry import TRANSFORMS

__all__ = ['LoadModalities']


class _PathTemplate:
    """Path of a modality, from that of the image that the data set names.

    Args:
        name (str): Of the modality, for messages.
        path (str, optional): Template, see :class:`LoadModalities`.
        replace (Sequence, optional): Text of the image path and what stands
            in its place, or several such pairs.
    """

    FIELDS = ('dir', 'parent', 'name', 'stem', 'suffix')

    def __init__(
        self, name: str, path: str | None = None, replace: Any = None
    ) -> None:
        if (path is None) == (replace is None):
            raise ValueError(
                f"modality '{name}' of LoadModalities needs either path="
                "'{parent}/thermal/{stem}.png' or replace=('old', 'new')"
            )
        self.name = name
        self.path = path
        pairs = replace or ()
        if pairs and all(isinstance(part, str) for part in pairs):
            pairs = [pairs]
        self.pairs = [tuple(pair) for pair in pairs]
        if any(len(pair) != 2 or not pair[0] for pair in self.pairs):
            raise ValueError(
                f"modality '{name}' of LoadModalities: replace is ('old', "
                f"'new'), or a list of such pairs; found {replace!r}"
            )
        if path is not None:
            self._render('x/y/z.png')

    def __call__(self, img_path: str) -> str:
        """Path of the modality of an image.

        Raises:
            ValueError: The image path lacks what is to be replaced.
        """
        if self.path is not None:
            return self._render(img_path)
        moved = img_path
        for old, new in self.pairs:
            if old not in moved:
                raise ValueError(
                    f"modality '{self.name}': replace=('{old}', '{new}') "
                    f"finds no '{old}' in '{moved}'"
                )
            moved = moved.replace(old, new)
        return moved

    def _render(self, img_path: str) -> str:
        assert self.path is not None
        file = PurePath(img_path)
        try:
            return self.path.format(
                dir=img_path[: -len(file.name) - 1] or '.',
                parent=file.parent.parent.as_posix(),
                name=file.name,
                stem=file.stem,
                suffix=file.suffix,
            )
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"path template '{self.path}' of modality '{self.name}' asks "
                f'for {error}; there are '
                f'{", ".join(f"{{{field}}}" for field in self.FIELDS)}'
            ) from None


@TRANSFORMS.register_module()
class LoadModalities(BaseTransform):
    """Load all modalities of a scene into one channel-stacked image.

    Every modality has a pipeline of its own, of stock or own transforms that
    work on ``img``: loading, registration, encoding and photometric
    augmentation. The images are then stacked, so that each geometric transform
    that follows moves all modalities together.

    In place of ``LoadImageFromFile`` it makes pairs of *any* data set of
    mmdet: the image that the data set names is the first modality, and the
    files of the others are named from it. Boxes are those of the first
    modality; one that another camera took is brought onto it by
    :class:`WarpToReference` and its kin.

    Required Keys:

    - img_path, or modality_paths (dict) of a paired data set
    - modalities (tuple[str], optional): which to load; the data set's ``use``

    Added Keys:

    - img (np.ndarray, (H, W, sum of channels))
    - modalities (tuple[str]): names, in the order of the channels
    - modality_channels (tuple[int]): how many channels each has
    - modality_paths (dict[str, str])
    - encoder_inputs (dict[str, dict]): ``encoder_input`` of the modalities
      that the data preprocessor encodes, if there are any
    - img_shape, ori_shape

    Args:
        modalities (dict[str, list[dict] | dict | str]): Name -> pipeline, in
            the order of the channels. Without a paired data set, all but the
            first are ``dict(path=..., pipeline=[...])``, whose path is a
            template of ``{dir}`` (folder of ``img_path``), ``{parent}`` (the
            folder above it), ``{name}``, ``{stem}`` and ``{suffix}``; or
            ``dict(replace=('old', 'new'), pipeline=[...])``, which edits
            ``img_path``. A path alone is not loaded, but may be asked for by
            another modality (``mask`` of :class:`LoadDepthFromFile`).

    Raises:
        ValueError: A template is wrong, or the first modality is registered
            onto itself.

    Examples:
        >>> dict(type='mmxdistill.LoadModalities', modalities=dict(
        ...     rgb=[dict(type='LoadImageFromFile')],
        ...     hha=dict(path='{parent}/depth/{stem}.png', pipeline=[
        ...         dict(type='mmxdistill.LoadDepthFromFile'),
        ...         dict(type='mmxdistill.EncodeHHA', camera='kitchen')])))
    """

    def __init__(
        self, modalities: Mapping[str, list[dict] | dict | str]
    ) -> None:
        self.pipelines: dict[str, Compose] = {}
        self.templates: dict[str, _PathTemplate] = {}
        for name, spec in modalities.items():
            steps: Any = spec
            if isinstance(spec, str):
                steps = None
                self.templates[name] = _PathTemplate(name, spec)
            elif isinstance(spec, Mapping) and 'type' in spec:
                steps = [spec]
            elif isinstance(spec, Mapping):
                rest = dict(spec)
                steps = rest.pop('pipeline', None)
                if unknown := set(rest) - {'path', 'replace'}:
                    raise ValueError(
                        f"modality '{name}' of LoadModalities has "
                        f'{sorted(unknown)}; it takes path, replace and '
                        'pipeline'
                    )
                if rest:
                    self.templates[name] = _PathTemplate(name, **rest)
            if steps is not None:
                self.pipelines[name] = Compose(
                    [TRANSFORMS.build(step) for step in steps]
                )
        if not self.pipelines:
            raise ValueError('LoadModalities needs at least one modality')
        self.reference = next(iter(self.pipelines))
        self.registered = {
            name: index
            for name, pipeline in self.pipelines.items()
            for index, step in enumerate(pipeline.transforms)
            if isinstance(step, ToReference)
        }
        if self.reference in self.registered:
            raise ValueError(
                f"modality '{self.reference}' comes first, so the others are "
                'registered onto it, and the boxes are in its pixels: it '
                'cannot have a transform like WarpToReference itself'
            )

    def transform(self, results: dict) -> dict:
        """Load, encode and stack the modalities of a sample.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the stacked image.

        Raises:
            KeyError: The data set lacks a modality.
            ValueError: The modalities have different sizes.
        """
        paths = self.paths(results)
        results['modality_paths'] = paths
        samples: dict[str, dict] = {}
        for name in self._wanted(results, paths):
            sample = {**results, **self._place(name, samples, results, paths)}
            steps = self.pipelines[name].transforms
            samples[name] = self._run(steps, paths[name], sample)
        images = {name: sample['img'] for name, sample in samples.items()}
        self._same_size({k: v.shape[:2] for k, v in images.items()}, paths)
        stacked = [
            image if image.ndim == 3 else image[..., None]
            for image in images.values()
        ]
        results['img'] = (
            stacked[0] if len(stacked) == 1 else np.concatenate(stacked, 2)
        )
        results['modalities'] = tuple(images)
        results['modality_channels'] = tuple(x.shape[2] for x in stacked)
        results['img_shape'] = results['img'].shape[:2]
        results['ori_shape'] = results['img'].shape[:2]
        to_encode = {
            name: sample['encoder_input']
            for name, sample in samples.items()
            if 'encoder_input' in sample
        }
        if to_encode:
            results['encoder_inputs'] = to_encode
        return results

    def check(self, results: dict) -> None:
        """Open the files of a sample without encoding or warping them.

        Args:
            results (dict): Sample; not modified.

        Raises:
            Exception: As :meth:`transform`; also if the image has another
                size than its record (``width``, ``height``) says.
        """
        paths = self.paths(results)
        results = {**results, 'modality_paths': paths}
        samples: dict[str, dict] = {}
        sizes: dict[str, tuple[int, int]] = {}
        for name in self._wanted(results, paths):
            place = self._place(name, samples, results, paths)
            steps = self.pipelines[name].transforms
            if isinstance(steps[0], LoadImageFromFile):
                # It fills the missing part of a photograph with grey.
                content = read_bytes(paths[name], steps[0].backend_args)
                check_header(content, paths[name])
            opened = steps[: self.registered.get(name, 1)]
            sample = self._run(opened, paths[name], {**results, **place})
            samples[name] = sample
            sizes[name] = sample['img'].shape[:2]
            if name in self.registered:
                steps[self.registered[name]].check(sample)
                sizes[name] = place['reference_shape']
        self._same_size(sizes, paths)
        self._size_of_record(sizes, results, paths)

    def paths(self, results: dict) -> dict[str, str]:
        """Tell where the files of a sample are.

        Args:
            results (dict): Sample.

        Returns:
            dict[str, str]: Path of each modality that there is.
        """
        paths = dict(results.get('modality_paths', {}))
        if not paths:
            paths[self.reference] = results['img_path']
        for name, template in self.templates.items():
            paths[name] = template(results['img_path'])
        return paths

    def _wanted(self, results: dict, paths: dict[str, str]) -> list[str]:
        """Modalities to load, in the order of the channels."""
        wanted = results.get('modalities', tuple(self.pipelines))
        for name in wanted:
            if name not in self.pipelines or name not in paths:
                raise KeyError(
                    f"modality '{name}' is wanted; LoadModalities can load "
                    f"{list(self.pipelines)} and the data set's 'modalities' "
                    f'are {sorted(paths)}: both must have it, or '
                    'LoadModalities a path for it '
                    f'({name}=dict(path=..., pipeline=[...]))'
                )
        return [name for name in self.pipelines if name in wanted]

    def _place(
        self,
        name: str,
        samples: dict[str, dict],
        results: dict,
        paths: dict[str, str],
    ) -> dict[str, Any]:
        """What a modality must know to be registered."""
        if name not in self.registered:
            return {}
        if self.reference not in paths:
            raise KeyError(
                f"modality '{name}' is registered onto '{self.reference}', of "
                "which the data set's 'modalities' have no path"
            )
        path = paths[self.reference]
        reference = samples.get(self.reference)
        if reference is None:
            steps = self.pipelines[self.reference].transforms
            reference = self._run(steps, path, results)
        return dict(
            reference_shape=reference['img'].shape[:2], reference_path=path
        )

    @staticmethod
    def _run(steps: list, path: str, results: dict) -> dict:
        sample: Any = {**results, 'img_path': path}
        if isinstance(steps[0], LoadImageFromFile):
            check_stock_loader(steps[0], path)
        try:
            for step in steps:
                sample = step(sample)
        except (cv2.error, AssertionError) as error:
            raise ValueError(f"'{path}' cannot be loaded: {error}") from error
        if sample is None or sample.get('img') is None:
            raise ValueError(
                f"'{path}' gave no image: OpenCV cannot decode it (truncated, "
                'or another format), or its pipeline dropped it'
            )
        return sample

    @staticmethod
    def _same_size(
        sizes: dict[str, tuple[int, int]], paths: dict[str, str]
    ) -> None:
        if len(set(sizes.values())) > 1:
            found = ', '.join(
                f"'{paths[name]}' is {w}x{h}" for name, (h, w) in sizes.items()
            )
            raise ValueError(
                f'the modalities of a pair must have the same size (they are '
                f'aligned pixel by pixel): {found}. Put WarpToReference or '
                'ResizeToReference of mmxdistill into the pipeline of the '
                'second one'
            )

    def _size_of_record(
        self,
        sizes: dict[str, tuple[int, int]],
        results: dict,
        paths: dict[str, str],
    ) -> None:
        """Compare with the size that the boxes were drawn at."""
        record = results.get('width'), results.get('height')
        if None in record:
            return
        name, (height, width) = next(iter(sizes.items()))
        if (width, height) != record:
            raise ValueError(
                f"'{paths[name]}' is {width}x{height}, but its record in the "
                f'ann_file says {record[0]}x{record[1]} (w x h), so its boxes '
                'would be in the wrong place: they were drawn on another '
                'image or modality, or before this one was resized or turned '
                'by its EXIF orientation'
            )

    def __repr__(self) -> str:
        """Names of the modalities."""
        return f'{type(self).__name__}({list(self.pipelines)})'
