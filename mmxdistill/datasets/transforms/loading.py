"""Loaders of single modalities, and the transform that stacks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, Compose
from mmengine.config import ConfigDict
from mmengine.fileio import get

from mmxdistill.registry import TRANSFORMS

__all__ = ['LoadDepthFromFile', 'LoadGrayImageFromFile', 'LoadModalities']


def _read_unchanged(path: str, backend_args: dict | None) -> np.ndarray:
    """Decode an image file with its own bit depth and channels.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no image.
    """
    try:
        content = get(path, backend_args=backend_args)
    except FileNotFoundError:
        raise FileNotFoundError(f"'{path}' does not exist") from None
    image = mmcv.imfrombytes(content, flag='unchanged', backend='cv2')
    if image is None:
        raise ValueError(
            f"'{path}' is no image that OpenCV can decode (truncated, or "
            'another format): replace the file'
        )
    return image


@TRANSFORMS.register_module()
class LoadDepthFromFile(BaseTransform):
    """Load a 16-bit depth image in millimetres.

    Required Keys:

    - img_path
    - modality_paths (only with ``mask``)

    Added Keys:

    - img (np.uint16, (H, W)): depth in millimetres, 0 = missing
    - depth_mask (bool, (H, W)): where the depth was measured
    - img_shape, ori_shape

    Args:
        unit (float): Millimetres per stored unit: 1 for millimetre PNGs, 0.1
            for tenths, 0.2 for 5000 units per metre. Defaults to 1.
        missing (Sequence[int]): Stored values that mean "no measurement".
            Defaults to (0, 65535).
        mask (str, optional): Name of the entry of ``modality_paths`` with the
            raw depth image of the same size: pixels missing there count as
            not measured although the depth image has them filled in.
        rotated_bits (bool): The file is in SUN RGB-D's encoding, whose 16
            bits are rotated left by 3. Defaults to False.
        backend_args (dict, optional): Of mmengine's file backend.
    """

    def __init__(
        self,
        unit: float = 1.0,
        missing: Sequence[int] = (0, 65535),
        mask: str | None = None,
        rotated_bits: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        if unit <= 0:
            raise ValueError(
                f'unit must be positive millimetres per stored unit: {unit}'
            )
        self.unit = unit
        self.missing = tuple(missing)
        self.mask = mask
        self.rotated_bits = rotated_bits
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the depth image.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file is no 16-bit single-channel image, holds no
                measurement, or the mask has another size.
        """
        path = results['img_path']
        depth, mask = self._load(path)
        if self.mask is not None:
            if self.mask not in results.get('modality_paths', {}):
                raise KeyError(
                    f"LoadDepthFromFile(mask='{self.mask}'): the data set has "
                    f'no such modality, only '
                    f'{sorted(results.get("modality_paths", {}))}'
                )
            mask_path = results['modality_paths'][self.mask]
            mask = self._load(mask_path)[1]
            if mask.shape != depth.shape:
                raise ValueError(
                    f"raw depth '{mask_path}' has size {mask.shape[::-1]}, "
                    f"but depth '{path}' {depth.shape[::-1]} (w, h)"
                )
        results['img'] = depth
        results['depth_mask'] = mask
        results['img_shape'] = results['ori_shape'] = depth.shape[:2]
        return results

    def _load(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        stored = _read_unchanged(path, self.backend_args)
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise ValueError(
                f"depth image '{path}' must be a 16-bit single-channel image, "
                f'found {stored.dtype} of shape {stored.shape}; an 8-bit '
                'image is a rendering that has lost the distances: use the '
                'original depth file'
            )
        mask = ~np.isin(stored, self.missing)
        if not mask.any():
            raise ValueError(
                f"depth image '{path}' has no measured pixel (all values are "
                f'in missing={self.missing}): remove the pair'
            )
        if self.rotated_bits:
            stored = (stored >> 3) | (stored << 13)
        if self.unit != 1:
            millimetres = np.rint(stored * self.unit)
            stored = np.minimum(millimetres, 65535).astype(np.uint16)
        return np.where(mask, stored, np.uint16(0)), mask


@TRANSFORMS.register_module()
class LoadGrayImageFromFile(BaseTransform):
    """Load a single-channel image (thermal, near infra-red, ...).

    Required Keys:

    - img_path

    Added Keys:

    - img (np.uint8, (H, W, channels))
    - img_shape, ori_shape

    Args:
        value_range (tuple[float, float], optional): Stored values that become
            0 and 255; values outside saturate. Needed for 16-bit images; None
            keeps 8-bit values as they are.
        channels (int): How often the channel is repeated: 3 fits networks
            that started from RGB weights. Defaults to 3.
        backend_args (dict, optional): Of mmengine's file backend.
    """

    def __init__(
        self,
        value_range: tuple[float, float] | None = None,
        channels: int = 3,
        backend_args: dict | None = None,
    ) -> None:
        if value_range is not None and value_range[0] >= value_range[1]:
            raise ValueError(f'value_range must be (low, high): {value_range}')
        self.value_range = value_range
        self.channels = channels
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load the image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the image.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file cannot be decoded or needs ``value_range``.
        """
        path = results['img_path']
        image = _read_unchanged(path, self.backend_args)
        if image.ndim == 3:
            image = cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY)
        if self.value_range is not None:
            low, high = self.value_range
            image = (image.astype(np.float32) - low) * (255 / (high - low))
            image = np.rint(image.clip(0, 255)).astype(np.uint8)
        elif image.dtype != np.uint8:
            raise ValueError(
                f"'{path}' holds {image.dtype} values "
                f'({image.min()}..{image.max()}): give '
                'LoadGrayImageFromFile(value_range=(low, high)), the stored '
                'values that become 0 and 255'
            )
        results['img'] = np.repeat(image[..., None], self.channels, axis=2)
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class LoadModalities(BaseTransform):
    """Load all modalities of a scene into one channel-stacked image.

    Every modality has a pipeline of its own, of stock or own transforms that
    work on ``img``: loading, encoding and photometric augmentation. The
    images are then stacked, so that each geometric transform that follows
    moves all modalities together.

    Required Keys:

    - modality_paths (dict), or img_path if there is a single modality
    - modalities (tuple[str], optional): which to load; the data set's ``use``

    Added Keys:

    - img (np.ndarray, (H, W, sum of channels))
    - modalities (tuple[str]): names, in the order of the channels
    - modality_channels (tuple[int]): how many channels each has
    - encoder_inputs (dict[str, dict]): ``encoder_input`` of the modalities
      that the data preprocessor encodes, if there are any
    - img_shape, ori_shape

    Args:
        modalities (dict[str, list[dict]]): Name -> pipeline, in the order of
            the channels. The pipeline of a modality starts from ``img_path``
            = ``modality_paths[name]``.

    Examples:
        >>> dict(type='mmxdistill.LoadModalities', modalities=dict(
        ...     rgb=[dict(type='LoadImageFromFile')],
        ...     hha=[dict(type='mmxdistill.LoadDepthFromFile'),
        ...          dict(type='mmxdistill.EncodeHHA', camera='kitchen')]))
    """

    def __init__(self, modalities: dict[str, list[dict]]) -> None:
        if not modalities:
            raise ValueError('LoadModalities needs at least one modality')
        self.pipelines: dict[str, Compose] = {}
        for name, pipeline in modalities.items():
            steps = pipeline
            if isinstance(pipeline, (dict, ConfigDict)):
                steps = [pipeline]
            self.pipelines[name] = Compose(
                [TRANSFORMS.build(step) for step in steps]
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
        samples = {
            name: self._run(self.pipelines[name].transforms, path, results)
            for name, path in self._paths(results).items()
        }
        images = {name: sample['img'] for name, sample in samples.items()}
        self._same_size(images, results)
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
        """Open the files of a sample without encoding them.

        Args:
            results (dict): Sample; not modified.

        Raises:
            Exception: As :meth:`transform`.
        """
        images = {
            name: self._run(
                self.pipelines[name].transforms[:1], path, results
            )['img']
            for name, path in self._paths(results).items()
        }
        self._same_size(images, results)

    def _paths(self, results: dict) -> dict[str, str]:
        wanted = results.get('modalities', tuple(self.pipelines))
        paths = results.get('modality_paths', {})
        if not paths and len(self.pipelines) == 1:
            paths = dict.fromkeys(self.pipelines, results['img_path'])
        for name in wanted:
            if name not in self.pipelines or name not in paths:
                raise KeyError(
                    f"modality '{name}' is wanted; LoadModalities can load "
                    f"{list(self.pipelines)} and the data set's 'modalities' "
                    f'are {sorted(paths)}: both must have it'
                )
        return {k: paths[k] for k in self.pipelines if k in wanted}

    @staticmethod
    def _run(steps: list, path: str, results: dict) -> dict:
        sample: Any = {**results, 'img_path': path}
        for step in steps:
            sample = step(sample)
        if sample is None or sample.get('img') is None:
            raise ValueError(
                f"'{path}' gave no image: OpenCV cannot decode it (truncated, "
                'or another format), or its pipeline dropped it'
            )
        return sample

    def _same_size(self, images: dict[str, np.ndarray], results: dict) -> None:
        sizes = {name: image.shape[:2] for name, image in images.items()}
        if len(set(sizes.values())) > 1:
            paths = self._paths(results)
            found = ', '.join(
                f"'{paths[name]}' is {w}x{h}" for name, (h, w) in sizes.items()
            )
            raise ValueError(
                f'the modalities of a pair must have the same size (they are '
                f'aligned pixel by pixel): {found}. Register and resample '
                'them first'
            )

    def __repr__(self) -> str:
        """Names of the modalities."""
        return f'{type(self).__name__}({list(self.pipelines)})'
