"""Loaders of depth and of single-channel images."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmxdistill.datasets.transforms.channels import (
    repeat_channel,
    stack_channels,
)
from mmxdistill.datasets.transforms.memory import (
    modality_image,
    stored_image,
)
from mmxdistill.encodings.depth import compact_depth
from mmxdistill.registry import TRANSFORMS

__all__ = ['LoadDepthFromFile', 'LoadGrayImageFromFile']

# 65535 is how cameras mark what 16 bits cannot hold.
_MISSING = {np.dtype(np.uint16): (0, 65535)}
# Integers that differ by more are a picture, not the noise of a dark frame.
_DETAIL = 100


@TRANSFORMS.register_module()
class LoadDepthFromFile(BaseTransform):
    """Load a depth map: PNG, TIFF, PGM or ``.npy``, integers or floats.

    Depth is not rounded to whole millimetres; the encodings do not either.
    Images are turned as their EXIF orientation says, like those of
    ``LoadImageFromFile``.

    Required Keys:

    - img_path, or img: the stored image, if it is in memory already
    - modality_paths (only with ``mask``)

    Added Keys:

    - img ((H, W)): depth in millimetres, 0 = missing; np.uint16 if all values
      are whole and below 65536, else np.float64
    - depth_mask (bool, (H, W)): where the depth was measured
    - img_shape, ori_shape

    Args:
        unit (float): Millimetres per stored unit: 1 for millimetres, 1000 for
            metres, 0.1 for tenths, 0.2 for 5000 units per metre, 1000 / 256
            for KITTI. Defaults to 1.
        missing (Sequence[float], optional): Stored values that mean "no
            measurement", NaN and infinity among them if the files have such
            pixels. Defaults to 0 and, in 16-bit files, 65535.
        mask (str, optional): Name of the entry of ``modality_paths`` with the
            raw depth image of the same size: pixels missing there count as
            not measured although the depth image has them filled in.
        rotated_bits (bool): The file is in SUN RGB-D's encoding, whose 16
            bits are rotated left by 3. Defaults to False.
        backend_args (dict, optional): Of mmengine's file backend.
    """

    takes_memory = True

    def __init__(
        self,
        unit: float = 1.0,
        missing: Sequence[float] | None = None,
        mask: str | None = None,
        rotated_bits: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        if not 0 < unit < np.inf:
            raise ValueError(
                f'unit must be positive millimetres per stored unit: {unit}'
            )
        self.unit = unit
        self.missing = None if missing is None else tuple(missing)
        self.mask = mask
        self.rotated_bits = rotated_bits
        self.backend_args = backend_args

    @property
    def reads(self) -> tuple[str, ...]:
        """What it takes from a sample beside the image."""
        return () if self.mask is None else (f'modality_paths.{self.mask}',)

    def transform(self, results: dict) -> dict:
        """Load the depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the depth image.

        Raises:
            FileNotFoundError: The file does not exist.
            ValueError: The file is no single-channel image of more than 8
                bits, holds no measurement, or holds NaN, infinite or negative
                depth that is not ``missing``, or the mask has another size.
        """
        path = results['img_path']
        stored = stored_image(results, self.backend_args)
        depth, mask = self._millimetres(stored, path)
        if self.mask is not None:
            if self.mask not in results.get('modality_paths', {}):
                raise KeyError(
                    f"LoadDepthFromFile(mask='{self.mask}'): the data set has "
                    f'no such modality, only '
                    f'{sorted(results.get("modality_paths", {}))}'
                )
            mask_path = results['modality_paths'][self.mask]
            raw = modality_image(results, self.mask, self.backend_args)
            mask = self._millimetres(raw, mask_path)[1]
            if mask.shape != depth.shape:
                raise ValueError(
                    f"raw depth '{mask_path}' has size {mask.shape[::-1]}, "
                    f"but depth '{path}' {depth.shape[::-1]} (w, h)"
                )
        results['img'] = depth
        results['depth_mask'] = mask
        results['img_shape'] = results['ori_shape'] = depth.shape[:2]
        return results

    def _millimetres(
        self, stored: np.ndarray, path: str
    ) -> tuple[np.ndarray, np.ndarray]:
        real = stored.dtype.kind in 'iuf' and stored.dtype.itemsize > 1
        if stored.ndim != 2 or not real:
            raise ValueError(
                f"depth image '{path}' must be a 16-bit or float "
                f'single-channel image, found {stored.dtype} of shape '
                f'{stored.shape}; an 8-bit image is a rendering that has lost '
                'the distances: use the original depth file'
            )
        missing = self.missing
        if missing is None:
            missing = _MISSING.get(stored.dtype.newbyteorder('='), (0,))
        mask = np.ones(stored.shape, bool)
        for value in missing:  # as np.isin, which sorts
            mask &= stored != _as_stored(value, stored.dtype)
        if np.isnan(missing).any():
            mask &= ~np.isnan(stored)
        if not mask.any():
            raise ValueError(
                f"depth image '{path}' has no measured pixel (all values are "
                f'in missing={missing}): remove the pair'
            )
        if self.rotated_bits:
            if stored.dtype != np.uint16:
                raise ValueError(
                    f"depth image '{path}' holds {stored.dtype}; "
                    'rotated_bits=True is for 16-bit images of SUN RGB-D'
                )
            stored = (stored >> 3) | (stored << 13)
        stored = np.where(mask, stored, stored.dtype.type(0))
        if not np.isfinite(stored).all() or stored.min() < 0:
            raise ValueError(
                f"depth image '{path}' has NaN, infinite or negative values "
                f'(smallest {np.nanmin(stored):g}): say what marks missing '
                "pixels, LoadDepthFromFile(missing=(0, float('nan')))"
            )
        return compact_depth(_times(stored, self.unit)), mask


def _as_stored(value: float, dtype: np.dtype) -> float:
    """Value as a file of floats holds it: 0.1 is another in 32 bits."""
    return float(np.asarray(value, dtype)) if dtype.kind == 'f' else value


def _times(stored: np.ndarray, unit: float) -> np.ndarray:
    """Stored values in millimetres.

    Tenths are divided by 10, as the authors do: 0.1 is no binary fraction,
    and a product with it can fall short of the whole number it stands for.
    """
    if unit == 1:
        return stored
    parts = round(1 / unit)
    if parts and abs(parts * unit - 1) < 1e-12:
        return stored.astype(np.float64) / parts
    return stored.astype(np.float64) * unit


@TRANSFORMS.register_module()
class LoadGrayImageFromFile(BaseTransform):
    """Load a single-channel image (thermal, near infra-red, ...).

    Required Keys:

    - img_path, or img: the stored image, if it is in memory already

    Added Keys:

    - img (np.uint8, (H, W, channels))
    - img_shape, ori_shape

    Colour becomes grey; images are turned as their EXIF orientation says,
    like those of ``LoadImageFromFile``.

    Args:
        value_range (tuple[float, float], optional): Stored values that become
            0 and 255; values outside saturate. Needed for images of more
            than 8 bits (PNG, TIFF, PGM, ``.npy``); None keeps 8-bit values as
            they are.
        channels (int): How often the channel is repeated: 3 fits networks
            that started from RGB weights. Defaults to 3.
        backend_args (dict, optional): Of mmengine's file backend.
    """

    takes_memory = True

    def __init__(
        self,
        value_range: tuple[float, float] | None = None,
        channels: int = 3,
        backend_args: dict | None = None,
    ) -> None:
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ValueError(f'value_range must be (low, high): {value_range}')
        if channels < 1:
            raise ValueError(f'channels must be at least 1: {channels}')
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
            ValueError: The file cannot be decoded, needs ``value_range``, or
                that range is not one of its values.
        """
        results = self.load_view(results)
        results['img'] = stack_channels([results['img']])
        return results

    def load_view(self, results: dict) -> dict:
        """Load the image, to be stacked: nothing else may write to it.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample; its image is that of :func:`repeat_channel`.
        """
        given = results.get('img')
        path = results['img_path']
        image = stored_image(results, self.backend_args)
        if image.ndim == 3:
            if image.dtype not in (np.uint8, np.uint16):
                image = image.astype(np.float32)
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if self.value_range is not None:
            self._check_range(image, path)
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
        if given is not None and np.may_share_memory(image, given):
            image = image.copy()  # it stays the caller's
        results['img'] = repeat_channel(image, self.channels)
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _check_range(self, image: np.ndarray, path: str) -> None:
        """Refuse a range that makes a black or white image of everything."""
        assert self.value_range is not None
        low, high = self.value_range
        name = f'LoadGrayImageFromFile(value_range={self.value_range})'
        if image.dtype.kind == 'f' and not np.isfinite(image).all():
            raise ValueError(f"'{path}' holds NaN or infinite values")
        if image.dtype.kind in 'iu':
            largest = int(np.iinfo(image.dtype).max)
            if high > largest + 1:
                raise ValueError(
                    f"'{path}' holds {image.dtype} values, which end at "
                    f'{largest}: {name} is for another bit depth. Leave it '
                    'out for 8-bit files'
                )
        smallest, largest = image.min(), image.max()
        if largest < low or smallest > high:
            raise ValueError(
                f"'{path}' holds values of {smallest}..{largest}, all of "
                f'them outside of {name}: the image would be uniform'
            )
        # Floats from 0 to 1, or 8 bits in a 16-bit file.
        levels = [
            round((float(value) - low) * 255 / (high - low))
            for value in (smallest, largest)
        ]
        detail = 0 if image.dtype.kind == 'f' else _DETAIL
        if levels[0] >= 0 and levels[1] <= 1 and largest - smallest > detail:
            raise ValueError(
                f"'{path}' holds values of {smallest}..{largest}, of which "
                f'{name} makes the grey levels {levels[0]}..{levels[1]} of '
                '255: give the range of the stored values'
            )
