"""Surface normals by a plane fit in inverse depth.

In a window around each pixel the plane ``a x + b y + c = 1 / z`` (x, y in
pixels) is fitted by least squares to the valid pixels; its coefficients are
the normal up to the focal lengths. All nine sums are box filters, and the
six of the mask are integers: whether a window determines a plane at all (its
valid pixels are not all on one line) is decided exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import PinholeCamera
from .depth import DepthMap, inverse_depth

__all__ = ['row_bands', 'surface_normals']

FloatArray = NDArray[np.float64]

# Images are processed in bands of at least so many rows and about so many
# pixels: the temporaries stay in the cache, and allocating them anew for
# whole images would cost as much as the arithmetic.
_BAND_ROWS = 32
_BAND_PIXELS = 40960


def row_bands(height: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that cover an image band by band."""
    step = max(_BAND_ROWS, _BAND_PIXELS // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def surface_normals(
    depth_mm: DepthMap,
    valid: NDArray[np.bool_],
    camera: PinholeCamera,
    radius: int,
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the normal of every pixel with enough valid neighbours.

    ``computeNormalsSquareSupport`` of rgbdutils, with its ill-conditioned
    sums replaced by centred moments. Normals point away from the camera:
    floor +y, ceiling -y, a wall seen frontally +z. A pixel has no normal if
    the valid pixels of its window are fewer than three or all on one line;
    it may be missing itself.

    Args:
        depth_mm: (H, W) of `as_depth_mm`, positive where valid.
        valid: bool (H, W), the pixels that take part in the fits.
        camera: Intrinsics.
        radius: Half size of the window, pixels (3 for the angle channel, 10
            for gravity).

    Returns:
        Unit normals float64 (3, H, W), zero where there is none, and where
        there is one, bool (H, W).
    """
    h, w = depth_mm.shape
    u, v = camera.ray_slopes(h, w)
    # The solution does not depend on the origin of x and y: integers from
    # the image centre keep the sums small, up to 4400 pixels within int32.
    largest = (2 * radius + 1) ** 2 * (max(h, w) // 2) ** 2
    dtype = np.int32 if largest < 2**31 else np.float64
    x = np.arange(-(w // 2), w - w // 2, dtype=dtype)
    y = np.arange(-(h // 2), h - h // 2, dtype=dtype)[:, None]
    principal = (camera.cx - 1 - w // 2, camera.cy - 1 - h // 2)

    normals = np.empty((3, h, w))
    exists = np.empty((h, w), dtype=np.bool_)
    bands = list(row_bands(h, w))
    buffer = np.empty((11, bands[0].stop + 2 * radius, w))
    for rows in bands:
        first = max(0, rows.start - radius)
        halo = slice(first, min(rows.stop + radius, h))
        images = _moment_images(depth_mm[halo], valid[halo], x, y[halo])
        inner = slice(rows.start - first, rows.stop - first)
        sums = [
            _box_sum(image, radius, out[: halo.stop - first])[inner]
            for image, out in zip(images, buffer, strict=False)
        ]
        exists[rows] = _solve(
            sums,
            (camera.fx, camera.fy),
            principal,
            (u, v[rows, None]),
            depth_mm[rows] == 0,
            normals[:, rows],
            buffer[9:, inner],
        )
    return normals, exists


def _moment_images(
    depth_mm: DepthMap,
    valid: NDArray[np.bool_],
    x: NDArray[Any],
    y: NDArray[Any],
) -> Iterator[NDArray[Any]]:
    """Yield m, mx, my, mx^2, mxy, my^2 and q, qx, qy.

    m is the mask, q = 1/z (1/cm) where valid and 0 elsewhere.
    """
    m = valid.astype(x.dtype)
    mx = m * x
    my = m * y
    yield from (m, mx, my, mx * x, mx * y, my * y)
    q = inverse_depth(depth_mm)
    q *= valid
    yield q
    yield q * x
    yield q * y


def _box_sum(image: NDArray[Any], radius: int, out: FloatArray) -> FloatArray:
    """Sum over (2 radius + 1)^2 windows, cut at the border."""
    size = (2 * radius + 1, 2 * radius + 1)
    return np.asarray(
        cv2.boxFilter(
            image,
            cv2.CV_64F,
            size,
            dst=out,
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
    )


def _solve(
    sums: list[FloatArray],
    focal: tuple[float, float],
    principal: tuple[float, float],
    slopes: tuple[FloatArray, FloatArray],
    at_camera: NDArray[np.bool_],
    out: FloatArray,
    scratch: FloatArray,
) -> NDArray[np.bool_]:
    """Solve the 2x2 systems of centred moments of one band.

    Args:
        sums: Window sums of the nine moment images; overwritten.
        focal: Focal lengths.
        principal: Principal point in the coordinates x, y.
        slopes: X/Z and Y/Z of the pixels, broadcastable to the band.
        at_camera: Where the depth is 0, bool (rows, W).
        out: (3, rows, W), filled with the unit normals.
        scratch: (2, rows, W).

    Returns:
        Where the system has a solution, bool (rows, W).
    """
    n, x, y, xx, xy, yy, q, qx, qy = sums
    det, minus_xy = scratch
    nx, ny, nz = out
    # Second moments about the means, times n^2. The first three and their
    # determinant are integers below 2^53, hence exact.
    for moment in (xx, xy, yy, qx, qy):
        np.multiply(moment, n, out=moment)
    minus_x, minus_y = np.negative(x, out=det), np.negative(y, out=minus_xy)
    cv2.accumulateProduct(minus_x, x, xx)
    cv2.accumulateProduct(minus_x, y, xy)
    cv2.accumulateProduct(minus_y, y, yy)
    cv2.accumulateProduct(minus_x, q, qx)
    cv2.accumulateProduct(minus_y, q, qy)
    # From the image centre to the principal point.
    cv2.scaleAdd(n, principal[0], minus_x, x)
    cv2.scaleAdd(n, principal[1], minus_y, y)

    np.negative(xy, out=minus_xy)
    np.multiply(xx, yy, out=det)
    cv2.accumulateProduct(minus_xy, xy, det)
    # Slopes of the plane, times det.
    np.multiply(yy, qx, out=nx)
    cv2.accumulateProduct(minus_xy, qy, nx)
    np.multiply(xx, qy, out=ny)
    cv2.accumulateProduct(minus_xy, qx, ny)
    # Its value at the principal point, times n det.
    np.multiply(det, q, out=nz)
    cv2.accumulateProduct(nx, x, nz)
    cv2.accumulateProduct(ny, y, nz)
    cv2.multiply(nx, n, nx, focal[0])
    cv2.multiply(ny, n, ny, focal[1])

    exists = det > 0
    length = cv2.magnitude(cv2.magnitude(nx, ny, xx), nz, xx)
    np.putmask(length, ~exists, np.inf)
    # N . P must not be negative; where it is 0, N_z must not.
    facing = np.multiply(nx, slopes[0], out=yy)
    facing += np.multiply(ny, slopes[1], out=xy)
    facing += nz
    np.copyto(facing, nz, where=at_camera | (facing == 0))
    out /= np.copysign(length, facing, out=length)
    return exists
