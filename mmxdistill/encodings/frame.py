"""The HHA channels of a frame, in NumPy and OpenCV."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import PinholeCamera
from .constants import (
    ANGLE_OFFSET,
    ANGLE_RADIUS,
    DEFAULT_CAMERA_HEIGHT,
    GRAVITY_RADIUS,
    MIN_CAMERA_HEIGHT,
    MIN_TILT,
    NO_NORMAL_LEVEL,
)
from .depth import DepthMap, depth_cm
from .disparity import to_uint8
from .gravity import DOWN, GravityEstimate, estimate_gravity, tilt_degrees
from .normals import row_bands, surface_normals

__all__ = ['NumpyFrame', 'ground_cm', 'height_axis']

FloatArray = NDArray[np.float64]


def height_axis(gravity: FloatArray) -> FloatArray:
    """Return the downward axis along which height is measured."""
    # A writable copy: Numba would compile read-only arrays separately.
    return gravity if tilt_degrees(gravity) > MIN_TILT else DOWN.copy()


def ground_cm(lowest: float) -> float:
    """Return the height, in cm from the camera, that is encoded as 0."""
    return -DEFAULT_CAMERA_HEIGHT if lowest > -MIN_CAMERA_HEIGHT else lowest


class NumpyFrame:
    """A depth map with its camera.

    Args:
        depth_mm: (H, W) of `as_depth_mm`, positive where valid.
        valid: bool (H, W), the pixels that take part in the normals.
        camera: Intrinsics.
    """

    def __init__(
        self,
        depth_mm: DepthMap,
        valid: NDArray[np.bool_],
        camera: PinholeCamera,
    ) -> None:
        self.depth_mm = depth_mm
        self.valid = valid
        self.camera = camera

    def gravity(self, initial_gravity: ArrayLike | None) -> GravityEstimate:
        """Estimate gravity; see `estimate_gravity`."""
        normals, _ = surface_normals(
            self.depth_mm, self.valid, self.camera, GRAVITY_RADIUS
        )
        return estimate_gravity(normals, initial_gravity)

    def angle_level(
        self, gravity: FloatArray
    ) -> tuple[NDArray[np.uint8], int]:
        """Encode the angle between normals and gravity.

        A floor is 38, a wall 128, a ceiling and no normal are 218.

        Args:
            gravity: Unit vector (3,).

        Returns:
            uint8 (H, W), and the number of pixels with a normal.
        """
        normals, exists = surface_normals(
            self.depth_mm, self.valid, self.camera, ANGLE_RADIUS
        )
        level = np.empty(exists.shape, dtype=np.uint8)
        for rows in row_bands(*exists.shape):
            cosine = np.tensordot(gravity, normals[:, rows], axes=1)
            degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
            level[rows] = to_uint8(degrees + ANGLE_OFFSET)
        level[~exists] = NO_NORMAL_LEVEL
        return level, int(np.count_nonzero(exists))

    def height_level(self, gravity: FloatArray) -> NDArray[np.uint8]:
        """Encode the height above the lowest point in cm, uint8 (H, W).

        The zero is the lowest pixel, missing ones (depth 0, i.e. the camera
        itself) included, if it is at least 90 cm below the camera; else
        130 cm below the camera.

        Args:
            gravity: Unit vector (3,).
        """
        shape = self.depth_mm.shape
        u, v = self.camera.ray_slopes(*shape)
        g = height_axis(gravity)
        bands = list(row_bands(*shape))
        height = np.empty(shape)
        for rows in bands:
            up = -(g[0] * u + (g[1] * v[rows] + g[2])[:, None])
            z = depth_cm(self.depth_mm[rows])
            np.multiply(up, z, out=height[rows])
        ground = ground_cm(float(height.min()))
        level = np.empty(shape, dtype=np.uint8)
        for rows in bands:
            level[rows] = to_uint8(height[rows] - ground)
        return level
