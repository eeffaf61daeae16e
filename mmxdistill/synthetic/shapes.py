"""Objects of synthetic scenes, built from boxes, frustums and ellipsoids.

An object's own frame has x right, y down and z away from its front, with the
origin on the floor in the middle of the object: heights above the floor are
negative y. Its front faces -z.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .materials import Material

BOX, FRUSTUM, ELLIPSOID = range(3)


@dataclass(frozen=True)
class Part:
    """One convex solid of an object.

    Attributes:
        kind (int): ``BOX``, ``FRUSTUM`` (upright, round) or ``ELLIPSOID``.
        centre (ndarray): (3,) centre in the object's frame, metres.
        half (ndarray): (3,) half extents, metres.
        taper (float): Top radius over bottom radius of a frustum; the
            larger one is the half extent.
        material (Material): Its surface.
    """

    kind: int
    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    material: Material
    taper: float = 1.0


@dataclass
class Shape:
    """An object: parts in its own frame.

    Attributes:
        name (str): What it is; a key of ``CLASSES`` if it is labelled.
        parts (list[Part]): Its solids.
        top (float): Height of the surface that can carry another object,
            metres; 0 if it cannot.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    top: float = 0.0

    def _add(
        self,
        kind: int,
        xz: tuple[float, float],
        half: tuple[float, float],
        heights: tuple[float, float],
        material: Material,
        *,
        taper: float = 1.0,
    ) -> None:
        bottom, top = heights
        centre = np.array([xz[0], -(bottom + top) / 2, xz[1]])
        size = np.array([half[0], (top - bottom) / 2, half[1]])
        self.parts.append(Part(kind, centre, size, material, taper))

    def box(
        self,
        x: float,
        z: float,
        size: tuple[float, float],
        heights: tuple[float, float],
        material: Material,
    ) -> None:
        """Add a box of full size (x, z) between two heights, metres."""
        half = (size[0] / 2, size[1] / 2)
        self._add(BOX, (x, z), half, heights, material)

    def frustum(
        self,
        x: float,
        z: float,
        radii: tuple[float, float],
        heights: tuple[float, float],
        material: Material,
    ) -> None:
        """Add an upright cone frustum with radii (bottom, top)."""
        half = (max(radii), max(radii))
        taper = radii[1] / radii[0]
        self._add(FRUSTUM, (x, z), half, heights, material, taper=taper)

    def ellipsoid(
        self,
        x: float,
        z: float,
        radii: tuple[float, float],
        heights: tuple[float, float],
        material: Material,
    ) -> None:
        """Add an ellipsoid with horizontal radii (x, z)."""
        self._add(ELLIPSOID, (x, z), radii, heights, material)

    def legs(
        self,
        size: tuple[float, float],
        height: float,
        width: float,
        material: Material,
    ) -> None:
        """Add four legs at the corners of a rectangle."""
        for x in (-1, 1):
            for z in (-1, 1):
                self.box(
                    x * (size[0] - width) / 2,
                    z * (size[1] - width) / 2,
                    (width, width),
                    (0, height),
                    material,
                )

    @property
    def radius(self) -> float:
        """Radius of the circle on the floor around all parts, metres."""
        return max(
            float(np.hypot(*(np.abs(p.centre) + p.half)[[0, 2]]))
            for p in self.parts
        )

    def lifted(self, height: float) -> 'Shape':
        """The same shape, standing ``height`` metres above the floor."""
        up = np.array([0, -height, 0])
        return Shape(
            self.name, [replace(p, centre=p.centre + up) for p in self.parts]
        )
