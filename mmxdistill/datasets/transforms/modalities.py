"""The transform that loads all modalities of a scene and stacks them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform, Compose, LoadImageFromFile
from PIL import UnidentifiedImageError

from mmxdistill.datasets.transforms.channels import stack_channels
from mmxdistill.datasets.transforms.image_file import load_stock_image
from mmxdistill.datasets.transforms.loading import LoadGrayImageFromFile
from mmxdistill.datasets.transforms.memory import stock_image
from mmxdistill.datasets.transforms.path_template import PathTemplate
from mmxdistill.datasets.transforms.reduced_jpeg import (
    JpegFile,
    UndecodedImage,
    check_reducible,
    open_jpeg_files,
)
from mmxdistill.datasets.transforms.registration import ToReference
from mmxdistill.datasets.transforms.sizes import (
    check_same_size,
    check_size_of_record,
)
from mmxdistill.datasets.transforms.sources import Sources
from mmxdistill.registry import TRANSFORMS

__all__ = ['LoadModalities']


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
    - modality_images (dict[str, np.ndarray], optional): images in place of
      files, as they would be stored. All paths are then ``modality_paths``,
      those of the images being their names
    - missing_channels (dict[str, int], optional): modalities that this sample
      lacks; as many channels of zeros stand in

    Added Keys:

    - img (np.ndarray, (H, W, sum of channels))
    - modalities (tuple[str]): names, in the order of the channels
    - modality_channels (tuple[int]): how many channels each has
    - modality_paths (dict[str, str])
    - missing_modalities (tuple[str]): if there are any
    - modality_sources (dict[str, dict]): on what else than its own file an
      image depends; see :meth:`Sources.of`
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
            ``missing_channels=3`` beside ``pipeline`` lets samples lack the
            file: as many channels of zeros stand in, and a late fusion
            decides without the modality; any other model refuses the sample.
        reduced_jpeg (bool): Let :class:`CaffeResize` decode JPEG files, at a
            half, a quarter or an eighth of their size if the result is no
            larger than that; only flips may come before it. Such an image is
            smoother than one that is decoded in full and resized, as Caffe
            does it. Sizes, boxes and scale factors are those of the files.
            Samples with a file of another format, or in memory, are decoded
            in full. Defaults to False.

    Raises:
        ValueError: A template is wrong, a pipeline has no loader, the first
            modality is registered onto itself, or ``reduced_jpeg`` is for
            modalities of which more is wanted than colour or grey of 8 bits.

    Examples:
        >>> dict(type='mmxdistill.LoadModalities', modalities=dict(
        ...     rgb=[dict(type='LoadImageFromFile')],
        ...     hha=dict(path='{parent}/depth/{stem}.png', pipeline=[
        ...         dict(type='mmxdistill.LoadDepthFromFile'),
        ...         dict(type='mmxdistill.EncodeHHA', camera='kitchen')])))
    """

    def __init__(
        self,
        modalities: Mapping[str, list[dict] | dict | str],
        reduced_jpeg: bool = False,
    ) -> None:
        self.pipelines: dict[str, Compose] = {}
        self.templates: dict[str, PathTemplate] = {}
        self.stand_ins: dict[str, int] = {}
        for name, spec in modalities.items():
            steps: Any = spec
            if isinstance(spec, str):
                steps = None
                self.templates[name] = PathTemplate(name, spec)
            elif isinstance(spec, Mapping) and 'type' in spec:
                steps = [spec]
            elif isinstance(spec, Mapping):
                rest = dict(spec)
                steps = rest.pop('pipeline', None)
                if 'missing_channels' in rest:
                    self.stand_ins[name] = rest.pop('missing_channels')
                if unknown := set(rest) - {'path', 'replace'}:
                    raise ValueError(
                        f"modality '{name}' of LoadModalities has "
                        f'{sorted(unknown)}; it takes path, replace, pipeline '
                        'and missing_channels'
                    )
                if rest:
                    self.templates[name] = PathTemplate(name, **rest)
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
        self.sources = Sources(self.pipelines)
        _check_loaders(self.pipelines)
        if self.reference in self.registered:
            raise ValueError(
                f"modality '{self.reference}' comes first, so the others are "
                'registered onto it, and the boxes are in its pixels: it '
                'cannot have a transform like WarpToReference itself'
            )
        self.reduced_jpeg = reduced_jpeg
        if reduced_jpeg:
            for name, pipeline in self.pipelines.items():
                check_reducible(name, pipeline.transforms)

    def transform(self, results: dict) -> dict:
        """Load, encode and stack the modalities of a sample.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the stacked image.

        Raises:
            KeyError: The data set lacks a modality.
            ValueError: The modalities have different sizes, or another one
                than the record (``width``, ``height``) says.
        """
        paths = self.paths(results)
        results['modality_paths'] = paths
        missing = results.pop('missing_channels', {})
        wanted = self._wanted(results, {**paths, **dict.fromkeys(missing, '')})
        missing = {**missing, **self.absent(results, paths, wanted)}
        samples: dict[str, dict] = {}
        images: dict[str, Any] = {}
        if (
            self.reduced_jpeg
            and not missing
            and 'modality_images' not in (results)
        ):
            loaders = {k: self.pipelines[k].transforms[0] for k in wanted}
            images |= open_jpeg_files(loaders, paths)
        for name in wanted:
            if name in missing or name in images:
                continue
            sample = {**results, **self._place(name, samples, results, paths)}
            samples[name] = self._run(name, paths, sample)
            images[name] = samples[name]['img']
        if missing:
            results['missing_modalities'] = tuple(missing)
            images = _with_stand_ins(images, wanted, missing, paths)
            if results['img_path'] not in map(paths.get, samples):
                # Of an image that there is: what is drawn, for instance.
                results['img_path'] = paths[next(iter(samples))]
        sizes = {k: v.shape[:2] for k, v in images.items()}
        check_same_size(sizes, paths)
        check_size_of_record(sizes, results, paths)
        parts = list(images.values())
        undecoded = isinstance(parts[0], JpegFile)
        stack = UndecodedImage if undecoded else stack_channels
        results['img'] = stack(parts)
        results['modalities'] = tuple(images)
        results['modality_channels'] = tuple(
            image.shape[2] if image.ndim == 3 else 1
            for image in images.values()
        )
        results['img_shape'] = results['img'].shape[:2]
        results['ori_shape'] = results['img'].shape[:2]
        to_encode = {
            name: sample['encoder_input']
            for name, sample in samples.items()
            if 'encoder_input' in sample
        }
        if to_encode:
            results['encoder_inputs'] = to_encode
        loaded = {k: v for k, v in images.items() if k not in missing}
        results['modality_sources'] = self.sources.of(loaded, results)
        return results

    def check(self, results: dict) -> None:
        """Open the files of a sample without encoding or warping them.

        Args:
            results (dict): Sample; not modified.

        Raises:
            Exception: As :meth:`transform`.
        """
        paths = self.paths(results)
        results = {**results, 'modality_paths': paths}
        samples: dict[str, dict] = {}
        sizes: dict[str, tuple[int, int]] = {}
        wanted = self._wanted(results, paths)
        absent = self.absent(results, paths, wanted)
        if len(absent) == len(wanted):
            _with_stand_ins({}, wanted, absent, paths)
        for name in wanted:
            if name in absent:
                continue
            place = self._place(name, samples, results, paths)
            steps = self.pipelines[name].transforms
            opened = steps[: self.registered.get(name, 1)]
            sample = self._run(name, paths, {**results, **place}, opened)
            samples[name] = sample
            sizes[name] = sample['img'].shape[:2]
            if name in self.registered:
                steps[self.registered[name]].check(sample)
                sizes[name] = place['reference_shape']
        check_same_size(sizes, paths)
        check_size_of_record(sizes, results, paths)

    def paths(self, results: dict) -> dict[str, str]:
        """Tell where the files of a sample are.

        Args:
            results (dict): Sample.

        Returns:
            dict[str, str]: Path of each modality that there is.
        """
        paths = dict(results.get('modality_paths', {}))
        if 'modality_images' in results:
            return paths
        if not paths:
            paths[self.reference] = results['img_path']
        for name, template in self.templates.items():
            paths[name] = template(results['img_path'])
        return paths

    def absent(
        self, results: dict, paths: dict[str, str], names: Iterable[str]
    ) -> dict[str, int]:
        """Modalities that a sample may lack, and does.

        Args:
            results (dict): Sample.
            paths (dict[str, str]): Of :meth:`paths`.
            names (Iterable[str]): The modalities to look at.

        Returns:
            dict[str, int]: Channels that stand in for each.

        Raises:
            FileNotFoundError: Another modality is registered onto one.
        """
        given = results.get('modality_images', {})
        absent = {
            name: self.stand_ins[name]
            for name in names
            if name in self.stand_ins
            and name in paths
            and name not in given
            and '://' not in paths[name]
            and not os.path.isfile(paths[name])
        }
        moved = [name for name in self.registered if name not in absent]
        if self.reference in absent and moved:
            raise FileNotFoundError(
                f"'{paths[self.reference]}' does not exist, and {moved} is "
                f"registered onto '{self.reference}': boxes would be in "
                'pixels of no image'
            )
        return absent

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
            reference = self._run(self.reference, paths, results)
        return dict(
            reference_shape=reference['img'].shape[:2], reference_path=path
        )

    def _run(
        self,
        name: str,
        paths: dict[str, str],
        results: dict,
        steps: list | None = None,
    ) -> dict:
        """Run the pipeline of a modality, or only ``steps`` of it."""
        if steps is None:
            steps = self.pipelines[name].transforms
        path = paths[name]
        sample: Any = {**results, 'img_path': path}
        sample.pop('img', None)  # another image, if somebody has loaded one
        given = results.get('modality_images', {}).get(name)
        try:
            if isinstance(steps[0], LoadImageFromFile):
                if given is None:
                    image = load_stock_image(steps[0], path)
                else:
                    image = stock_image(steps[0], given, path)
                if image is not None:
                    shape = image.shape[:2]
                    sample |= dict(img=image, img_shape=shape, ori_shape=shape)
                    steps = steps[1:]
            elif getattr(steps[0], 'takes_memory', False):
                if given is not None:
                    sample['img'] = given
            elif given is not None:
                raise ValueError(
                    f"modality '{name}' is loaded by "
                    f'{type(steps[0]).__name__}, which reads files: give the '
                    'path of a file instead of an array'
                )
            for step in steps:
                last = step is steps[-1]
                grey = last and type(step) is LoadGrayImageFromFile
                sample = (step.load_view if grey else step)(sample)
        except (cv2.error, AssertionError, UnidentifiedImageError) as error:
            raise ValueError(f"'{path}' cannot be loaded: {error}") from error
        if sample is None or sample.get('img') is None:
            raise ValueError(
                f"'{path}' gave no image: OpenCV cannot decode it (truncated, "
                'or another format), or its pipeline dropped it'
            )
        return sample

    def __repr__(self) -> str:
        """Names of the modalities."""
        return f'{type(self).__name__}({list(self.pipelines)})'


def _check_loaders(pipelines: Mapping[str, Compose]) -> None:
    """Refuse pipelines that have no image to begin with."""
    for name, pipeline in pipelines.items():
        first = next(iter(pipeline.transforms), None)
        if first is None or isinstance(first, ToReference):
            raise ValueError(
                f"the pipeline of modality '{name}' of LoadModalities "
                'must begin with a loader, such as LoadImageFromFile'
            )


def _with_stand_ins(
    images: dict[str, np.ndarray],
    wanted: list[str],
    missing: Mapping[str, int],
    paths: Mapping[str, str],
) -> dict[str, np.ndarray]:
    """Add black images of the modalities that are missing."""
    if not images:
        files = [paths.get(name, name) for name in missing]
        raise FileNotFoundError(f'all modalities are missing: {files}')
    size = next(iter(images.values())).shape[:2]
    return {
        name: np.zeros((*size, missing[name]), np.uint8)
        if name in missing
        else images[name]
        for name in wanted
    }
