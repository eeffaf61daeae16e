"""The flow image of action detection, and flips of flow.

x, y and magnitude of the flow as three 8-bit channels, with a fixed scale
and centre (``compute_flow.m`` of "Finding Action Tubes", Gkioxari and Malik,
CVPR 2015: 16 levels a pixel about 128). Unlike there, levels are symmetric
about the centre, so that a flip of the image has an exact counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .flow_io import as_flow

__all__ = [
    'FLOW_CENTER',
    'FLOW_SCALE',
    'FlowDiagnostics',
    'check_constants',
    'decode_flow',
    'encode_flow',
    'encode_flow_with_diagnostics',
    'flip_encoded_flow',
    'flip_flow',
    'reverse_components',
]

# Levels per pixel of motion: saturates at 8 pixels, like the authors'.
FLOW_SCALE = 16.0
# Level of no motion.
FLOW_CENTER = 128

_FLIPPED_AXES = {'horizontal': (1,), 'vertical': (0,), 'diagonal': (0, 1)}


@dataclass(frozen=True)
class FlowDiagnostics:
    """What tells a sound flow image from an odd one.

    Attributes:
        num_saturated: Pixels whose motion is beyond the range of the image.
        num_unknown: Pixels without flow, encoded as no motion.
        num_pixels: All pixels.
        largest: Largest motion, pixels.
    """

    num_saturated: int
    num_unknown: int
    num_pixels: int
    largest: float


def encode_flow(
    flow: ArrayLike,
    *,
    scale: float = FLOW_SCALE,
    center: int = FLOW_CENTER,
) -> NDArray[np.uint8]:
    """Encode flow as an image of x, y and magnitude.

    Channel values are ``center + round(scale * value)``, half a level being
    rounded away from the centre, and saturate at the same distance on either
    side of it. With the defaults that are the levels 1 to 255, i.e. motions
    up to 7.9 pixels. Then the encoding of flipped flow is the flipped
    encoding, see `flip_encoded_flow`. The authors round half a level up and
    also use level 0; magnitudes and all other levels are theirs.

    Args:
        flow: (H, W, 2) flow in pixels, x to the right and y down; NaN where
            it is not known, which becomes no motion.
        scale: Levels per pixel of motion.
        center: Level of no motion, in all three channels.

    Returns:
        uint8 (H, W, 3): x, y, magnitude. ``cv2.imwrite`` stores x as blue;
        ``cv2.imread`` and ``LoadImageFromFile`` give the same order back.

    Raises:
        ValueError: The input is no flow, or the constants are out of range.
    """
    return encode_flow_with_diagnostics(flow, scale=scale, center=center)[0]


def encode_flow_with_diagnostics(
    flow: ArrayLike,
    *,
    scale: float = FLOW_SCALE,
    center: int = FLOW_CENTER,
) -> tuple[NDArray[np.uint8], FlowDiagnostics]:
    """Encode flow as an image and report on it; see `encode_flow`."""
    limit = check_constants(scale, center)
    vectors = as_flow(flow)
    # Elementwise IEEE operations: a pixel's level does not depend on where
    # in the image it is, as it would with fused SIMD loops.
    motion = np.empty((3, *vectors.shape[:2]))
    x, y, magnitude = motion
    x[:], y[:] = vectors[..., 0], vectors[..., 1]
    np.sqrt(x * x + y * y, out=magnitude)
    unknown = np.isnan(magnitude)
    num_unknown = int(np.count_nonzero(unknown))
    if num_unknown == unknown.size:
        raise ValueError('flow has no known pixel: all are NaN')
    if num_unknown:
        motion[:, unknown] = 0
    largest = float(magnitude.max())

    motion *= scale
    saturated = int(np.count_nonzero(magnitude >= limit + 0.5))
    np.clip(motion, -limit, limit, out=motion)
    # The conversion to integers cuts towards 0.
    motion += np.copysign(0.5, motion)
    levels = motion.astype(np.int16) + np.int16(center)
    image = np.asarray(cv2.merge(list(levels.astype(np.uint8))), np.uint8)
    return image, FlowDiagnostics(
        num_saturated=saturated,
        num_unknown=num_unknown,
        num_pixels=unknown.size,
        largest=largest,
    )


def check_constants(scale: float, center: int) -> int:
    """Check the constants of an encoding.

    Returns:
        Levels on either side of the centre.

    Raises:
        ValueError: A constant is out of range.
    """
    if not scale > 0 or not np.isfinite(scale):
        raise ValueError(
            f'scale must be positive levels per pixel, found {scale}'
        )
    if center != int(center) or not 1 <= center <= 254:
        raise ValueError(
            f'center must be a whole level from 1 to 254, found {center}'
        )
    return int(min(center, 255 - center))


def decode_flow(
    image: ArrayLike,
    *,
    scale: float = FLOW_SCALE,
    center: int = FLOW_CENTER,
) -> NDArray[np.float32]:
    """Take the flow from a flow image.

    Args:
        image: uint8 (H, W, 3): x, y, magnitude.
        scale: As in the encoding.
        center: As in the encoding.

    Returns:
        float32 (H, W, 2), within half a level of the flow encoded; the
        motion of saturated pixels is larger than that.

    Raises:
        ValueError: The input is no flow image, or the constants are out of
            range.
    """
    check_constants(scale, center)
    levels = _as_image(image)[..., :2].astype(np.float32)
    return (levels - np.float32(center)) / np.float32(scale)


def _as_image(image: ArrayLike) -> NDArray[np.uint8]:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(
            'a flow image is uint8 (H, W, 3), found '
            f'{array.dtype} of shape {array.shape}'
        )
    return array


def flip_flow(
    flow: ArrayLike, direction: str = 'horizontal'
) -> NDArray[np.float32]:
    """Flip flow: move the pixels and negate the components that turn round.

    Args:
        flow: (H, W, 2) flow in pixels.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'`` (both).

    Returns:
        float32 (H, W, 2), a new array: flow of the flipped frames.

    Raises:
        ValueError: The input is no flow, or the direction is not known.
    """
    flipped = _flip(as_flow(flow), direction)
    reverse_components(flipped, direction, 0)
    return flipped


def flip_encoded_flow(
    image: ArrayLike, direction: str = 'horizontal', center: int = FLOW_CENTER
) -> NDArray[np.uint8]:
    """Flip a flow image.

    Equal, bit for bit, to the encoding of the flipped flow:
    ``flip_encoded_flow(encode_flow(flow)) == encode_flow(flip_flow(flow))``.

    Args:
        image: uint8 (H, W, 3): x, y, magnitude.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'`` (both).
        center: As in the encoding.

    Returns:
        uint8 (H, W, 3), a new array.

    Raises:
        ValueError: The input is no flow image, or the direction is not known.
    """
    flipped = _flip(_as_image(image), direction)
    reverse_components(flipped, direction, center)
    return flipped


def _flip(array: NDArray, direction: str) -> NDArray:
    if direction not in _FLIPPED_AXES:
        raise ValueError(
            f'direction must be one of {", ".join(_FLIPPED_AXES)}, found '
            f'{direction!r}'
        )
    return np.flip(array, _FLIPPED_AXES[direction]).copy()


def reverse_components(image: NDArray, direction: str, center: int) -> None:
    """Turn round, in place, the components that a flip reverses.

    x becomes ``2 * center - x`` in a horizontal or diagonal flip, y likewise
    in a vertical or diagonal one; pixels stay where they are.

    Args:
        image: (H, W, C) of any dtype; channel 0 is x, channel 1 is y.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'``.
        center: Level of no motion of a flow image, 0 for flow in pixels.
    """
    for axis in _FLIPPED_AXES[direction]:
        component = image[..., 1 - axis]
        if image.dtype == np.uint8:
            mirrored = np.clip(2 * center - np.arange(256), 0, 255)
            component[:] = mirrored.astype(np.uint8)[component]
        else:
            np.subtract(2 * center, component, out=component)
