"""Gravity direction from surface normals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .constants import (
    EIGEN_TIE,
    GRAVITY_ITERATIONS,
    GRAVITY_THRESHOLDS,
    SIGN_BREAKER,
    SIGN_TIE,
)

__all__ = [
    'GravityEstimate',
    'estimate_gravity',
    'find_axis',
    'tilt_degrees',
    'unit_vector',
]

FloatArray = NDArray[np.float64]

DOWN = np.array([0.0, 1.0, 0.0])
DOWN.setflags(write=False)

# Axis and threshold (radians) to the sum of N N^T over the walls minus that
# over floors and ceilings, and the number of both; missing normals, which are
# zero, count as walls.
Scatter: TypeAlias = Callable[[FloatArray, float], tuple[FloatArray, int]]

# Normals per block: the temporaries stay in the cache.
_BLOCK = 81920


@dataclass(frozen=True, eq=False)
class GravityEstimate:
    """Gravity direction and how well the normals determine it.

    Attributes:
        gravity: Unit vector pointing down, camera axes (x right, y down, z
            forward), float64 (3,).
        eigen_gap: Difference of the two smallest eigenvalues in the last
            iteration per normal used: 0.4-0.8 on real frames, 0 without
            normals, and below 1e-5 the direction is not determined.
        num_normals: Normals available to the estimate.
    """

    gravity: FloatArray
    eigen_gap: float
    num_normals: int

    @property
    def tilt_degrees(self) -> float:
        """Angle between gravity and the camera's y axis, degrees."""
        return tilt_degrees(self.gravity)


def tilt_degrees(gravity: FloatArray) -> float:
    """Return the angle between a unit vector and the camera's y axis."""
    return float(np.degrees(np.arccos(np.clip(gravity[1], -1.0, 1.0))))


def unit_vector(vector: ArrayLike, name: str) -> FloatArray:
    """Return a 3-vector at unit length.

    Raises:
        ValueError: It is not three finite numbers, or zero.
    """
    array = np.asarray(vector, dtype=np.float64)
    if array.shape != (3,) or not np.isfinite(array).all() or not array.any():
        raise ValueError(
            f'{name} must be a non-zero vector of 3 finite numbers (x right, '
            f'y down, z forward), found {vector!r}'
        )
    return array / np.linalg.norm(array)


def estimate_gravity(
    normals: FloatArray, initial_gravity: ArrayLike | None = None
) -> GravityEstimate:
    """Estimate gravity as the axis of floors and the plane of walls.

    ``getYDir`` of rgbdutils: normals within a threshold of the current axis
    are floor or ceiling, those within it of the perpendicular plane are
    walls, and the axis is moved to the eigenvector that fits both best; five
    iterations at 45 degrees, then five at 15. Tilts beyond 45 degrees from
    the initial direction therefore end at a wrong axis. Where the original
    becomes the zero vector or an arbitrary one (no normals, equal
    eigenvalues) the previous direction is kept, and where the sign of the
    new one is arbitrary (a right angle to the previous one) it is fixed.

    Args:
        normals: Unit normals (3, ...) of either sign, zero where missing.
        initial_gravity: Direction to start from, e.g. of an IMU; (0, 1, 0)
            by default.

    Raises:
        ValueError: The initial direction is not a vector.
    """
    flat = normals.reshape(3, -1)
    # Squared lengths are 1 or 0.
    num_normals = round(float(np.vdot(flat, flat)))
    missing = flat.shape[1] - num_normals
    scatter = _SignedScatter(flat).update
    return find_axis(scatter, num_normals, missing, initial_gravity)


def find_axis(
    scatter: Scatter,
    num_normals: int,
    missing: int,
    initial_gravity: ArrayLike | None,
) -> GravityEstimate:
    """Iterate from the initial direction to the axis of the normals.

    Args:
        scatter: Sums over the normals.
        num_normals: Number of them.
        missing: Number of zeros among them.
        initial_gravity: See `estimate_gravity`.
    """
    y = DOWN.copy()
    if initial_gravity is not None:
        y = unit_vector(initial_gravity, 'initial_gravity')
    for threshold in np.radians(GRAVITY_THRESHOLDS).repeat(GRAVITY_ITERATIONS):
        matrix, used = scatter(y, threshold)
        used -= missing
        gap = 0.0
        if used:
            values, vectors = np.linalg.eigh(matrix)
            gap = float(values[1] - values[0]) / used
        if gap > EIGEN_TIE:
            axis = vectors[:, 0]
            ahead = axis @ y
            if abs(ahead) < SIGN_TIE:
                ahead = axis @ SIGN_BREAKER
            y = axis if ahead >= 0 else -axis
    return GravityEstimate(y, gap, num_normals)


class _SignedScatter:
    """Sum of N N^T over the walls minus that over floors and ceilings.

    Few normals change class from one direction to the next, so only those
    that do are added or subtracted.

    Args:
        normals: (3, n).
    """

    def __init__(self, normals: FloatArray) -> None:
        self.normals = normals
        self.sign = np.zeros(normals.shape[1], dtype=np.int8)
        self.matrix = np.zeros((3, 3))

    def update(
        self, y: FloatArray, threshold: float
    ) -> tuple[FloatArray, int]:
        """Return the matrix and the number of normals in either class."""
        used = 0
        for start in range(0, self.sign.size, _BLOCK):
            block = slice(start, start + _BLOCK)
            normals, sign = self.normals[:, block], self.sign[block]
            cosine = y @ normals
            np.abs(cosine, out=cosine)
            wall = cosine < np.sin(threshold)
            floor = cosine > np.cos(threshold)
            new = np.subtract(wall, floor, dtype=np.int8)
            used += np.count_nonzero(new)
            change = new - sign
            changes = change != 0
            # Gathering does not pay if many normals change.
            if np.count_nonzero(changes) < change.size // 8:
                index = np.flatnonzero(changes)
                normals, change = normals.take(index, axis=1), change[index]
            self.matrix += (normals * change.astype(np.float64)) @ normals.T
            sign[:] = new
        return self.matrix, used
