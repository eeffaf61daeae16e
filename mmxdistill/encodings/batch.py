"""HHA of batches of depth maps in PyTorch, on the CPU or a GPU.

The formulas are those of `normals`, `gravity` and `frame`, in float64 and on
whole batches: N = frames, H x W = the largest frame; smaller ones are padded
at the right and bottom with missing pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional

from .batch_input import Frames, check_and_stack, directions
from .camera import CameraLike, PinholeCamera
from .constants import (
    ANGLE_OFFSET,
    ANGLE_RADIUS,
    DEFAULT_CAMERA_HEIGHT,
    DISPARITY_SCALE,
    EIGEN_TIE,
    GRAVITY_ITERATIONS,
    GRAVITY_RADIUS,
    GRAVITY_THRESHOLDS,
    MIN_CAMERA_HEIGHT,
    MIN_DEPTH_CM,
    MIN_TILT,
    NO_NORMAL_LEVEL,
    SIGN_BREAKER,
    SIGN_TIE,
)
from .gravity import DOWN

__all__ = ['BatchGravity', 'HHAEncoder']


class BatchGravity(NamedTuple):
    """Gravity of each frame, as `GravityEstimate`.

    Attributes:
        gravity: Unit vectors, float64 (N, 3).
        eigen_gap: float64 (N,); 0 if gravity was given.
        num_normals: Normals available to the estimate, int64 (N,); 0 if
            gravity was given.
    """

    gravity: Tensor
    eigen_gap: Tensor
    num_normals: Tensor


class HHAEncoder(nn.Module):
    """Encode depth maps as `encode_hha` does, a batch at a time.

    There are no parameters and no gradients; the maps are encoded on the
    device they are on. All arithmetic that decides a grey level is float64,
    so that the result is that of `encode_hha`.

    Args:
        camera: Camera of all frames, see `PinholeCamera.from_any`; None if
            every call brings its own.
    """

    def __init__(self, camera: CameraLike | None = None) -> None:
        super().__init__()
        self.camera = (
            None if camera is None else PinholeCamera.from_any(camera)
        )

    def forward(
        self,
        depth_mm: Frames,
        raw_depth_mm: Frames | None = None,
        cameras: Sequence[CameraLike] | None = None,
        *,
        initial_gravity: ArrayLike | None = None,
        gravity: ArrayLike | None = None,
    ) -> Frames:
        """Encode a batch.

        Args:
            depth_mm: (N, H, W), or a list of (H, W) of any sizes: depth in
                millimetres, holes filled if possible; 0 = missing. Any real
                dtype of more than 8 bits; fractions count.
            raw_depth_mm: Like ``depth_mm``: 0 where depth was not measured.
                By default every positive depth is measured.
            cameras: Camera of each frame. By default that of the encoder.
            initial_gravity: (3,) or (N, 3), see `encode_hha`.
            gravity: Known gravity, (3,) or (N, 3); nothing is estimated.

        Returns:
            uint8 (N, 3, H, W), or a list of (3, H, W): angle, height,
            disparity.

        Raises:
            ValueError: See `encode_hha`; the message names the frame.
        """
        return self.encode_with_gravity(
            depth_mm,
            raw_depth_mm,
            cameras,
            initial_gravity=initial_gravity,
            gravity=gravity,
        )[0]

    @torch.no_grad()
    def encode_with_gravity(
        self,
        depth_mm: Frames,
        raw_depth_mm: Frames | None = None,
        cameras: Sequence[CameraLike] | None = None,
        *,
        initial_gravity: ArrayLike | None = None,
        gravity: ArrayLike | None = None,
    ) -> tuple[Frames, BatchGravity]:
        """Encode a batch and report on gravity; see `forward`."""
        if gravity is not None and initial_gravity is not None:
            raise ValueError(
                'give gravity (known) or initial_gravity (start of the '
                'estimate), not both'
            )
        depth, valid, sizes = check_and_stack(depth_mm, raw_depth_mm)
        frames = _Frames(depth, valid, self._cameras(cameras, sizes), sizes)
        n = len(sizes)
        if gravity is None:
            start = directions(initial_gravity, n, 'initial_gravity')
            found = frames.estimate_gravity(start.to(depth.device))
        else:
            down = directions(gravity, n, 'gravity').to(depth.device)
            none = torch.zeros(n, device=depth.device)
            found = BatchGravity(down, none.double(), none.long())
        hha = frames.encode(found.gravity)
        if isinstance(depth_mm, Tensor):
            return hha, found
        cut = [
            image[:, :h, :w] for image, (h, w) in zip(hha, sizes, strict=True)
        ]
        return cut, found

    def _cameras(
        self,
        cameras: Sequence[CameraLike] | None,
        sizes: list[tuple[int, int]],
    ) -> list[PinholeCamera]:
        if cameras is None:
            if self.camera is None:
                raise ValueError(
                    'HHAEncoder needs a camera: give HHAEncoder(camera=...), '
                    'or cameras=[...], one per frame'
                )
            cameras = [self.camera] * len(sizes)
        if len(cameras) != len(sizes):
            raise ValueError(
                f'{len(sizes)} frames need as many cameras, found '
                f'{len(cameras)}'
            )
        built = [PinholeCamera.from_any(camera) for camera in cameras]
        for camera, size in zip(built, sizes, strict=True):
            camera.check_fits(*size)
        return built


class _Frames:
    """A checked batch.

    Args:
        depth: Millimetres, float64 (N, H, W), 0 in the padding.
        valid: bool (N, H, W), the pixels that take part in the normals.
        cameras: N intrinsics.
        sizes: N sizes (h, w).
    """

    def __init__(
        self,
        depth: Tensor,
        valid: Tensor,
        cameras: list[PinholeCamera],
        sizes: list[tuple[int, int]],
    ) -> None:
        _, height, width = depth.shape
        values = [(c.fx, c.fy, c.cx, c.cy) for c in cameras]
        table = torch.tensor(values, dtype=torch.float64).to(depth.device)
        # (N, 1, 1) each.
        self.fx, self.fy, cx, cy = table.T[..., None, None]
        columns = torch.arange(width, device=depth.device).double()
        rows = torch.arange(height, device=depth.device).double()[:, None]
        self.u = (columns + 1 - cx) / self.fx  # (N, 1, W)
        self.v = (rows + 1 - cy) / self.fy  # (N, H, 1)
        # The plane fit may count pixels from anywhere: from the middle the
        # sums are smallest.
        self.x, self.px = columns - width // 2, cx - 1 - width // 2
        self.y, self.py = rows - height // 2, cy - 1 - height // 2
        self.inside: Tensor | None = None
        if set(sizes) != {(height, width)}:
            ends = torch.tensor(sizes, device=depth.device)[..., None, None]
            self.inside = (rows < ends[:, 0]) & (columns < ends[:, 1])
        self.at_camera = depth == 0
        self.z = depth / 1000.0 * 100.0
        self.valid = valid
        self.inverse = torch.where(valid, 1.0 / self.z, 0.0)

    def _normals(self, radius: int) -> tuple[Tensor, Tensor]:
        """Fit planes; see `normals` for the formulas.

        Returns:
            Unit normals facing away from the camera, float64 (N, H, 3, W),
            and where they exist, bool (N, H, W); they are finite elsewhere.
        """
        n, x, xx, y, xy, yy, q, qx, qy = self._window_sums(radius)
        xx = n * xx - x * x
        xy = n * xy - x * y
        yy = n * yy - y * y
        qx = n * qx - x * q
        qy = n * qy - y * q
        # Products of integers below 2^53: 0 is exact.
        det = xx * yy - xy * xy
        exists = det > 0
        a = yy * qx - xy * qy
        b = xx * qy - xy * qx
        c = det * q + a * (n * self.px - x) + b * (n * self.py - y)
        a *= n * self.fx
        b *= n * self.fy
        # N . P must not be negative; where it is 0, N_z must not.
        facing = a * self.u + b * self.v + c
        facing = torch.where(self.at_camera | (facing == 0), c, facing)
        length = (a * a + b * b + c * c).sqrt_().copysign_(facing)
        length.masked_fill_(~exists, torch.inf)
        normals = torch.stack((a, b, c), dim=2)
        normals /= length[:, :, None]
        if self.inside is not None:
            exists &= self.inside
            normals *= exists[:, :, None]
        return normals, exists

    def _window_sums(self, radius: int) -> list[Tensor]:
        """Sums of m, mx, mx^2, my, mxy, my^2, q, qx, qy; float64 (N, H, W).

        m is the mask, q the inverse depth where valid and 0 elsewhere.
        """
        x, y = self.x, self.y
        farthest = max(len(x), len(y)) // 2
        # The sums of the mask are integers; 32 bits hold them for images of
        # up to 4400 pixels and are faster.
        exact = torch.int32
        if (2 * radius + 1) ** 2 * farthest**2 >= 2**31:
            exact = torch.float64
        x_int, y_int = x.to(exact), y.to(exact)
        m = self.valid.to(exact)
        m, my, myy = (
            _sum_along(part, radius, 1)
            for part in (m, m * y_int, m * (y_int * y_int))
        )
        mx = m * x_int
        sums = [m, mx, mx * x_int, my, my * x_int, myy]
        q = _sum_along(self.inverse, radius, 1)
        qy = _sum_along(self.inverse * y, radius, 1)
        sums += [q, q * x, qy]
        return [_sum_along(part, radius, 2).double() for part in sums]

    def estimate_gravity(self, start: Tensor) -> BatchGravity:
        """Iterate as `find_axis` does, all frames at once.

        Args:
            start: Initial directions, (N, 3).
        """
        normals, exists = self._normals(GRAVITY_RADIUS)
        num_normals = exists.sum((1, 2))
        y, gap = start, start.new_zeros(len(start))
        breaker = start.new_tensor(SIGN_BREAKER)
        for threshold in np.radians(GRAVITY_THRESHOLDS).repeat(
            GRAVITY_ITERATIONS
        ):
            cosine = (normals * y[:, None, :, None]).sum(2).abs_()
            wall = (cosine < np.sin(threshold)) & exists
            floor = cosine > np.cos(threshold)
            used = wall.sum((1, 2)) + floor.sum((1, 2))
            signed = normals * (wall.double() - floor.double())[:, :, None]
            # Row by row: a single long product would use little of a GPU.
            scatter = (signed @ normals.transpose(2, 3)).sum(1)
            values, vectors = torch.linalg.eigh(scatter)
            gap = (values[:, 1] - values[:, 0]) / used.clamp(min=1)
            axis = vectors[:, :, 0]
            ahead = (axis * y).sum(1)
            fixed = (axis * breaker).sum(1)
            ahead = torch.where(ahead.abs() < SIGN_TIE, fixed, ahead)
            axis = torch.where(ahead[:, None] >= 0, axis, -axis)
            y = torch.where(gap[:, None] > EIGEN_TIE, axis, y)
        return BatchGravity(y, gap, num_normals)

    def encode(self, gravity: Tensor) -> Tensor:
        """Return uint8 (N, 3, H, W): angle, height, disparity."""
        disparity = DISPARITY_SCALE / self.z.clamp(min=MIN_DEPTH_CM)
        return torch.stack(
            (
                self._angle_level(gravity),
                _to_uint8(self._height(gravity)),
                _to_uint8(disparity),
            ),
            dim=1,
        )

    def _angle_level(self, gravity: Tensor) -> Tensor:
        normals, exists = self._normals(ANGLE_RADIUS)
        cosine = (normals * gravity[:, None, :, None]).sum(2)
        angle = cosine.clamp_(-1.0, 1.0).acos_().rad2deg_()
        level = _to_uint8(angle.add_(ANGLE_OFFSET))
        return level.masked_fill_(~exists, NO_NORMAL_LEVEL)

    def _height(self, gravity: Tensor) -> Tensor:
        """Height above the ground, cm; see `NumpyFrame.height_level`."""
        tilt = gravity[:, 1:2].clamp(-1.0, 1.0).acos().rad2deg()
        down = gravity.new_tensor(DOWN)
        axis = torch.where(tilt > MIN_TILT, gravity, down)
        g0, g1, g2 = axis.T[..., None, None]
        height = -(g0 * self.u + (g1 * self.v + g2)) * self.z
        # The padding is at height 0, which changes nothing: as the lowest
        # point it is above the limit, like all others then.
        lowest = height.amin((1, 2), keepdim=True)
        ground = torch.where(
            lowest > -MIN_CAMERA_HEIGHT, -DEFAULT_CAMERA_HEIGHT, lowest
        )
        return height.sub_(ground)


def _to_uint8(values: Tensor) -> Tensor:
    """Round non-negative values half up and saturate at 255."""
    return values.add(0.5).clamp_(max=255.0).to(torch.uint8)


def _sum_along(values: Tensor, radius: int, dim: int) -> Tensor:
    """Sum 2 radius + 1 neighbours along a dimension, cut at the border.

    A window is put together from sums over 1, 2, 4, ... neighbours. Unlike
    differences of a cumulative sum, these do not cancel, and they are
    deterministic on a GPU.
    """
    size, rest = values.shape[dim], 2 * radius + 1
    pad = [0, 0] * (values.dim() - 1 - dim) + [radius, radius]
    part, width, start = functional.pad(values, pad), 1, 0
    total: Tensor | None = None
    while True:
        if rest & 1:
            piece = part.narrow(dim, start, size)
            total = piece.clone() if total is None else total.add_(piece)
            start += width
        rest >>= 1
        if not rest:
            assert total is not None  # the window is not empty
            return total
        length = part.shape[dim] - width
        part = part.narrow(dim, 0, length) + part.narrow(dim, width, length)
        width *= 2
