"""The HHA channels of a frame, compiled by Numba.

The same sums and formulas as in `normals` and `frame`, but all of a row at
once, so that nothing larger than a row leaves the cache except the normals
that gravity is estimated from. Loops over a row have no branches: LLVM
turns them into vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .camera import PinholeCamera
from .constants import (
    ANGLE_OFFSET,
    ANGLE_RADIUS,
    GRAVITY_RADIUS,
)
from .depth import DepthMap
from .frame import ground_cm, height_axis
from .gravity import GravityEstimate, find_axis

__all__ = ['NumbaFrame']

FloatArray = NDArray[np.float64]
# Focal lengths, and the principal point from the middle of the image.
Intrinsics: TypeAlias = tuple[float, float, float, float]
Function = TypeVar('Function', bound=Callable[..., Any])

# Bins of the cosine in which the angle is looked up.
_COSINE_BINS = 4096


def _compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile at the first call; keep the result on disk if possible."""
    options |= dict(error_model='numpy', nogil=True)

    def decorate(function: Function) -> Function:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache can be written
            return numba.njit(**options)(function)

    return decorate


@_compiled()
def _inverse_depth(depth_mm: DepthMap, valid: NDArray[np.bool_]) -> FloatArray:
    """1/z in 1/cm where valid, else 0; float64 (H, W)."""
    q = np.empty(depth_mm.shape)
    for r in range(depth_mm.shape[0]):
        for c in range(depth_mm.shape[1]):
            inverse = 1.0 / (depth_mm[r, c] / 1000.0 * 100.0)
            q[r, c] = inverse if valid[r, c] else 0.0
    return q


@_compiled()
def _add_row(
    q: FloatArray,
    y: int,
    sign: float,
    n: FloatArray,
    yn: FloatArray,
    yyn: FloatArray,
    qs: FloatArray,
    yq: FloatArray,
) -> None:
    """Add a row to (or take it from) the sums over the rows of a window."""
    for c in range(q.size):
        m = sign if q[c] > 0.0 else 0.0
        n[c] += m
        yn[c] += y * m
        yyn[c] += y * y * m
        qs[c] += sign * q[c]
        yq[c] += sign * y * q[c]


