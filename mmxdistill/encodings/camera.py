"""Pinhole cameras: presets, and the shift of the centre on crop and resize.

Pixel coordinates are **1-based**, as in the MATLAB code that defined HHA:
the ray through row r, column c (counted from 0) is
``((c + 1 - cx) / fx, (r + 1 - cy) / fy, 1)``, x right, y down, z forward.
Calibrations of the NYUD2 and SUN RGB-D toolboxes follow this convention; add
1 to ``cx`` and ``cy`` of a 0-based calibration such as OpenCV's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ['CameraLike', 'PinholeCamera']

# Share of the image size. A camera of twice or half the size is off by 0.25
# or more; those of real sensors by less than 0.1.
_MAX_OFF_CENTRE = 0.2


@dataclass(frozen=True)
class PinholeCamera:
    """Intrinsics of the camera that the depth map is registered to.

    HHA uses depth registered to the colour image, so this is the *colour*
    camera.

    Attributes:
        fx: Focal length along x, pixels.
        fy: Focal length along y, pixels.
        cx: Column of the principal point, pixels, 1-based.
        cy: Row of the principal point, pixels, 1-based.
        width: Image width the intrinsics belong to; None if unknown.
        height: Image height the intrinsics belong to; None if unknown.

    Raises:
        ValueError: A focal length or image size is not positive, a value is
            not finite, or only one of width and height is given.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        values = np.array(
            (self.fx, self.fy, self.cx, self.cy), dtype=np.float64
        )
        if not np.isfinite(values).all() or values[:2].min() <= 0:
            raise ValueError(
                'camera needs finite numbers and positive focal lengths '
                f'(pixels), found {self}'
            )
        size = [side for side in (self.width, self.height) if side is not None]
        if len(size) == 1 or any(side < 1 for side in size):
            raise ValueError(
                'camera needs a positive width and height, or neither; '
                f'found {self}'
            )

    @classmethod
    def preset(cls, name: str) -> PinholeCamera:
        """Return a known camera.

        Args:
            name: ``nyud2_full`` (NYU Depth v2 colour camera, 640x480),
                ``nyud2_cropped`` (the 560x425 crop ``[45:470, 40:600]`` of
                Gupta et al.), ``kitchen`` (7-Scenes colour camera, 640x480),
                ``sunrgbd_kv2`` (Kinect v2 of SUN RGB-D, 730x530) or
                ``sunrgbd_b3do`` (Kinect v1 of B3DO in SUN RGB-D, 561x427).

        Raises:
            ValueError: The name is unknown.
        """
        if name not in _PRESETS:
            raise ValueError(
                f'unknown camera preset {name!r}; use one of '
                f'{sorted(_PRESETS)}, dict(fx=..., fy=..., cx=..., cy=...) '
                'or a 3x3 matrix'
            )
        return _PRESETS[name]

    @classmethod
    def from_any(cls, camera: CameraLike) -> PinholeCamera:
        """Build a camera from what a config may hold.

        Args:
            camera: A camera (returned as is), a preset name, a mapping of
                this class's fields, or a 3x3 intrinsic matrix
                ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` (1-based centre).

        Raises:
            ValueError: Unknown preset, wrong keys, or a matrix that is not
                of that form.
        """
        if isinstance(camera, PinholeCamera):
            return camera
        if isinstance(camera, str):
            return cls.preset(camera)
        if isinstance(camera, Mapping):
            required = {'fx', 'fy', 'cx', 'cy'}
            allowed = {field.name for field in fields(cls)}
            if not required <= set(camera) <= allowed:
                raise ValueError(
                    'camera needs the keys fx, fy, cx, cy and optionally '
                    f'width, height; found {sorted(camera)}'
                )
            return cls(**camera)
        return cls._from_matrix(camera)

    @classmethod
    def _from_matrix(cls, matrix: ArrayLike) -> PinholeCamera:
        try:
            k = np.asarray(matrix, dtype=np.float64)
        except (TypeError, ValueError):
            k = np.empty(0)
        if (
            k.shape != (3, 3)
            or k[0, 1]
            or k[1, 0]
            or (k[2] != (0, 0, 1)).any()
        ):
            raise ValueError(
                'camera must be a preset name, a mapping or a matrix '
                '[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]; found '
                f'{matrix!r}'
            )
        return cls(
            float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2])
        )

    def crop(
        self,
        x: float,
        y: float,
        width: int | None = None,
        height: int | None = None,
    ) -> PinholeCamera:
        """Return the camera of ``image[y:y + height, x:x + width]``.

        Args:
            x: First column kept, counted from 0; negative for left padding.
            y: First row kept, counted from 0; negative for top padding.
            width: Width of the crop. Give the size: a crop of unknown size
                passes `check_fits` only if it is about centred.
            height: Height of the crop.
        """
        return PinholeCamera(
            self.fx, self.fy, self.cx - x, self.cy - y, width, height
        )

    def resize(self, scale_x: float, scale_y: float) -> PinholeCamera:
        """Return the camera of the image resized by the two factors.

        Follows ``cv2.resize``, which keeps the image's outer edges: pixel p
        covers ``[p - 0.5, p + 0.5]`` in 1-based coordinates, hence
        ``cx' = (cx - 0.5) * scale_x + 0.5``.

        Args:
            scale_x: New width / old width.
            scale_y: New height / old height.
        """
        width = height = None
        if self.width is not None and self.height is not None:
            width = round(self.width * scale_x)
            height = round(self.height * scale_y)
        return PinholeCamera(
            self.fx * scale_x,
            self.fy * scale_y,
            (self.cx - 0.5) * scale_x + 0.5,
            (self.cy - 0.5) * scale_y + 0.5,
            width,
            height,
        )

    def check_fits(self, height: int, width: int) -> None:
        """Check that the camera belongs to an image of this size.

        A camera of unknown size fits if its principal point is near the
        middle of the image, which tells other resolutions and large crops.

        Raises:
            ValueError: It does not.
        """
        fix = (
            'Use the camera of this image: shift it with crop(x, y, width, '
            'height) or scale it with resize(scale_x, scale_y) like the image'
        )
        if self.width is not None:
            if (self.width, self.height) != (width, height):
                raise ValueError(
                    f'the camera is for {self.width}x{self.height} images, '
                    f'the depth map is {width}x{height}. {fix}.'
                )
            return
        place = (self.cx - 0.5) / width, (self.cy - 0.5) / height
        if max(abs(share - 0.5) for share in place) > _MAX_OFF_CENTRE:
            raise ValueError(
                f'the principal point ({self.cx:g}, {self.cy:g}) of the '
                f'camera is not near the middle of the {width}x{height} '
                f'depth map. {fix}; a camera that is meant to be so off '
                'centre needs its width and height stated.'
            )

    def ray_slopes(
        self, height: int, width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the slopes u = X/Z (width,) and v = Y/Z (height,)."""
        columns = np.arange(1, width + 1, dtype=np.float64)
        rows = np.arange(1, height + 1, dtype=np.float64)
        return (columns - self.cx) / self.fx, (rows - self.cy) / self.fy


CameraLike: TypeAlias = PinholeCamera | str | Mapping[str, Any] | ArrayLike

_NYUD2 = PinholeCamera(
    518.85790117450188,
    519.46961112127485,
    325.58244941119034,
    253.73616633400465,
    640,
    480,
)
_PRESETS = {
    'nyud2_full': _NYUD2,
    'nyud2_cropped': _NYUD2.crop(40, 45, 560, 425),
    'kitchen': PinholeCamera(528.0, 528.0, 324.5, 243.0, 640, 480),
    'sunrgbd_kv2': PinholeCamera(529.5, 529.5, 365.0, 265.0, 730, 530),
    'sunrgbd_b3do': PinholeCamera(
        520.532, 520.7444, 277.9258, 215.115, 561, 427
    ),
}
