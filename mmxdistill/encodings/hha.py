"""HHA: disparity, height above ground and angle with gravity.

The encoding of Gupta et al., "Learning Rich Features from RGB-D Images for
Object Detection and Segmentation", ECCV 2014, as ``saveHHA`` of rcnn-depth
computes it: with fixed scales, not stretched to the observed range.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import CameraLike, PinholeCamera
from .depth import DepthMap, as_depth_mm, check_no_nan_no_negative
from .disparity import disparity_level
from .frame import NumpyFrame
from .gravity import tilt_degrees, unit_vector

__all__ = [
    'BACKENDS',
    'HHADiagnostics',
    'encode_hha',
    'encode_hha_with_diagnostics',
    'valid_mask',
]

FloatArray = NDArray[np.float64]

BACKENDS = ('auto', 'numpy', 'numba')


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
    backend: str = 'auto',
) -> NDArray[np.uint8]:
    """Encode depth as HHA.

    Args:
        depth_mm: (H, W) depth in millimetres, registered to the colour
            image, holes filled if possible; 0 = missing. Any real dtype of
            more than 8 bits, any memory layout. Fractions count: only grey
            levels are rounded.
        camera: Camera of the depth map, see `PinholeCamera.from_any`.
        raw_depth_mm: (H, W) depth before hole filling, or any map that is 0
            exactly where depth was not measured, or a masked array. Those
            pixels take no part in the normals. By default every positive
            depth is measured.
        initial_gravity: Direction from which the estimate of gravity starts,
            camera axes (x right, y down, z forward), e.g. of an IMU.
        gravity: Known gravity, camera axes; nothing is estimated.
        backend: ``numpy`` (NumPy and OpenCV), ``numba`` (compiled, several
            times as fast, the same result; the first call in a new
            environment compiles for some seconds) or ``auto``: ``numba`` if
            it is installed.

    Returns:
        uint8 (H, W, 3) in the order in which ``cv2.imread`` gives the
        authors' PNG files: angle, height, disparity.

    Raises:
        ValueError: Input that is not depth in millimetres, a raw depth of
            another shape, a camera that does not fit, a gravity that is not
            a vector, both gravities given, or an unknown backend.
        ImportError: ``backend='numba'`` without Numba.
    """
    return encode_hha_with_diagnostics(
        depth_mm,
        camera,
        raw_depth_mm,
        initial_gravity=initial_gravity,
        gravity=gravity,
        backend=backend,
    )[0]


def encode_hha_with_diagnostics(
    depth_mm: ArrayLike,
    camera: CameraLike,
    raw_depth_mm: ArrayLike | None = None,
    *,
    initial_gravity: ArrayLike | None = None,
    gravity: ArrayLike | None = None,
    backend: str = 'auto',
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

    frame = _frame_class(backend)(depth, valid, camera)
    gap = None
    if gravity is None:
        estimate = frame.gravity(initial_gravity)
        down, gap = estimate.gravity, estimate.eigen_gap
    else:
        down = unit_vector(gravity, 'gravity')
    angle, num_normals = frame.angle_level(down)
    hha = cv2.merge((angle, frame.height_level(down), disparity_level(depth)))
    return np.asarray(hha, dtype=np.uint8), HHADiagnostics(
        gravity=down,
        eigen_gap=gap,
        tilt_degrees=tilt_degrees(down),
        num_normals=num_normals,
        num_valid=int(np.count_nonzero(valid)),
    )


@cache
def _frame_class(backend: str) -> Any:
    """The class that computes the channels."""
    if backend not in BACKENDS:
        raise ValueError(
            f'backend must be one of {BACKENDS}, found {backend!r}'
        )
    if backend != 'numpy':
        try:
            from .frame_numba import NumbaFrame
        except ImportError as error:
            if backend == 'numba':
                raise ImportError(
                    f"backend='numba' needs Numba ({error}): pip install "
                    "numba, or use backend='auto'"
                ) from error
        else:
            return NumbaFrame
    return NumpyFrame


def valid_mask(
    depth_mm: DepthMap,
    raw_depth_mm: ArrayLike | None,
    name: str = 'raw_depth_mm',
) -> NDArray[np.bool_]:
    """Return where depth is measured and positive, bool (H, W).

    Raises:
        ValueError: The raw depth has another shape, a dtype that is not
            real, or NaN, infinite or negative values.
    """
    valid = depth_mm > 0
    if raw_depth_mm is None:
        return valid
    if isinstance(raw_depth_mm, np.ma.MaskedArray):
        raw_depth_mm = raw_depth_mm.filled(0)
    raw = np.asarray(raw_depth_mm)
    if raw.shape != depth_mm.shape:
        raise ValueError(
            f'{name} must have the shape {depth_mm.shape} of the depth map, '
            f'found {raw.shape}'
        )
    if raw.dtype.kind not in 'biuf':
        raise ValueError(f'{name} must be real, found {raw.dtype}')
    check_no_nan_no_negative(raw, name)
    valid &= raw != 0
    return valid
