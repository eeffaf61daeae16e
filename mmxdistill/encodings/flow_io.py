"""Flow files: Middlebury ``.flo`` and KITTI's 16-bit PNG.

Written here because OpenCV and mmcv say neither why a file cannot be read
nor which of its pixels are unknown.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmxdistill.atomic import atomic_write
from mmxdistill.png import PNG_TAG, check_png

__all__ = ['as_flow', 'flow_from_bytes', 'read_flow', 'write_flow']

# 202021.25 as little-endian float32.
_FLO_TAG = b'PIEH'
_FLO_HEADER = 12
_FLO_MAX_SIDE = 99999
# Middlebury: a component beyond the first is not known; the second marks it.
_UNKNOWN_ABOVE = 1e9
_UNKNOWN = 1e10

# KITTI: levels per pixel and level of no motion.
_KITTI_SCALE = 64.0
_KITTI_CENTER = 2.0**15


def as_flow(flow: ArrayLike) -> NDArray[np.float32]:
    """Check flow and return it as float32.

    Args:
        flow: (H, W, 2) flow in pixels, any real dtype but bytes; NaN where
            it is not known.

    Returns:
        float32 (H, W, 2); the input itself if it already is that.

    Raises:
        ValueError: Wrong shape or dtype, empty, infinite, or with the
            markers of unknown pixels of a ``.flo`` file.
    """
    array = np.asarray(flow)
    if array.ndim != 3 or array.shape[2] != 2 or not array.size:
        raise ValueError(
            'flow must be a non-empty (H, W, 2) array, found shape '
            f'{array.shape}'
        )
    if array.dtype.kind not in 'if' or array.dtype.itemsize == 1:
        raise ValueError(
            f'flow must hold pixels of motion, found dtype {array.dtype}; '
            'flow images are decoded by decode_flow'
        )
    with np.errstate(over='ignore'):  # becomes infinite, and is found below
        array = array.astype(np.float32, copy=False)
    beyond = np.abs(array) > _UNKNOWN_ABOVE  # false for NaN
    if beyond.any():
        count = np.count_nonzero(beyond.any(axis=2))
        raise ValueError(
            f'flow has {count} pixels that are infinite or beyond '
            f'{_UNKNOWN_ABOVE:g}, which marks unknown ones in .flo files: set '
            'them to NaN, or read the file with read_flow'
        )
    return array


def read_flow(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read a ``.flo`` file or a KITTI flow PNG, told apart by content.

    Args:
        path: The file.

    Returns:
        float32 (H, W, 2) flow in pixels, x to the right and y down; both
        NaN where it is not known.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: It is no flow file, or is truncated.
    """
    return flow_from_bytes(Path(path).read_bytes(), str(path))


def flow_from_bytes(content: bytes, name: str) -> NDArray[np.float32]:
    """Decode the content of a flow file; see `read_flow`.

    Args:
        content: The bytes.
        name: What error messages call the file.
    """
    if content.startswith(_FLO_TAG):
        return _from_flo(content, name)
    if content.startswith(PNG_TAG):
        return _from_kitti(content, name)
    raise ValueError(
        f"'{name}' is no flow file: it begins with {content[:4]!r} and is "
        f'neither .flo (tag {_FLO_TAG!r}) nor PNG'
    )


def _from_flo(content: bytes, name: str) -> NDArray[np.float32]:
    header = np.frombuffer(content[4:_FLO_HEADER].ljust(8, b'\0'), '<i4')
    width, height = map(int, header)
    if not (1 <= width <= _FLO_MAX_SIDE and 1 <= height <= _FLO_MAX_SIDE):
        raise ValueError(
            f"'{name}' is damaged: its header says {width}x{height} pixels"
        )
    wanted = _FLO_HEADER + 8 * width * height
    if len(content) != wanted:
        state = 'truncated' if len(content) < wanted else 'damaged'
        raise ValueError(
            f"'{name}' is {state}: {width}x{height} pixels take {wanted} "
            f'bytes, but it has {len(content)}'
        )
    stored = np.frombuffer(content, '<f4', offset=_FLO_HEADER)
    flow = stored.reshape(height, width, 2).astype(np.float32)
    # Not <= is also true for NaN, which other programs write.
    flow[~(np.abs(flow) <= _UNKNOWN_ABOVE).all(axis=2)] = np.nan
    return flow


def _from_kitti(content: bytes, name: str) -> NDArray[np.float32]:
    check_png(content, name)
    stored = cv2.imdecode(
        np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED
    )
    if stored is None:
        raise ValueError(f"'{name}' is damaged: OpenCV cannot decode the PNG")
    if stored.dtype != np.uint16 or stored.ndim != 3 or stored.shape[2] != 3:
        raise ValueError(
            f"'{name}' is no KITTI flow, which is a 16-bit PNG of 3 channels: "
            f'found {stored.dtype} of shape {stored.shape}; an 8-bit flow '
            'image is loaded like any image'
        )
    if b'eXIf' in content:
        turned = cv2.imdecode(
            np.frombuffer(content, np.uint8),
            cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR,
        )
        if turned is None or not np.array_equal(turned, stored):
            raise ValueError(
                f"'{name}' has an EXIF orientation, which would turn the "
                'image but not its vectors: store it upright'
            )
    # OpenCV's order: valid, y, x.
    flow = (stored[..., :0:-1] - np.float32(_KITTI_CENTER)) / _KITTI_SCALE
    flow[stored[..., 0] == 0] = np.nan
    return np.ascontiguousarray(flow, np.float32)


def write_flow(path: str | os.PathLike[str], flow: ArrayLike) -> None:
    """Write flow as ``.flo`` (exact) or as KITTI PNG (to 1/128 pixel).

    The file appears only when it is complete.

    Args:
        path: The file; its suffix, ``.flo`` or ``.png``, tells the format.
        flow: (H, W, 2) flow in pixels, NaN in a component where it is not
            known.

    Raises:
        ValueError: The input is no flow, another suffix, or motion beyond
            512 pixels in a PNG.
    """
    encoders = {'.flo': _to_flo, '.png': _to_kitti}
    suffix = Path(path).suffix.lower()
    if suffix not in encoders:
        raise ValueError(
            f"'{path}': the suffix must be one of {', '.join(encoders)}"
        )
    array = as_flow(flow)
    unknown = np.asarray(np.isnan(array).any(axis=2))
    content = encoders[suffix](array, unknown)
    with atomic_write(path) as file:
        file.write(content)


def _to_flo(flow: NDArray[np.float32], unknown: NDArray[np.bool_]) -> bytes:
    header = np.array(flow.shape[1::-1], '<i4').tobytes()
    stored = np.where(unknown[..., None], np.float32(_UNKNOWN), flow)
    return _FLO_TAG + header + stored.astype('<f4').tobytes()


def _to_kitti(flow: NDArray[np.float32], unknown: NDArray[np.bool_]) -> bytes:
    level = np.rint(flow.astype(np.float64) * _KITTI_SCALE + _KITTI_CENTER)
    level[unknown] = 0
    if level.min() < 0 or level.max() > np.iinfo(np.uint16).max:
        raise ValueError(
            f'motion of up to {np.nanmax(np.abs(flow)):.0f} pixels does not '
            'fit into a KITTI PNG, which ends at 512: write .flo'
        )
    stored = np.zeros((*unknown.shape, 3), np.uint16)
    stored[..., 2] = level[..., 0]
    stored[..., 1] = level[..., 1]
    stored[..., 0] = ~unknown
    return cv2.imencode('.png', stored)[1].tobytes()
