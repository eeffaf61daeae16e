"""A depth camera with the errors of the first Kinect."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

# First Kinect: baseline in metres, focal length in pixels of its 640 columns,
# steps per pixel of disparity. One step is z^2 / 348 m: 2.6 cm at 3 m.
_BASELINE, _FOCAL, _STEPS = 0.075, 580.0, 8.0
# Standard deviation of depth is 1.4 mm * (z / 1 m)^2 (about half a step).
_NOISE = 0.0014
_RANGE = (0.45, 8.0)


def simulate_kinect(
    depth: NDArray[np.float32],
    cosine: NDArray[np.float32],
    dropout: NDArray[np.float32],
    fx: float,
    rng: Generator,
) -> NDArray[np.uint16]:
    """Measure a true depth map.

    Noise grows with the square of depth, depth is a whole number of
    disparity steps, and there is no measurement in the shadow of the
    projector, at depth edges, on surfaces seen at a grazing angle, on
    dark, specular or sunlit surfaces, and out of range.

    Args:
        depth (ndarray): (H, W) true depth, metres.
        cosine (ndarray): (H, W) cosine between normal and viewing ray.
        dropout (ndarray): (H, W) fraction of the surface without depth.
        fx (float): Focal length of this image, pixels.
        rng (np.random.Generator): Source of randomness.

    Returns:
        ndarray: (H, W) uint16 depth in millimetres, 0 = missing.
    """
    z = _displace(depth, rng)
    noise = cv2.GaussianBlur(
        rng.standard_normal(depth.shape, np.float32), (3, 3), 0.7
    )
    noise = noise / noise.std()
    z = z + _NOISE * noise * z**2
    unit = _FOCAL * _BASELINE * _STEPS
    z = unit / np.maximum(np.rint(unit / np.maximum(z, 0.1)), 1)

    missing = _projector_shadow(depth, fx)
    blobs = _unit_noise(depth.shape, 2.5, rng)
    missing |= blobs < dropout
    missing |= cosine < 0.08 + 0.12 * blobs
    edge = _edges(depth)
    missing |= edge & (rng.random(depth.shape, np.float32) < 0.6)
    far = np.clip((depth - 4.0) / 5.0, 0, 1)
    missing |= _unit_noise(depth.shape, 1.5, rng) < 0.7 * far
    missing |= rng.random(depth.shape, np.float32) < 0.004
    missing |= (depth < _RANGE[0]) | (depth > _RANGE[1])
    out = np.clip(np.rint(1000 * z), 1, 65535).astype(np.uint16)
    out[missing] = 0
    return out


def fill_holes(raw: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Inpaint missing depth.

    Args:
        raw (ndarray): (H, W) depth in millimetres, 0 = missing.

    Returns:
        ndarray: (H, W) uint16 depth without zeros; measured pixels keep
        their value.

    Raises:
        ValueError: If nothing was measured at all.
    """
    missing = raw == 0
    if missing.all():
        raise ValueError(
            'Depth map without any measurement; there is '
            'nothing to inpaint from.'
        )
    filled = cv2.inpaint(raw, missing.astype(np.uint8), 3, cv2.INPAINT_NS)
    low, high = raw[~missing].min(), raw.max()
    return np.where(missing, np.clip(filled, low, high), raw)


def _displace(
    depth: NDArray[np.float32], rng: Generator
) -> NDArray[np.float32]:
    """Read depth up to a pixel off: object outlines are ragged."""
    height, width = depth.shape
    shift = rng.normal(0, 0.45, (2, height, width)).round().astype(np.intp)
    rows = np.clip(np.arange(height)[:, None] + shift[0], 0, height - 1)
    columns = np.clip(np.arange(width) + shift[1], 0, width - 1)
    moved = depth[rows, columns]
    # Only outlines: a slanted surface must not become rough.
    return np.where(np.abs(moved - depth) > 0.05 * depth, moved, depth)


def _projector_shadow(
    depth: NDArray[np.float32], fx: float
) -> NDArray[np.bool_]:
    """Points that the projector, right of the camera, cannot reach."""
    column = np.arange(depth.shape[1]) - fx * _BASELINE / depth
    least = np.minimum.accumulate(column[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(column > least + 0.5)


def _edges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel)
    return np.asarray(spread > 0.08 * depth)


def _unit_noise(
    shape: tuple[int, ...], sigma: float, rng: Generator
) -> NDArray[np.float32]:
    """Smooth noise, about uniform in 0..1."""
    noise = cv2.GaussianBlur(
        rng.standard_normal(shape, np.float32), (0, 0), sigma
    )
    noise = noise / noise.std()
    return (1 / (1 + np.exp(-1.7 * noise))).astype(np.float32)
