"""Modalities of other cameras, brought onto the image of the first one.

Most people's cameras are not aligned. In the pipeline of a modality, behind
its loader, one of these transforms moves its image onto the grid of the first
modality (the *reference*), whose pixels the boxes are in:

- :class:`WarpToReference` (of ``warp``): a homography or an affine map, of a
  fixed rig or one per image;
- :class:`RemapToReference`: a look-up table, for lenses and depth;
- :class:`ResizeToReference`: the same view in another resolution.

:class:`LoadModalities` tells them the size of the reference.
"""

from __future__ import annotations

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmxdistill.registry import TRANSFORMS

__all__ = [
    'RemapToReference',
    'ResizeToReference',
    'ToReference',
]

_INTERPOLATION = dict(
    nearest=cv2.INTER_NEAREST,
    bilinear=cv2.INTER_LINEAR,
    bicubic=cv2.INTER_CUBIC,
    area=cv2.INTER_AREA,
    lanczos=cv2.INTER_LANCZOS4,
)
# OpenCV fills at most four channels with a constant.
_CHUNK = 4
# What all of OpenCV's resampling takes; the rest goes by way of float64.
_NATIVE = (np.uint8, np.uint16, np.int16, np.float32, np.float64)


class ToReference(BaseTransform):
    """What the three have in common.

    Args:
        interpolation (str): 'bilinear', 'nearest', 'bicubic', 'area' or
            'lanczos'.
        border_value (float): Value of pixels that the image does not reach.
        min_overlap (float): Least share of the reference that it must reach.
    """

    def __init__(
        self,
        interpolation: str = 'bilinear',
        border_value: float = 0,
        min_overlap: float = 0.05,
    ) -> None:
        name = type(self).__name__
        if interpolation not in _INTERPOLATION:
            raise ValueError(
                f'{name}: interpolation must be one of '
                f"{list(_INTERPOLATION)}, found '{interpolation}'"
            )
        if not 0 < min_overlap <= 1:
            raise ValueError(
                f'{name}: min_overlap is a share of the reference in (0, 1], '
                f'found {min_overlap}'
            )
        self.flag = _INTERPOLATION[interpolation]
        self.border_value = float(border_value)
        self.min_overlap = min_overlap

    def transform(self, results: dict) -> dict:
        """Move the image, and its ``depth_mask``, onto the reference.

        Args:
            results (dict): Sample of a modality.

        Returns:
            dict: Sample with an image of the size of the reference.

        Raises:
            ValueError: There is no reference, or the image misses it.
        """
        size = self._reference_size(results)
        self.check(results)
        image = results['img']
        results['img'] = self._move(image, size, results, self.flag)
        if 'depth_mask' in results:
            mask = results['depth_mask'].astype(np.uint8)
            moved = self._move(mask, size, results, cv2.INTER_NEAREST)
            results['depth_mask'] = moved.astype(bool)
        results['img_shape'] = results['ori_shape'] = (size[1], size[0])
        return results

    def check(self, results: dict) -> None:
        """Check that the image reaches the reference; moves nothing.

        Args:
            results (dict): Sample of a modality with its image.

        Raises:
            ValueError: It does not.
        """
        raise NotImplementedError

    def _reference_size(self, results: dict) -> tuple[int, int]:
        if 'reference_shape' not in results:
            raise ValueError(
                f'{type(self).__name__} needs a reference: use it in the '
                'pipeline of a modality of LoadModalities that is not the '
                'first; the first one stays as it is'
            )
        height, width = results['reference_shape']
        return width, height

    def _move(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        results: dict,
        flag: int,
    ) -> np.ndarray:
        kind = image.dtype
        planes = np.atleast_3d(image)
        if kind not in _NATIVE:
            planes = planes.astype(np.float64)
        parts = [
            self._sample(
                np.ascontiguousarray(planes[..., start : start + _CHUNK]),
                size,
                results,
                flag,
            )
            for start in range(0, planes.shape[2], _CHUNK)
        ]
        moved = np.dstack(parts)
        if moved.dtype != kind:
            if kind.kind in 'iub':
                moved = np.rint(moved)
            moved = moved.astype(kind)
        return moved if image.ndim == 3 else moved[..., 0]

    def _sample(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        results: dict,
        flag: int,
    ) -> np.ndarray:
        """Resample (H, W, at most 4) of a dtype that OpenCV knows."""
        raise NotImplementedError

    def _refuse_overlap(self, share: float, results: dict, cause: str) -> None:
        if share < self.min_overlap:
            width, height = self._reference_size(results)
            raise ValueError(
                f"'{results['img_path']}' reaches {share:.1%} of the "
                f'{width}x{height} reference by {cause}, less than '
                f'min_overlap={self.min_overlap:g}: is it the inverse one '
                '(inverse=True), or of images of another size?'
            )


