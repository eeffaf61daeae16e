"""Optical flow of two frames."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['FLOW_METHODS', 'compute_flow']

Bytes = NDArray[np.uint8]
FloatArray = NDArray[np.float32]

# Inverse search works at half resolution in 8 x 8 patches; below that,
# OpenCV 4.12 reads outside the image and may crash.
_DIS_MIN_SIDE = 16
_MIRROR = np.array([-1, 1], np.float32)


def compute_flow(
    first: ArrayLike,
    second: ArrayLike,
    method: str = 'dis',
    *,
    symmetric: bool = True,
) -> FloatArray:
    """Compute the optical flow from one frame to the next.

    The same frames give the same flow, for any number of threads.

    Args:
        first: uint8 (H, W) grey or (H, W, 3) BGR frame.
        second: The later frame, of the same size.
        method: ``'dis'`` (dense inverse search, OpenCV's medium preset),
            ``'farneback'`` (OpenCV), or ``'raft'`` (torchvision's
            ``raft_large``, on the GPU if there is one).
        symmetric: Average with the flow of the mirrored frames, mirrored
            back. Then the flow of a mirrored pair *is* the mirrored flow,
            bit for bit on the CPU, so that flipping stored flow and
            flipping frames are the same augmentation. Takes twice the time.

    Returns:
        float32 (H, W, 2): pixels by which a point of the first frame has
        moved, x to the right and y down.

    Raises:
        ValueError: The frames are no uint8 images, differ in size, are
            smaller than 16 x 16 pixels (DIS), or the method is not known.
        ImportError: ``'raft'`` without torchvision.
    """
    if method not in FLOW_METHODS:
        raise ValueError(
            f'method must be one of {", ".join(FLOW_METHODS)}, '
            f'found {method!r}'
        )
    frames = _as_frame(first, 'first'), _as_frame(second, 'second')
    sizes = [f'{frame.shape[1]}x{frame.shape[0]}' for frame in frames]
    if sizes[0] != sizes[1]:
        raise ValueError(
            'the frames must have the same size: first is '
            f'{sizes[0]}, second {sizes[1]} pixels'
        )
    call = FLOW_METHODS[method]
    flow = call(*frames)
    if symmetric:
        mirrored = call(*(np.ascontiguousarray(f[:, ::-1]) for f in frames))
        flow = (flow + mirrored[:, ::-1] * _MIRROR) * np.float32(0.5)
    return flow


def _as_frame(frame: ArrayLike, name: str) -> Bytes:
    array = np.asarray(frame)
    shape_fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)
    if array.dtype != np.uint8 or not shape_fits or not array.size:
        raise ValueError(
            f'the {name} frame must be a uint8 image, (H, W) or (H, W, 3) in '
            f'BGR, found {array.dtype} of shape {array.shape}'
        )
    return np.ascontiguousarray(array)


def _grey(frame: Bytes) -> Bytes:
    if frame.ndim == 2:
        return frame
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)


def _dis(first: Bytes, second: Bytes) -> FloatArray:
    if min(first.shape[:2]) < _DIS_MIN_SIDE:
        raise ValueError(
            f"method 'dis' needs frames of at least {_DIS_MIN_SIDE} x "
            f'{_DIS_MIN_SIDE} pixels, found {first.shape[1]}x'
            f'{first.shape[0]}; enlarge them'
        )
    # A new object every time: an old one starts from its last flow.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(_grey(first), _grey(second), None)  # type: ignore
    return np.asarray(flow, np.float32)


def _farneback(first: Bytes, second: Bytes) -> FloatArray:
    flow = cv2.calcOpticalFlowFarneback(
        _grey(first),
        _grey(second),
        None,  # type: ignore
        pyr_scale=0.5,
        levels=5,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.1,
        flags=0,
    )
    return np.asarray(flow, np.float32)


def _raft(first: Bytes, second: Bytes) -> FloatArray:
    # Loads PyTorch, which the other methods do without.
    from .flow_raft import raft_flow

    return raft_flow(first, second)


FLOW_METHODS: dict[str, Callable[[Bytes, Bytes], FloatArray]] = {
    'dis': _dis,
    'farneback': _farneback,
    'raft': _raft,
}
