"""Warping of a modality onto the first one by a matrix."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from mmxdistill.datasets.transforms.registration import ToReference
from mmxdistill.registry import TRANSFORMS
from mmxdistill.text_files import read_json

__all__ = ['WarpToReference']


@TRANSFORMS.register_module()
class WarpToReference(ToReference):
    """Warp a modality onto the first one by a homography or affine map.

    Pixel centres have whole coordinates, as in ``cv2.findHomography`` and
    ``cv2.warpPerspective``: the matrix maps (x, y) of this modality's image,
    as its file is loaded, to (x, y) of the reference.

    Required Keys:

    - img, img_path, reference_shape (of :class:`LoadModalities`)

    Modified Keys:

    - img, img_shape, ori_shape, depth_mask (if there is one)

    Args:
        matrix (list | str): 3x3 homography or 2x3 affine matrix of a fixed
            rig; or a JSON file with one, or with a dict of one per image. Its
            keys are file names of this modality or of the first one, without
            or with suffix; folders in front, where names repeat.
        key (str, optional): Entry of the JSON file or of each item in it, if
            that is a dict of several things.
        inverse (bool): The matrix maps the reference to this modality.
            Defaults to False.
        interpolation (str): 'bilinear', 'nearest', 'bicubic', 'area' or
            'lanczos'. Depth takes 'nearest': between two surfaces there is
            none. Defaults to 'bilinear'.
        border_value (float): Value of pixels that the image does not reach.
            Defaults to 0.
        min_overlap (float): Least share of the reference that the image must
            reach. Defaults to 0.05.

    Raises:
        ValueError: No matrix, or a singular one.

    Examples:
        >>> thermal = dict(path='thermal/{stem}.png', pipeline=[
        ...     dict(type='mmxdistill.LoadGrayImageFromFile'),
        ...     dict(type='mmxdistill.WarpToReference',
        ...          matrix='data/mine/homographies.json')])
    """

    def __init__(
        self,
        matrix: ArrayLike | str,
        key: str | None = None,
        inverse: bool = False,
        interpolation: str = 'bilinear',
        border_value: float = 0,
        min_overlap: float = 0.05,
    ) -> None:
        super().__init__(interpolation, border_value, min_overlap)
        self.inverse = inverse
        self.source = 'matrix'
        content: Any = matrix
        if isinstance(matrix, str):
            self.source = f"'{matrix}'"
            content = _load_json(matrix)
        if isinstance(content, Mapping) and key in content:
            content = content[key]
        self.matrices: dict[str, np.ndarray] | None = None
        if isinstance(content, Mapping):
            if not content:
                raise ValueError(f'{self.source} holds no matrix')
            self.matrices = {
                name: self._matrix(item, f"{self.source}, '{name}'", key)
                for name, item in content.items()
            }
        else:
            self.matrix = self._matrix(content, self.source, key)

    @property
    def reads(self) -> tuple[str, ...]:
        """What it takes from a sample beside the image."""
        return () if self.matrices is None else ('reference_path',)

    def _matrix(self, item: Any, source: str, key: str | None) -> np.ndarray:
        if isinstance(item, Mapping):
            if key not in item:
                raise ValueError(
                    f'WarpToReference: {source} is a dict of {list(item)}: '
                    'say which is the matrix, key=...'
                )
            item = item[key]
        try:
            matrix = np.asarray(item, np.float64)
        except (TypeError, ValueError):
            matrix = np.empty(0)
        if matrix.shape == (2, 3):
            matrix = np.vstack([matrix, [0.0, 0.0, 1.0]])
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise ValueError(
                f'WarpToReference: {source} must be a 3x3 homography or 2x3 '
                f'affine matrix of finite numbers, found {item!r:.200}'
            )
        # The condition does not depend on the unit of the last row.
        scaled = matrix / (np.abs(matrix).max() or 1.0)
        if np.linalg.matrix_rank(scaled, 1e-12) < 3:
            raise ValueError(
                f'WarpToReference: {source} is singular: {matrix.tolist()}'
            )
        return np.linalg.inv(matrix) if self.inverse else matrix

    def _of(self, results: dict) -> np.ndarray:
        """Matrix of a sample."""
        if self.matrices is None:
            return self.matrix
        paths = [results['img_path'], results.get('reference_path', '')]
        keys = [key for key in map(self._key_of, paths) if key is not None]
        if not keys:
            names = {osp.basename(path) for path in paths}
            names |= {osp.splitext(name)[0] for name in names}
            raise ValueError(
                f"'{paths[0]}' has no matrix in {self.source}: none of "
                f'{sorted(filter(None, names))} is among its '
                f'{len(self.matrices)} keys, e.g. {list(self.matrices)[:3]}'
            )
        matrix, *others = (self.matrices[key] for key in keys)
        if any(not np.array_equal(matrix, other) for other in others):
            raise ValueError(
                f"'{paths[0]}' has the matrix '{keys[0]}' in {self.source}, "
                f"and '{paths[1]}', with which it makes a pair, has another "
                f"one, '{keys[1]}': write the suffix or the folder of one "
                'modality into all keys'
            )
        return matrix

    def _key_of(self, path: str) -> str | None:
        """Key of a file: with as many folders as the keys have."""
        assert self.matrices is not None
        parts = path.replace('\\', '/').split('/')
        for start in range(len(parts)):
            name = '/'.join(parts[start:])
            for key in (name, osp.splitext(name)[0]):
                if key and key in self.matrices:
                    return key
        return None

    def check(self, results: dict) -> None:
        """Measure how much of the reference is seen; see the base class."""
        matrix = self._of(results)
        width, height = self._reference_size(results)
        h, w = results['img'].shape[:2]
        corners = np.array(
            [[0, w - 1, 0, w - 1], [0, 0, h - 1, h - 1], [1.0] * 4]
        )
        depths = matrix[2] @ corners
        if min(depths * np.sign(depths[0])) <= 0:
            raise ValueError(
                f"'{results['img_path']}' is {w}x{h}, of which its matrix "
                'moves a part to infinity and beyond: it is wrong, or of '
                'images of another size'
            )
        # A grid of the reference's pixels, seen in this modality.
        x, y = np.meshgrid(
            np.linspace(0, width - 1, 33), np.linspace(0, height - 1, 33)
        )
        points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
        back = np.linalg.inv(matrix) @ points
        # Beyond the horizon the sign changes; that of a point inside both
        # images, if there is one, is the right one.
        forward = matrix @ [(w - 1) / 2, (h - 1) / 2, 1.0]
        sign = np.sign(forward[2]) or 1.0
        depth = back[2] * sign
        with np.errstate(divide='ignore', invalid='ignore'):
            u, v = back[:2] / back[2]
            seen = (u >= -0.5) & (u <= w - 0.5) & (v >= -0.5) & (v <= h - 0.5)
        seen &= depth > 0
        self._refuse_overlap(float(seen.mean()), results, 'its matrix')

    def _sample(
        self,
        image: np.ndarray,
        size: tuple[int, int],
        results: dict,
        flag: int,
    ) -> np.ndarray:
        return cv2.warpPerspective(
            image,
            self._of(results),
            size,
            flags=flag,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=[self.border_value] * 4,
        )


def _load_json(path: str) -> Any:
    try:
        return read_json(path, unique=True)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'WarpToReference: matrix {error}') from error
