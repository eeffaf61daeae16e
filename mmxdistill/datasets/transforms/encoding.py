"""Depth encodings as transforms: HHA and disparity."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmxdistill.datasets.transforms.left_to_device import (
    guard_stock_preprocessors,
)
from mmxdistill.encodings import (
    PinholeCamera,
    as_depth_mm,
    encode_disparity,
    encode_hha,
)
from mmxdistill.encodings.deferred import position_image
from mmxdistill.encodings.gravity import unit_vector
from mmxdistill.encodings.hha import BACKENDS, valid_mask
from mmxdistill.registry import TRANSFORMS
from mmxdistill.text_files import read_json

__all__ = ['EncodeDisparity', 'EncodeHHA', 'FillDepth']


@TRANSFORMS.register_module()
class FillDepth(BaseTransform):
    """Give every missing pixel the depth of the nearest measured one.

    HHA takes height and disparity from a depth image without holes. Data that
    ships only raw depth is filled here; ``depth_mask`` still says what was
    measured.

    Required Keys:

    - img ((H, W)): depth in millimetres, fractions count
    - depth_mask

    Modified Keys:

    - img
    """

    def transform(self, results: dict) -> dict:
        """Fill the holes of a depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample without holes in the depth image.
        """
        depth = results['img']
        holes = depth == 0
        if holes.any() and not holes.all():
            _, nearest = cv2.distanceTransformWithLabels(
                holes.view(np.uint8),
                cv2.DIST_L2,
                cv2.DIST_MASK_5,
                labelType=cv2.DIST_LABEL_PIXEL,
            )
            # Every measured pixel has a label of its own, from 1.
            measured = np.flatnonzero(depth)
            values = np.empty(len(measured) + 1, depth.dtype)
            values[nearest.ravel()[measured]] = depth.ravel()[measured]
            results['img'] = values.take(nearest)
        return results


@TRANSFORMS.register_module()
class EncodeHHA(BaseTransform):
    """Encode depth as HHA: angle to gravity, height, disparity.

    The image has the channel order of the authors' PNG files read by OpenCV
    (angle, height, disparity), which their networks take together with the
    ImageNet means.

    Required Keys:

    - img ((H, W)): depth in millimetres, fractions count; without holes
    - depth_mask (optional): measured pixels
    - camera (optional): intrinsics of this image, if ``camera`` is None
    - gravity (optional): unit vector, if ``use_gravity``

    Modified Keys:

    - img (np.uint8, (H, W, 3)): HHA, or :func:`position_image` if
      ``on_device``

    Added Keys:

    - encoder_input (dict, only if ``on_device``): arguments of
      :class:`HHAEncoder` for this frame

    Args:
        camera (str | dict | list, optional): Preset name, ``dict(fx, fy, cx,
            cy)``, a JSON file with these keys, or a 3x3 matrix: of the camera
            that took images of *this size*. None takes the sample's
            ``camera``.
        use_gravity (bool): Take the direction of gravity from the sample
            instead of estimating it. Defaults to False.
        backend (str): See :func:`mmxdistill.encodings.encode_hha`. Defaults
            to 'auto'.
        on_device (bool): Leave the encoding to the data preprocessor, which
            must have ``encoders=dict(<modality>=dict(
            type='mmxdistill.HHAEncoder'))``; see
            :class:`MultiModalDataPreprocessor` for the transforms that may
            follow. Defaults to False.
    """

    def __init__(
        self,
        camera: Any = None,
        use_gravity: bool = False,
        backend: str = 'auto',
        on_device: bool = False,
    ) -> None:
        if isinstance(camera, str) and camera.lower().endswith('.json'):
            camera = read_json(camera)
        self.camera = (
            None if camera is None else PinholeCamera.from_any(camera)
        )
        if backend not in BACKENDS:
            raise ValueError(
                f'EncodeHHA: backend must be one of {BACKENDS}, found '
                f'{backend!r}'
            )
        self.use_gravity = use_gravity
        self.backend = backend
        self.on_device = on_device
        if on_device:
            guard_stock_preprocessors()

    @property
    def reads(self) -> tuple[str, ...]:
        """What it takes from a sample beside the image."""
        camera = ('camera',) if self.camera is None else ()
        return (*camera, 'gravity') if self.use_gravity else camera

    def transform(self, results: dict) -> dict:
        """Encode the depth image, or prepare it for the data preprocessor.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the HHA image.

        Raises:
            KeyError: The camera or the gravity is not known.
            ValueError: The depth image cannot be encoded.
        """
        camera, gravity = self._camera(results), self._gravity(results)
        depth = results['img']
        mask = results.get('depth_mask')
        try:
            if self.on_device:
                depth = as_depth_mm(depth)
                camera.check_fits(*depth.shape)
                if mask is not None:
                    mask = valid_mask(depth, mask)
                if gravity is not None:
                    unit_vector(gravity, 'gravity')
                results['encoder_input'] = dict(
                    depth_mm=depth,
                    raw_depth_mm=mask,
                    camera=camera,
                    gravity=gravity,
                )
                results['img'] = position_image(*depth.shape)
            else:
                results['img'] = encode_hha(
                    depth, camera, mask, gravity=gravity, backend=self.backend
                )
        except ValueError as error:
            raise ValueError(
                f"'{results.get('img_path')}': {error}"
            ) from error
        return results

    def _camera(self, results: dict) -> PinholeCamera:
        if self.camera is not None:
            return self.camera
        if 'camera' not in results:
            raise KeyError(
                'EncodeHHA needs a camera: give EncodeHHA(camera=...), a '
                'preset name or dict(fx=, fy=, cx=, cy=), or a data set '
                "whose samples have the key 'camera'"
            )
        return PinholeCamera.from_any(results['camera'])

    def _gravity(self, results: dict) -> Any:
        if not self.use_gravity:
            return None
        if 'gravity' not in results:
            raise KeyError(
                "EncodeHHA(use_gravity=True): the sample has no 'gravity'"
            )
        return results['gravity']


@TRANSFORMS.register_module()
class EncodeDisparity(BaseTransform):
    """Encode depth as a disparity image, the same in three channels.

    Required Keys:

    - img ((H, W)): depth in millimetres, fractions count

    Modified Keys:

    - img (np.uint8, (H, W, 3))
    """

    def transform(self, results: dict) -> dict:
        """Encode the depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the disparity image.

        Raises:
            ValueError: The depth image cannot be encoded.
        """
        try:
            results['img'] = encode_disparity(results['img'])
        except ValueError as error:
            raise ValueError(
                f"'{results.get('img_path')}': {error}"
            ) from error
        return results
