"""Ray casting: which surface every pixel sees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmxdistill.encodings.camera import PinholeCamera

from .materials import MaterialTable
from .scene import Scene
from .shapes import BOX, ELLIPSOID, FRUSTUM

_FAR = np.float32(1e9)
_NEAR = 0.05  # nothing closer to the camera is drawn, metres


@dataclass
class Hits:
    """What every pixel sees.

    Attributes:
        depth (ndarray): (H, W) float32 z in camera axes, metres.
        part (ndarray): (H, W) int number of the part, counted over all
            objects; -1 is the room.
        owner (ndarray): (H, W) int number of the object; -1 is the room.
        point (ndarray): (H*W, 3) float32 seen points in the world.
        normal (ndarray): (H*W, 3) float32 unit normals in the world.
        uv (ndarray): (H*W, 2) float32 position on the surface, metres.
        material (ndarray): (H*W,) index into the materials of ``solids``.
        full_area (ndarray): (objects,) pixels that each object would cover
            if nothing were in front of it.
    """

    depth: NDArray[np.float32]
    part: NDArray[np.int32]
    owner: NDArray[np.int32]
    point: NDArray[np.float32]
    normal: NDArray[np.float32]
    uv: NDArray[np.float32]
    material: NDArray[np.intp]
    full_area: NDArray[np.int64]


class Solids:
    """All parts of a scene as flat arrays.

    Args:
        scene (Scene): The scene.
    """

    def __init__(self, scene: Scene) -> None:
        pairs = [
            (i, part)
            for i, obj in enumerate(scene.objects)
            for part in obj.shape.parts
        ]
        self.owner = np.array([i for i, _ in pairs], np.int32)
        self.kind = np.array([p.kind for _, p in pairs], np.int32)
        self.taper = np.array([p.taper for _, p in pairs], np.float32)
        self.half = np.array([p.half for _, p in pairs], np.float32).reshape(
            -1, 3
        )
        self.turn = np.array(
            [scene.objects[i].rotation for i, _ in pairs], np.float32
        ).reshape(-1, 3, 3)
        self.centre = np.array(
            [
                scene.objects[i].position
                + scene.objects[i].rotation @ p.centre
                for i, p in pairs
            ],
            np.float32,
        ).reshape(-1, 3)
        self.materials = MaterialTable(
            [*scene.surfaces, *(p.material for _, p in pairs)]
        )

    def __len__(self) -> int:
        return len(self.owner)

    def corners(self) -> NDArray[np.float32]:
        """(parts, 8, 3) corners of the parts' bounding boxes, world."""
        sign = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(
            8, 3
        )
        local = self.half[:, None] * sign
        return (
            np.einsum('pij,pkj->pki', self.turn, local) + self.centre[:, None]
        ).astype(np.float32)

    def intersect(
        self,
        part: int,
        origin: NDArray[np.float32],
        direction: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Ray parameter of the first hit in front of the origin.

        Args:
            part (int): Number of the part.
            origin (ndarray): (3,) or (N, 3) start of the rays, world.
            direction (ndarray): (N, 3) their directions, any length.

        Returns:
            ndarray: (N,) parameter t of the hit point
            ``origin + t * direction``; 1e9 where there is none.
        """
        o = (origin - self.centre[part]) @ self.turn[part]
        d = direction @ self.turn[part]
        half = self.half[part]
        if self.kind[part] == BOX:
            return _hit_box(o, d, half)
        if self.kind[part] == FRUSTUM:
            return _hit_frustum(o, d, half, float(self.taper[part]))
        return _hit_ellipsoid(o / half, d / half)


def cast(
    scene: Scene,
    solids: Solids,
    camera: PinholeCamera,
    width: int,
    height: int,
) -> Hits:
    """Find what every pixel of a (height, width) image sees."""
    turn = scene.rotation.astype(np.float32)
    eye = scene.eye.astype(np.float32)
    shape = (height, width)
    u, v = camera.ray_slopes(*shape)
    seen = np.ones((*shape, 3), np.float32)
    seen[..., 0], seen[..., 1] = u, v[:, None]
    rays = seen @ turn.T
    flat = rays.reshape(-1, 3)
    # Rays have z = 1 in the camera, so the ray parameter is the depth.
    depth, plane = _hit_room(scene, eye, flat)
    depth, plane = depth.reshape(shape), plane.reshape(shape)
    part = np.full(shape, -1, np.int32)
    covered: dict[int, NDArray[np.bool_]] = {}
    for i, (x0, y0, x1, y1) in enumerate(
        _windows(solids, scene, camera, width, height)
    ):
        if x0 >= x1 or y0 >= y1:
            continue
        view = np.s_[y0:y1, x0:x1]
        t = solids.intersect(i, eye, rays[view].reshape(-1, 3)).reshape(
            y1 - y0, x1 - x0
        )
        t[t < _NEAR] = _FAR
        owner = int(solids.owner[i])
        mask = covered.setdefault(owner, np.zeros(shape, bool))
        mask[view] |= t < _FAR
        closer = t < depth[view]
        depth[view][closer] = t[closer]
        part[view][closer] = i
    full = np.zeros(len(scene.objects), np.int64)
    for owner, mask in covered.items():
        full[owner] = mask.sum()
    owners = np.append(solids.owner, -1).astype(np.int32)[part]
    point = eye + flat * depth.reshape(-1, 1)
    normal, uv = _surface(solids, part.ravel(), plane.ravel(), point, flat)
    material = np.where(part < 0, plane, part + len(scene.surfaces)).ravel()
    return Hits(depth, part, owners, point, normal, uv, material, full)


def _windows(
    solids: Solids,
    scene: Scene,
    camera: PinholeCamera,
    width: int,
    height: int,
) -> NDArray[np.intp]:
    """(parts, 4) pixel windows x0, y0, x1, y1 that contain the parts."""
    if not len(solids):
        return np.zeros((0, 4), np.intp)
    local = (solids.corners() - scene.eye) @ scene.rotation
    z = local[..., 2]
    behind = (z < _NEAR).any(1)
    z = np.maximum(z, _NEAR)
    x = local[..., 0] / z * camera.fx + camera.cx - 1
    y = local[..., 1] / z * camera.fy + camera.cy - 1
    low = np.floor(np.stack([x.min(1), y.min(1)], 1))
    high = np.ceil(np.stack([x.max(1), y.max(1)], 1)) + 1
    size = np.array([width, height])
    low[behind], high[behind] = 0, size
    out = np.clip(np.concatenate([low, high], 1), 0, np.tile(size, 2))
    out[(z <= _NEAR).all(1)] = 0
    return out.astype(np.intp)


def _hit_room(
    scene: Scene, eye: NDArray[np.float32], d: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Where rays leave the room, and through which of its 6 surfaces."""
    width, height, depth = scene.room
    low = np.array([0, -height, 0], np.float32)
    high = np.array([width, 0, depth], np.float32)
    with np.errstate(divide='ignore'):
        t = np.where(d > 0, high - eye, low - eye) / d
    t[d == 0] = _FAR
    axis = t.argmin(1)
    up = np.take_along_axis(d, axis[:, None], 1)[:, 0] > 0
    # axis 1 (vertical): 0 floor, 1 ceiling; x: 2, 3; z: 4, 5
    plane = np.where(
        axis == 1, np.where(up, 0, 1), np.where(axis == 0, 2, 4) + up
    )
    return t.min(1), plane


def _hit_box(
    o: NDArray[np.float32], d: NDArray[np.float32], half: NDArray[np.float32]
) -> NDArray[np.float32]:
    d = np.where(np.abs(d) < 1e-7, np.float32(1e-7), d)
    middle, extent = -o / d, half / np.abs(d)
    # over three columns: much faster than a reduction along the last axis
    enter = np.maximum.reduce(list((middle - extent).T))
    leave = np.minimum.reduce(list((middle + extent).T))
    return np.where((enter < leave) & (enter > 0), enter, _FAR)


def _hit_ellipsoid(
    o: NDArray[np.float32], d: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Unit sphere; coordinates are already scaled."""
    o = np.broadcast_to(o, d.shape)
    a, b, c = dot(d, d), dot(d, o), dot(o, o) - 1
    root = b * b - a * c
    t = (-b - np.sqrt(np.maximum(root, 0))) / a
    return np.where((root > 0) & (t > 0), t, _FAR)


def _hit_frustum(
    o: NDArray[np.float32],
    d: NDArray[np.float32],
    half: NDArray[np.float32],
    taper: float,
) -> NDArray[np.float32]:
    bottom, top = _radii(half, taper)
    slope = (bottom - top) / (2 * half[1])  # radius per metre downwards
    middle = (bottom + top) / 2
    ox, oy, oz = o[..., 0], o[..., 1], o[..., 2]
    dx, dy, dz = d.T
    radius, change = middle + slope * oy, slope * dy
    a = dx * dx + dz * dz - change * change
    a = np.where(np.abs(a) < 1e-9, np.float32(1e-9), a)
    b = dx * ox + dz * oz - change * radius
    c = ox * ox + oz * oz - radius * radius
    root = np.sqrt(np.maximum(b * b - a * c, 0))
    best: NDArray[np.float32] = np.full(len(dx), _FAR, np.float32)
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        ok = (
            (b * b > a * c)
            & (t > 0)
            & (np.abs(oy + t * dy) < half[1])
            & (radius + t * change > 0)
        )
        best = np.where(ok & (t < best), t, best)
    dy = np.where(np.abs(dy) < 1e-7, np.float32(1e-7), dy)
    for level, r in ((half[1], bottom), (-half[1], top)):
        t = (level - oy) / dy
        ok = (t > 0) & ((ox + t * dx) ** 2 + (oz + t * dz) ** 2 < r * r)
        best = np.where(ok & (t < best), t, best)
    return best.astype(np.float32)


def _radii(half: NDArray[np.float32], taper: float) -> tuple[float, float]:
    """Bottom and top radius of a frustum."""
    if taper < 1:
        return float(half[0]), float(half[0]) * taper
    return float(half[0]) / taper, float(half[0])


def _surface(
    solids: Solids,
    part: NDArray[np.int32],
    plane: NDArray[np.intp],
    point: NDArray[np.float32],
    ray: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Outward unit normals (N, 3) and surface coordinates (N, 2)."""
    normal = np.zeros_like(point)
    walls = np.array(
        [[0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]],
        np.float32,
    )
    room = np.flatnonzero(part < 0)
    normal[room] = walls[plane[room]]
    local, local_normal = point.copy(), normal.copy()
    order = np.argsort(part, kind='stable')
    ends = np.searchsorted(part[order], np.arange(len(solids) + 1))
    for i in range(len(solids)):
        at = order[ends[i] : ends[i + 1]]
        if not at.size:
            continue
        p = (point[at] - solids.centre[i]) @ solids.turn[i]
        half = solids.half[i]
        n = np.zeros_like(p)
        if solids.kind[i] == BOX:
            axis = np.abs(p / half).argmax(1)
            n[np.arange(len(p)), axis] = np.sign(p[np.arange(len(p)), axis])
        elif solids.kind[i] == ELLIPSOID:
            n = p / half**2
        else:
            bottom, top = _radii(half, float(solids.taper[i]))
            slope = (bottom - top) / (2 * half[1])
            n[:, [0, 2]] = p[:, [0, 2]]
            n[:, 1] = -slope * np.hypot(p[:, 0], p[:, 2])
            cap = half[1] - np.abs(p[:, 1]) < 1e-4 * (1 + half[1])
            n[cap] = 0
            n[cap, 1] = np.sign(p[cap, 1])
        n = unit(n)
        local[at], local_normal[at] = p, n
        normal[at] = n @ solids.turn[i].T
    axis = np.abs(local_normal).argmax(1)
    # (z, y), (x, z) and (x, y): v is vertical on upright faces.
    uv = np.stack(
        [
            np.where(axis == 0, local[:, 2], local[:, 0]),
            np.where(axis == 1, local[:, 2], local[:, 1]),
        ],
        1,
    )
    # Towards the camera, also on the rare hit from inside.
    normal *= -np.sign(dot(normal, ray))[:, None]
    return normal, uv


def dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Row-wise dot product of two (N, 3) arrays, shape (N,)."""
    return np.einsum('ij,ij->i', a, b)


def unit(a: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of an (N, 3) array, scaled to length 1."""
    return a / (np.sqrt(dot(a, a)) + np.float32(1e-9))[:, None]