@_compiled()
def _sum_windows(columns: FloatArray, radius: int, out: FloatArray) -> None:
    """Slide a window along the sums over the rows of it.

    Args:
        columns: (5, 2 radius + 1 + W + radius) sums of m, my, my^2, q and qy,
            zero but for the W columns of the image.
        radius: Half size of the window.
        out: (9, W + radius), filled with the sums of m, mx, my, mx^2, mxy,
            my^2 and of q, qx, qy from column -radius on.
    """
    size = 2 * radius + 1
    x0 = -((out.shape[1] - radius) // 2)
    n = sx = sy = sxx = sxy = syy = q = qx = qy = 0.0
    for left in range(out.shape[1]):
        right = left + size
        x = float(x0 + left)
        gone = x - size
        n += columns[0, right] - columns[0, left]
        sy += columns[1, right] - columns[1, left]
        syy += columns[2, right] - columns[2, left]
        q += columns[3, right] - columns[3, left]
        qy += columns[4, right] - columns[4, left]
        sx += x * columns[0, right] - gone * columns[0, left]
        sxy += x * columns[1, right] - gone * columns[1, left]
        qx += x * columns[3, right] - gone * columns[3, left]
        sxx += x * x * columns[0, right] - gone * gone * columns[0, left]
        out[0, left] = n
        out[1, left] = sx
        out[2, left] = sy
        out[3, left] = sxx
        out[4, left] = sxy
        out[5, left] = syy
        out[6, left] = q
        out[7, left] = qx
        out[8, left] = qy


@_compiled()
def _slide(
    r: int, q: FloatArray, radius: int, columns: FloatArray, sums: FloatArray
) -> None:
    """Move the window to row r (the first is -radius) and sum along it."""
    h, w = q.shape
    inner = slice(2 * radius + 1, 2 * radius + 1 + w)
    n, yn, yyn = columns[0, inner], columns[1, inner], columns[2, inner]
    qs, yq = columns[3, inner], columns[4, inner]
    enters, leaves = r + radius, r - radius - 1
    if enters < h:
        _add_row(q[enters], enters - h // 2, 1.0, n, yn, yyn, qs, yq)
    if leaves >= 0:
        _add_row(q[leaves], leaves - h // 2, -1.0, n, yn, yyn, qs, yq)
    if r >= 0:
        _sum_windows(columns, radius, sums)


@_compiled()
def _solve(
    s: FloatArray,
    radius: int,
    intrinsics: Intrinsics,
    nx: FloatArray,
    ny: FloatArray,
    nz: FloatArray,
    inverse_length: FloatArray,
) -> None:
    """Solve a row of plane fits; see `normals` for the formulas.

    Fills the normals and one over their lengths, 0 where there is none.
    """
    fx, fy, px, py = intrinsics
    sn, sx, sy = s[0, radius:], s[1, radius:], s[2, radius:]
    sxx, sxy, syy = s[3, radius:], s[4, radius:], s[5, radius:]
    sq, sqx, sqy = s[6, radius:], s[7, radius:], s[8, radius:]
    for c in range(nx.size):
        n, x, y, q = sn[c], sx[c], sy[c], sq[c]
        xx = n * sxx[c] - x * x
        xy = n * sxy[c] - x * y
        yy = n * syy[c] - y * y
        qx = n * sqx[c] - x * q
        qy = n * sqy[c] - y * q
        det = xx * yy - xy * xy
        a = yy * qx - xy * qy
        b = xx * qy - xy * qx
        z = det * q + a * (n * px - x) + b * (n * py - y)
        a *= n * fx
        b *= n * fy
        length = np.sqrt(a * a + b * b + z * z)
        nx[c] = a
        ny[c] = b
        nz[c] = z
        inverse_length[c] = 1.0 / length if det > 0.0 else 0.0


@_compiled()
def _unit_normals(
    q: FloatArray, radius: int, intrinsics: Intrinsics
) -> tuple[FloatArray, int]:
    """Unit normals of either sign, (3, H, W), 0 where there is none.

    Also returns how many there are.
    """
    h, w = q.shape
    columns = np.zeros((5, w + 3 * radius + 1))
    sums = np.empty((9, w + radius))
    inverse_length = np.empty(w)
    normals = np.empty((3, h, w))
    count = 0
    for r in range(-radius, h):
        _slide(r, q, radius, columns, sums)
        if r < 0:
            continue
        nx, ny, nz = normals[0, r], normals[1, r], normals[2, r]
        _solve(sums, radius, intrinsics, nx, ny, nz, inverse_length)
        for c in range(w):
            nx[c] *= inverse_length[c]
            ny[c] *= inverse_length[c]
            nz[c] *= inverse_length[c]
            count += inverse_length[c] > 0.0
    return normals, count


# The order of a sum of all normals is free: it depends on the processor.
@_compiled(fastmath={'reassoc', 'nsz'})
def _signed_scatter(
    normals: FloatArray, y: FloatArray, cos: float, sin: float
) -> tuple[FloatArray, int]:
    """Sum of N N^T over walls minus floors; how many normals that are.

    Args:
        normals: (3, H, W); zeros count as walls.
        y: Unit vector (3,).
        cos: Floors and ceilings have |y . N| > cos.
        sin: Walls have |y . N| < sin.
    """
    nx, ny, nz = normals[0].ravel(), normals[1].ravel(), normals[2].ravel()
    gx, gy, gz = y[0], y[1], y[2]
    xx = xy = xz = yy = yz = zz = used = 0.0
    for i in range(nx.size):
        a, b, c = nx[i], ny[i], nz[i]
        cosine = abs(gx * a + gy * b + gz * c)
        wall = 1.0 if cosine < sin else 0.0
        floor = 1.0 if cosine > cos else 0.0
        sign = wall - floor
        used += wall + floor
        xx += sign * a * a
        xy += sign * a * b
        xz += sign * a * c
        yy += sign * b * b
        yz += sign * b * c
        zz += sign * c * c
    scatter = np.array(((xx, xy, xz), (xy, yy, yz), (xz, yz, zz)))
    return scatter, int(used)


@_compiled()
def _cosines(
    nx: FloatArray,
    ny: FloatArray,
    nz: FloatArray,
    inverse_length: FloatArray,
    u: FloatArray,
    v: float,
    depth_mm: DepthMap,
    gravity: FloatArray,
    out: FloatArray,
) -> int:
    """Cosine of the angle to gravity in a row, -1 without normal.

    Returns:
        How many normals there are.
    """
    gx, gy, gz = gravity[0], gravity[1], gravity[2]
    count = 0
    for c in range(out.size):
        a, b, z = nx[c], ny[c], nz[c]
        # N . P must not be negative; where it is 0, N_z must not.
        facing = a * u[c] + b * v + z
        facing = z if facing == 0.0 or depth_mm[c] == 0 else facing
        cosine = (gx * a + gy * b + gz * z) * inverse_length[c]
        cosine = -cosine if facing < 0.0 else cosine
        exists = inverse_length[c] > 0.0
        out[c] = cosine if exists else -1.0
        count += exists
    return count


@_compiled()
def _look_up(
    cosines: FloatArray,
    first: NDArray[np.uint8],
    thresholds: FloatArray,
    level: NDArray[np.uint8],
) -> None:
    """Turn a row of cosines into levels; the tables are `_angle_tables`."""
    for c in range(cosines.size):
        cosine = cosines[c]
        k = first[int((1.0 - cosine) * (0.5 * _COSINE_BINS))]
        while cosine <= thresholds[k]:
            k += 1
        level[c] = k


@_compiled()
def _angle_level(
    q: FloatArray,
    depth_mm: DepthMap,
    u: FloatArray,
    v: FloatArray,
    radius: int,
    intrinsics: Intrinsics,
    gravity: FloatArray,
    tables: tuple[NDArray[np.uint8], FloatArray],
) -> tuple[NDArray[np.uint8], int]:
    """Angle channel, and the number of normals."""
    h, w = q.shape
    columns = np.zeros((5, w + 3 * radius + 1))
    sums = np.empty((9, w + radius))
    nx, ny, nz = np.empty(w), np.empty(w), np.empty(w)
    inverse_length, cosine = np.empty(w), np.empty(w)
    level = np.empty((h, w), np.uint8)
    count = 0
    for r in range(-radius, h):
        _slide(r, q, radius, columns, sums)
        if r < 0:
            continue
        _solve(sums, radius, intrinsics, nx, ny, nz, inverse_length)
        count += _cosines(
            nx, ny, nz, inverse_length, u, v[r], depth_mm[r], gravity, cosine
        )
        _look_up(cosine, tables[0], tables[1], level[r])
    return level, count


@_compiled(fastmath={'nnan', 'nsz'})
def _lowest(
    depth_mm: DepthMap, u: FloatArray, v: FloatArray, g: FloatArray
) -> float:
    """Smallest height, cm from the camera."""
    lowest = np.inf
    for r in range(depth_mm.shape[0]):
        rest = g[1] * v[r] + g[2]
        for c in range(depth_mm.shape[1]):
            z = depth_mm[r, c] / 1000.0 * 100.0
            lowest = min(lowest, -(g[0] * u[c] + rest) * z)
    return lowest


@_compiled()
def _height_level(
    depth_mm: DepthMap,
    u: FloatArray,
    v: FloatArray,
    g: FloatArray,
    ground: float,
) -> NDArray[np.uint8]:
    """Height channel above the ground."""
    level = np.empty(depth_mm.shape, np.uint8)
    for r in range(depth_mm.shape[0]):
        rest = g[1] * v[r] + g[2]
        for c in range(depth_mm.shape[1]):
            z = depth_mm[r, c] / 1000.0 * 100.0
            height = -(g[0] * u[c] + rest) * z - ground
            level[r, c] = np.uint8(min(height + 0.5, 255.0))
    return level


def _angle_tables() -> tuple[NDArray[np.uint8], FloatArray]:
    """Tables that turn a cosine into the rounded angle, exactly.

    Level k + 1 begins at the angle k + 0.5 degrees (plus offset), so that
    comparing cosines decides the rounding without an arccos.

    Returns:
        For each bin of the cosine, from 1 to -1, the level at its upper end;
        and for each level the cosine at which the next begins.
    """
    offset = int(ANGLE_OFFSET)
    begins = np.cos(np.radians(np.arange(180) + 0.5))
    # The slack is for the rounding of the bin number.
    upper = 1.0 - np.arange(_COSINE_BINS + 1) * (2 / _COSINE_BINS) + 1e-12
    first = offset + (begins >= upper[:, None]).sum(axis=1)
    never = -2.0
    thresholds = np.concatenate([np.zeros(offset), begins, [never]])
    return first.astype(np.uint8), thresholds


_ANGLE_TABLES = _angle_tables()


class NumbaFrame:
    """A depth map with its camera; does what `NumpyFrame` does.

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
        h, w = depth_mm.shape
        self.depth_mm = depth_mm
        self.inverse = _inverse_depth(depth_mm, valid)
        self.slopes = camera.ray_slopes(h, w)
        centre = camera.cx - 1 - w // 2, camera.cy - 1 - h // 2
        self.intrinsics = camera.fx, camera.fy, *centre

    def gravity(self, initial_gravity: ArrayLike | None) -> GravityEstimate:
        """Estimate gravity; see `estimate_gravity`."""
        normals, num_normals = _unit_normals(
            self.inverse, GRAVITY_RADIUS, self.intrinsics
        )

        def scatter(y: FloatArray, threshold: float) -> tuple[FloatArray, int]:
            return _signed_scatter(
                normals, y, np.cos(threshold), np.sin(threshold)
            )

        missing = self.depth_mm.size - num_normals
        return find_axis(scatter, num_normals, missing, initial_gravity)

    def angle_level(
        self, gravity: FloatArray
    ) -> tuple[NDArray[np.uint8], int]:
        """Encode the angle; see `NumpyFrame.angle_level`."""
        return _angle_level(
            self.inverse,
            self.depth_mm,
            *self.slopes,
            ANGLE_RADIUS,
            self.intrinsics,
            gravity,
            _ANGLE_TABLES,
        )

    def height_level(self, gravity: FloatArray) -> NDArray[np.uint8]:
        """Encode the height; see `NumpyFrame.height_level`."""
        place = self.depth_mm, *self.slopes, height_axis(gravity)
        return _height_level(*place, ground_cm(_lowest(*place)))
