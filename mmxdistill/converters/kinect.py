"""Kinect v1: depth from its raw output, registered to the colour image.

Pixel coordinates are 0-based here, as OpenCV's and those of the calibration
toolboxes: the principal point counts from the centre of the first pixel.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import cv2
import numpy as np

__all__ = [
    'NYUD2_KINECT',
    'RGBDCalibration',
    'disparity_to_mm',
    'register_depth',
    'undistort_color',
]

# Metres = A / (B - raw value), from the data set's toolbox.
_DISPARITY_A = 351.3
_DISPARITY_B = 1092.5
_MIN_DISPARITY = 600
_MAX_MM = 10000
# The value of a pixel without measurement, and the largest there is (11 bit).
MISSING_DISPARITY = 2047
# Points of a depth pixel that are projected, in its own size from its
# centre. With its centre alone, slanted surfaces would get cracks.
_QUARTERS = ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25))


def _no_distortion() -> np.ndarray:
    return np.zeros(5)


@dataclass(frozen=True, eq=False)
class RGBDCalibration:
    """A colour camera and a depth camera.

    Attributes:
        color_matrix: Intrinsics of the colour camera, (3, 3), pixels.
        depth_matrix: Intrinsics of the depth camera.
        rotation: From the depth to the colour camera's axes, (3, 3).
        translation: Added after the rotation, metres, (3,).
        color_distortion: k1, k2, p1, p2, k3 of OpenCV, (5,).
        depth_distortion: The same of the depth camera.
    """

    color_matrix: np.ndarray
    depth_matrix: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    color_distortion: np.ndarray = field(default_factory=_no_distortion)
    depth_distortion: np.ndarray = field(default_factory=_no_distortion)


def _matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


# Published with the toolbox of NYU Depth v2. The toolbox holds the rotation
# and translation from the colour to the depth camera, with two changes of
# sign that cancel; this is the way back.
NYUD2_KINECT = RGBDCalibration(
    color_matrix=_matrix(
        518.85790117450188,
        519.46961112127485,
        325.58244941119034,
        253.73616633400465,
    ),
    color_distortion=np.array(
        [
            0.20796615318809061,
            -0.58613825163911781,
            0.00072231363135888329,
            0.0010479627195765181,
            0.49856986684705107,
        ]
    ),
    depth_matrix=_matrix(
        582.62448167737955,
        582.69103270988637,
        313.04475870804731,
        238.44389626620386,
    ),
    depth_distortion=np.array(
        [
            -0.099897236553084481,
            0.39065324602765344,
            0.0019290592870229277,
            -0.0019422022475975055,
            -0.51031725053400578,
        ]
    ),
    rotation=np.array(
        [
            [
                0.99997798940829263,
                0.0050518419386157446,
                0.0043011152014118693,
            ],
            [
                -0.0050359919480810989,
                0.99998051861143999,
                -0.0036879781309514218,
            ],
            [
                -0.0043196624923060242,
                0.0036662365748484798,
                0.99998394948385538,
            ],
        ]
    ).T,
    translation=-np.array(
        [0.025031875059141302, -0.00029342312935846411, 0.00066238747008330102]
    ),
)


def disparity_to_mm(disparity: np.ndarray) -> np.ndarray:
    """Distance of the Kinect's raw 11-bit values, which fall with disparity.

    Args:
        disparity (np.ndarray): Raw values (H, W), 0..2047, 2047 = missing.

    Returns:
        np.ndarray: Millimetres, float64 (H, W), 0 = missing; as in the data
        set's toolbox nothing is nearer than 0.71 m or farther than 10 m.

    Raises:
        ValueError: There are larger values: no raw output of a Kinect.
    """
    raw = np.asarray(disparity)
    if raw.max() > MISSING_DISPARITY:
        raise ValueError(
            f'raw Kinect depth has 11 bits (0..{MISSING_DISPARITY}), found '
            f'{raw.max()}: other bytes first, or not raw'
        )
    values = np.arange(MISSING_DISPARITY + 1.0)
    with np.errstate(divide='ignore'):
        table = 1000 * _DISPARITY_A / (_DISPARITY_B - values)
    table[(values >= _DISPARITY_B) | (values < _MIN_DISPARITY)] = 0
    return np.minimum(table, _MAX_MM)[raw]


def register_depth(
    depth_mm: np.ndarray,
    calibration: RGBDCalibration,
    size: tuple[int, int] = (480, 640),
) -> np.ndarray:
    """Move depth to the pixels of the (undistorted) colour image.

    Every depth pixel is lifted to 3-D and projected into the colour image;
    where several fall on a pixel, the nearest surface wins.

    Args:
        depth_mm (np.ndarray): Depth image, (h, w), millimetres, 0 = missing.
        calibration (RGBDCalibration): The two cameras.
        size (tuple[int, int]): Height and width of the colour image.

    Returns:
        np.ndarray: Distance from the colour camera, uint16 (H, W),
        millimetres, 0 = missing.
    """
    depth = np.asarray(depth_mm)
    valid = np.flatnonzero(depth)
    z = depth.ravel()[valid].astype(np.float64)
    height, width = size
    nearest = np.full(height * width, np.inf)
    camera = calibration.color_matrix
    shift = camera @ calibration.translation * 1000
    for directions in _directions(calibration, depth.shape):
        x, y, distance = (
            axis[valid] * z + offset
            for axis, offset in zip(directions, shift, strict=True)
        )
        column, row = np.rint(x / distance), np.rint(y / distance)
        seen = (column >= 0) & (column < width) & (distance > 0)
        seen &= (row >= 0) & (row < height)
        pixel = (row[seen] * width + column[seen]).astype(np.intp)
        np.minimum.at(nearest, pixel, distance[seen])
    nearest[nearest == np.inf] = 0
    millimetres = np.floor(np.minimum(nearest, 65535) + 0.5)
    return millimetres.astype(np.uint16).reshape(size)


@functools.lru_cache(maxsize=2)
def _directions(
    calibration: RGBDCalibration, shape: tuple[int, int]
) -> list[np.ndarray]:
    """Where the quarters of all depth pixels go, per unit of their depth.

    Homogeneous colour pixels (3, h * w), without the translation.
    """
    rows, columns = np.indices(shape, np.float64).reshape(2, -1)
    turn = calibration.color_matrix @ calibration.rotation
    directions = []
    for dx, dy in _QUARTERS:
        pixels = np.stack([columns + dx, rows + dy], 1)
        flat = cv2.undistortPoints(
            pixels[:, None],
            calibration.depth_matrix,
            calibration.depth_distortion,
        )[:, 0]
        directions.append(turn @ np.vstack([flat.T, np.ones(len(flat))]))
    return directions


def undistort_color(
    image: np.ndarray, calibration: RGBDCalibration
) -> np.ndarray:
    """Take the lens distortion out of a colour image.

    Args:
        image (np.ndarray): uint8 (H, W, 3).
        calibration (RGBDCalibration): The cameras.

    Returns:
        np.ndarray: The same size; black where the lens did not see.
    """
    return cv2.undistort(
        image, calibration.color_matrix, calibration.color_distortion
    )
