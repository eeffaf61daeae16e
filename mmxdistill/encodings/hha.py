"""HHA: disparity, height above ground and angle with gravity.

The encoding of Gupta et al., "Learning Rich Features from RGB-D Images for
Object Detection and Segmentation", ECCV 2014, as ``saveHHA`` of rcnn-depth
computes it: with fixed scales, not stretched to the observed range.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import CameraLike, PinholeCamera
from .disparity import (
    as_depth_mm,
    check_no_nan_no_negative,
    depth_cm_table,
    disparity_level,
    to_uint8,
)
from .gravity import DOWN, estimate_gravity, tilt_degrees, unit_vector
from .normals import row_bands, surface_normals

__all__ = ['HHADiagnostics', 'encode_hha', 'encode_hha_with_diagnostics']

FloatArray = NDArray[np.float64]

ANGLE_RADIUS = 3
GRAVITY_RADIUS = 10

_DEPTH_CM = depth_cm_table()
# Angle channel: degrees + 128 - 90, so that a wall is mid-grey.
_ANGLE_OFFSET = 128.0 - 90.0
_NO_NORMAL_LEVEL = 218
# Tilts up to this many degrees are not corrected in the height.
_MIN_TILT = 0.1
# Ground below the camera, cm: if no point is lower than the first, the
# ground is not in view and the second is assumed.
_MIN_CAMERA_HEIGHT = 90.0
_DEFAULT_CAMERA_HEIGHT = 130.0


@dataclass(frozen=True, eq=False)
class HHADiagnostics:
    """What tells a sound frame from an odd one.

    Attributes:
        gravity: Unit vector pointing down, camera axes, float64 (3,).
        eigen_gap: See `GravityEstimate`; None if gravity was given.
        tilt_degrees: Angle between gravity and the camera's y axis. Beyond
            about 45 degrees an estimate without initial gravity is wrong.
        num_normals: Pixels with a normal in the angle channel.
        num_valid: Pixels with measured depth; 0 means that the frame holds
            nothing.
    """

    gravity: FloatArray
    eigen_gap: float | None
    tilt_degrees: float
    num_normals: int
    num_valid: int


def encode_hha(
    depth_mm: ArrayLike,
    camera: CameraLike,
    raw_depth_mm: ArrayLike | None = None,
    *,
    initial_gravity: ArrayLike | None = None,
    gravity: ArrayLike | None = None,
) -> NDArray[np.uint8]:
    """Encode depth as HHA.

    Args:
        depth_mm: (H, W) depth in millimetres, registered to the colour
            image, holes filled if possible; 0 = missing. Any real dtype of
            more than 8 bits, any memory layout; rounded to integers.
        camera: Camera of the depth map, see `PinholeCamera.from_any`.
        raw_depth_mm: (H, W) depth before hole filling, or any map that is 0
            exactly where depth was not measured. Those pixels take no part
            in the normals. By default every positive depth is measured.
        initial_gravity: Direction from which the estimate of gravity starts,
            camera axes (x right, y down, z forward), e.g. of an IMU.
        gravity: Known gravity, camera axes; nothing is estimated.

    Returns:
        uint8 (H, W, 3) in the order in which ``cv2.imread`` gives the
        authors' PNG files: angle, height, disparity.

    Raises:
        ValueError: Input that is not depth in millimetres, a raw depth of
            another shape, a camera that does not fit, a gravity that is not
            a vector, or both gravities given.
    """
    return encode_hha_with_diagnostics(
        depth_mm,
        camera,
        raw_depth_mm,
        initial_gravity=initial_gravity,
        gravity=gravity,
    )[0]


def encode_hha_with_diagnostics(
    depth_mm: ArrayLike,
    camera: CameraLike,
    raw_depth_mm: ArrayLike | None = None,
    *,
    initial_gravity: ArrayLike | None = None,
    gravity: ArrayLike | None = None,
) -> tuple[NDArray[np.uint8], HHADiagnostics]:
    """Encode depth as HHA and report on the frame; see `encode_hha`."""
    if gravity is not None and initial_gravity is not None:
        raise ValueError(
            'give gravity (known) or initial_gravity (start of the '
            'estimate), not both'
        )
    depth = as_depth_mm(depth_mm)
    valid = valid_mask(depth, raw_depth_mm)
    camera = PinholeCamera.from_any(camera)
    camera.check_fits(*depth.shape)

    gap = None
    if gravity is None:
        estimate = estimate_gravity(
            surface_normals(depth, valid, camera, GRAVITY_RADIUS)[0],
            initial_gravity,
        )
        down, gap = estimate.gravity, estimate.eigen_gap
    else:
        down = unit_vector(gravity, 'gravity')
    normals, exists = surface_normals(depth, valid, camera, ANGLE_RADIUS)

    hha = cv2.merge(
        (
            angle_level(normals, exists, down),
            height_level(depth, camera, down),
            disparity_level(depth),
        )
    )
    return np.asarray(hha, dtype=np.uint8), HHADiagnostics(
        gravity=down,
        eigen_gap=gap,
        tilt_degrees=tilt_degrees(down),
        num_normals=int(np.count_nonzero(exists)),
        num_valid=int(np.count_nonzero(valid)),
    )


def valid_mask(
    depth_mm: NDArray[np.uint16], raw_depth_mm: ArrayLike | None
) -> NDArray[np.bool_]:
    """Return where depth is measured and positive, bool (H, W).

    Raises:
        ValueError: The raw depth has another shape, a dtype that is not
            real, or NaN, infinite or negative values.
    """
    valid = depth_mm > 0
    if raw_depth_mm is None:
        return valid
    raw = np.asarray(raw_depth_mm)
    if raw.shape != depth_mm.shape:
        raise ValueError(
            f'raw_depth_mm must have the shape {depth_mm.shape} of depth_mm, '
            f'found {raw.shape}'
        )
    if raw.dtype.kind not in 'biuf':
        raise ValueError(f'raw_depth_mm must be real, found {raw.dtype}')
    check_no_nan_no_negative(raw, 'raw_depth_mm')
    valid &= raw != 0
    return valid


def angle_level(
    normals: FloatArray, exists: NDArray[np.bool_], gravity: FloatArray
) -> NDArray[np.uint8]:
    """Encode the angle between normal and gravity, uint8 (H, W).

    A floor is 38, a wall 128, a ceiling 218. No normal is 218 as well: in
    MATLAB ``max(-1, NaN)`` is -1, i.e. 180 degrees.

    Args:
        normals: Unit normals (3, H, W).
        exists: Where there is a normal, (H, W).
        gravity: Unit vector (3,).
    """
    level = np.empty(exists.shape, dtype=np.uint8)
    for rows in row_bands(*exists.shape):
        cosine = np.tensordot(gravity, normals[:, rows], axes=1)
        degrees = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        level[rows] = to_uint8(degrees + _ANGLE_OFFSET)
    level[~exists] = _NO_NORMAL_LEVEL
    return level


def height_level(
    depth_mm: NDArray[np.uint16], camera: PinholeCamera, gravity: FloatArray
) -> NDArray[np.uint8]:
    """Encode the height above the lowest point in cm, uint8 (H, W).

    The zero is the lowest pixel, missing ones (depth 0, i.e. the camera
    itself) included, if it is at least 90 cm below the camera; else 130 cm
    below the camera.
    """
    u, v = camera.ray_slopes(*depth_mm.shape)
    g = gravity if tilt_degrees(gravity) > _MIN_TILT else DOWN
    bands = list(row_bands(*depth_mm.shape))
    height = np.empty(depth_mm.shape)
    for rows in bands:
        up = -(g[0] * u + (g[1] * v[rows] + g[2])[:, None])
        np.multiply(up, np.take(_DEPTH_CM, depth_mm[rows]), out=height[rows])
    ground = height.min()
    if ground > -_MIN_CAMERA_HEIGHT:
        ground = -_DEFAULT_CAMERA_HEIGHT
    level = np.empty(depth_mm.shape, dtype=np.uint8)
    for rows in bands:
        level[rows] = to_uint8(height[rows] - ground)
    return level
