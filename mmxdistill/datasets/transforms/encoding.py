"""Depth encodings as transforms: HHA and disparity."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.fileio import load

from mmxdistill.encodings import PinholeCamera, encode_disparity, encode_hha
from mmxdistill.registry import TRANSFORMS

__all__ = ['EncodeDisparity', 'EncodeHHA', 'FillDepth']


@TRANSFORMS.register_module()
class FillDepth(BaseTransform):
    """Give every missing pixel the depth of the nearest measured one.

    HHA takes height and disparity from a depth image without holes. Data that
    ships only raw depth is filled here; ``depth_mask`` still says what was
    measured.

    Required Keys:

    - img (np.uint16, (H, W)): depth in millimetres
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
                holes.astype(np.uint8),
                cv2.DIST_L2,
                cv2.DIST_MASK_5,
                labelType=cv2.DIST_LABEL_PIXEL,
            )
            # Every measured pixel has a label of its own.
            values = np.concatenate([[0], depth[~holes]]).astype(depth.dtype)
            order = np.zeros(nearest.max() + 1, np.intp)
            order[nearest[~holes]] = np.arange(1, len(values))
            results['img'] = values[order[nearest]]
        return results


@TRANSFORMS.register_module()
class EncodeHHA(BaseTransform):
    """Encode depth as HHA: angle to gravity, height, disparity.

    The image has the channel order of the authors' PNG files read by OpenCV
    (angle, height, disparity), which their networks take together with the
    ImageNet means.

    Required Keys:

    - img (np.uint16, (H, W)): depth in millimetres, without holes
    - depth_mask (optional): measured pixels
    - camera (optional): intrinsics of this image, if ``camera`` is None
    - gravity (optional): unit vector, if ``use_gravity``

    Modified Keys:

    - img (np.uint8, (H, W, 3))

    Args:
        camera (str | dict | list, optional): Preset name, ``dict(fx, fy, cx,
            cy)``, a JSON file with these keys, or a 3x3 matrix: of the camera
            that took images of *this size*. None takes the sample's
            ``camera``.
        use_gravity (bool): Take the direction of gravity from the sample
            instead of estimating it. Defaults to False.
    """

    def __init__(self, camera: Any = None, use_gravity: bool = False) -> None:
        if isinstance(camera, str) and camera.endswith('.json'):
            camera = load(camera)
        self.camera = (
            None if camera is None else PinholeCamera.from_any(camera)
        )
        self.use_gravity = use_gravity

    def transform(self, results: dict) -> dict:
        """Encode the depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the HHA image.

        Raises:
            KeyError: The camera or the gravity is not known.
            ValueError: The depth image cannot be encoded.
        """
        camera = self.camera
        if camera is None:
            if 'camera' not in results:
                raise KeyError(
                    'EncodeHHA needs a camera: give EncodeHHA(camera=...), a '
                    'preset name or dict(fx=, fy=, cx=, cy=), or a data set '
                    "whose samples have the key 'camera'"
                )
            camera = PinholeCamera.from_any(results['camera'])
        gravity = None
        if self.use_gravity:
            if 'gravity' not in results:
                raise KeyError(
                    "EncodeHHA(use_gravity=True): the sample has no 'gravity'"
                )
            gravity = results['gravity']
        depth = results['img']
        mask = results.get('depth_mask')
        try:
            results['img'] = encode_hha(
                depth,
                camera,
                None if mask is None else mask.astype(np.uint16),
                gravity=gravity,
            )
        except ValueError as error:
            raise ValueError(
                f"'{results.get('img_path')}': {error}"
            ) from error
        return results


@TRANSFORMS.register_module()
class EncodeDisparity(BaseTransform):
    """Encode depth as a disparity image, the same in three channels.

    Required Keys:

    - img (np.uint16, (H, W)): depth in millimetres

    Modified Keys:

    - img (np.uint8, (H, W, 3))
    """

    def transform(self, results: dict) -> dict:
        """Encode the depth image.

        Args:
            results (dict): Sample.

        Returns:
            dict: Sample with the disparity image.
        """
        results['img'] = encode_disparity(results['img'])
        return results