@TRANSFORMS.register_module()
class ResizeToReference(ToReference):
    """Resize a modality that sees the same as the first one.

    Edges are kept: the outer edges of the image fall on those of the
    reference, as in ``Resize``.

    Required Keys:

    - img, reference_shape (of :class:`LoadModalities`)

    Modified Keys:

    - img, img_shape, ori_shape, depth_mask (if there is one)

    Args:
        interpolation (str): 'bilinear', 'nearest', 'bicubic', 'area' or
            'lanczos'. Defaults to 'bilinear'.
        max_stretch (float): By how much the aspect ratio may differ, as a
            share: a view of another shape is not the same view. Defaults to
            0.02.
    """

    def __init__(
        self, interpolation: str = 'bilinear', max_stretch: float = 0.02
    ) -> None:
        super().__init__(interpolation)
        self.max_stretch = max_stretch

    def check(self, results: dict) -> None:
        """Compare the aspect ratios; see the base class."""
        width, height = self._reference_size(results)
        h, w = results['img'].shape[:2]
        stretch = (width / w) / (height / h)
        if max(stretch, 1 / stretch) > 1 + self.max_stretch:
            raise ValueError(
                f"'{results['img_path']}' is {w}x{h}, which is another shape "
                f'than the {width}x{height} of the reference: the cameras see '
                'different things. Use WarpToReference, or allow it by '
                'max_stretch'
            )

    def _sample(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        results: dict,
        flag: int,
    ) -> np.ndarray:
        return cv2.resize(image, size, interpolation=flag)


@TRANSFORMS.register_module()
class RemapToReference(ToReference):
    """Bring a modality onto the first one by a look-up table.

    For what no matrix can say: distorted lenses, or a scene at one distance
    after calibration.

    Required Keys:

    - img, img_path, reference_shape (of :class:`LoadModalities`)

    Modified Keys:

    - img, img_shape, ori_shape, depth_mask (if there is one)

    Args:
        maps (str): ``.npz`` file with ``x`` and ``y``, float (H, W) of the
            size of the reference: where each of its pixels is in this
            modality's image, whole numbers at pixel centres (``map1`` and
            ``map2`` of ``cv2.remap``).
        interpolation (str): See :class:`WarpToReference`. Defaults to
            'bilinear'.
        border_value (float): Value of pixels that the image does not reach.
            Defaults to 0.
        min_overlap (float): Least share of the reference that the image must
            reach. Defaults to 0.05.

    Raises:
        ValueError: The file has no such maps.
    """

    def __init__(
        self,
        maps: str,
        interpolation: str = 'bilinear',
        border_value: float = 0,
        min_overlap: float = 0.05,
    ) -> None:
        super().__init__(interpolation, border_value, min_overlap)
        self.maps = maps
        try:
            with np.load(maps, allow_pickle=False) as arrays:
                self.x, self.y = (
                    np.ascontiguousarray(arrays[name], np.float32)
                    for name in 'xy'
                )
        except FileNotFoundError:
            raise FileNotFoundError(
                f"RemapToReference: '{maps}' does not exist"
            ) from None
        # A damaged archive may raise almost anything.
        except Exception as error:
            raise ValueError(
                f"RemapToReference: '{maps}' must be an .npz file of the maps "
                f'x and y, float (H, W): {error}'
            ) from error
        if self.x.ndim != 2 or self.x.shape != self.y.shape:
            raise ValueError(
                f"RemapToReference: x and y of '{maps}' must be (H, W) of one "
                f'size, found {self.x.shape} and {self.y.shape}'
            )

    def check(self, results: dict) -> None:
        """Measure how much of the reference is seen; see the base class."""
        width, height = self._reference_size(results)
        if self.x.shape != (height, width):
            raise ValueError(
                f"RemapToReference: the maps of '{self.maps}' are "
                f'{self.x.shape[1]}x{self.x.shape[0]}, but the reference of '
                f"'{results['img_path']}' is {width}x{height}"
            )
        h, w = results['img'].shape[:2]
        x, y = self.x, self.y
        seen = (x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5)
        self._refuse_overlap(
            float(seen.mean()), results, f"the maps of '{self.maps}'"
        )

    def _sample(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        results: dict,
        flag: int,
    ) -> np.ndarray:
        return cv2.remap(
            image,
            self.x,
            self.y,
            flag if flag != cv2.INTER_AREA else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=[self.border_value] * 4,
        )
