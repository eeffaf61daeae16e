"""Optical flow by torchvision's RAFT."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

__all__ = ['raft_flow']

# Features have 1/8 of the resolution; their correlation pyramid needs 16
# cells a side.
_STRIDE = 8
_MIN_SIDE = 128


def raft_flow(
    first: NDArray[np.uint8], second: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Compute the flow of two frames by ``raft_large``.

    Frames are padded with their border to what the network takes.

    Args:
        first: uint8 (H, W) grey or (H, W, 3) BGR frame.
        second: The later frame, of the same size.

    Returns:
        float32 (H, W, 2), pixels.

    Raises:
        ImportError: torchvision is not installed, or for another PyTorch.
        OSError: The weights are not there and cannot be downloaded.
    """
    network, device = _network()
    height, width = first.shape[:2]
    left, right = _padding(width)
    top, bottom = _padding(height)
    frames = [
        functional.pad(
            _as_input(frame).to(device),
            (left, right, top, bottom),
            'replicate',
        )
        for frame in (first, second)
    ]
    with torch.inference_mode():
        flow = network(*frames)[-1][0]
    flow = flow[:, top : top + height, left : left + width]
    return np.ascontiguousarray(flow.permute(1, 2, 0).cpu().numpy())


def _padding(side: int) -> tuple[int, int]:
    missing = max(_MIN_SIDE, -(-side // _STRIDE) * _STRIDE) - side
    return missing // 2, missing - missing // 2


def _as_input(frame: NDArray[np.uint8]) -> Tensor:
    """Turn a frame into an RGB tensor (1, 3, H, W) from -1 to 1."""
    code = cv2.COLOR_GRAY2RGB if frame.ndim == 2 else cv2.COLOR_BGR2RGB
    pixels = torch.from_numpy(cv2.cvtColor(frame, code))
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


@cache
def _network() -> tuple[Any, str]:
    try:
        from torchvision.models import optical_flow
    except (ImportError, RuntimeError) as error:  # absent, or unfit
        raise ImportError(
            f"method 'raft' needs a torchvision that fits PyTorch "
            f'{torch.__version__} ({error}): pip install torchvision, or use '
            "method 'dis'"
        ) from error
    weights = optical_flow.Raft_Large_Weights.DEFAULT
    try:
        network = optical_flow.raft_large(weights=weights)
    except OSError as error:
        raise OSError(
            f'the weights of RAFT cannot be downloaded ({error}): put '
            f'{weights.url} into {torch.hub.get_dir()}/checkpoints, or use '
            "method 'dis'"
        ) from error
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return network.eval().to(device), device
