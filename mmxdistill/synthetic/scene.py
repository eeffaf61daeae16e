"""Sampling of rooms: camera, light, furniture and what hangs on the walls.

World frame: x along one wall, y down, z along the other wall; the floor is
the plane y = 0, so heights are negative y. Metres.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mmxdistill.encodings.camera import PinholeCamera

from .furniture import (
    Maker,
    make_block,
    make_box,
    make_cabinet,
    make_chair,
    make_lamp,
    make_picture,
    make_plant,
    make_small,
    make_sofa,
    make_stool,
    make_table,
    make_table_lamp,
    make_television,
    make_wall_television,
    make_window,
)
from .materials import Material, MaterialSampler
from .shapes import Shape


def kinect_camera(width: int, height: int) -> PinholeCamera:
    """Camera whose image is as wide an angle as the cropped NYUD2 frames.

    Its principal point is the one of NYUD2, so not in the middle.
    """
    nyud2 = PinholeCamera.preset('nyud2_cropped')
    scale = width / 560
    camera = nyud2.crop(0, (425 - height / scale) / 2).resize(scale, scale)
    return replace(camera, width=width, height=height)


@dataclass
class SceneObject:
    """A shape at a place in the room.

    Attributes:
        shape (Shape): The shape in its own frame.
        position (ndarray): (3,) origin of that frame in the world.
        yaw (float): Turn about the vertical; 0 faces -z, radians.
    """

    shape: Shape
    position: NDArray[np.float64]
    yaw: float

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3) rotation from the object's frame to the world."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@dataclass
class Scene:
    """A room with everything that is needed to render it.

    Attributes:
        room (ndarray): (3,) width (x), height and depth (z), metres.
        surfaces (list[Material]): Floor, ceiling, walls x0, x1, z0, z1.
        eye (ndarray): (3,) camera position in the world.
        rotation (ndarray): (3, 3) from camera to world axes.
        lamp (ndarray): (3,) position of the light.
        lamp_colour (ndarray): (3,) its BGR strength.
        ambient (ndarray): (3,) BGR strength of the light from everywhere.
        exposure (float): Gain of the colour camera.
        objects (list[SceneObject]): Labelled and unlabelled objects.
    """

    room: NDArray[np.float64]
    surfaces: list[Material]
    eye: NDArray[np.float64]
    rotation: NDArray[np.float64]
    lamp: NDArray[np.float64]
    lamp_colour: NDArray[np.float64]
    ambient: NDArray[np.float64]
    exposure: float
    objects: list[SceneObject] = field(default_factory=list)

    @property
    def gravity(self) -> NDArray[np.float64]:
        """(3,) unit vector pointing down, in camera axes."""
        return self.rotation[1].copy()

    @property
    def camera_height(self) -> float:
        """Height of the camera above the floor, metres."""
        return -float(self.eye[1])


def sample_scene(rng: Generator) -> Scene:
    """Draw a room with one camera in it."""
    materials = MaterialSampler(rng)
    room = np.array(
        [rng.uniform(3.2, 6.0), rng.uniform(2.4, 3.0), rng.uniform(3.8, 6.5)]
    )
    wall = materials.paint()
    other = materials.paint() if rng.random() < 0.4 else wall
    ceiling = Material(materials.colour((0, 60), (0, 0.1), (0.7, 1.0)))
    floor = materials.floor()
    # Light colours in BGR: from warm bulbs to a cool sky.
    warmth = rng.uniform(-0.25, 0.12)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    strength = rng.uniform(0.25, 1.3)
    scene = Scene(
        room=room,
        surfaces=[floor, ceiling, wall, wall, other, other],
        eye=np.array(
            [
                room[0] * rng.uniform(0.25, 0.75),
                -rng.uniform(0.9, 1.7),
                room[2] * rng.uniform(0.05, 0.2),
            ]
        ),
        rotation=_rotation(
            yaw=np.deg2rad(rng.uniform(-28, 28)),
            pitch=np.deg2rad(rng.uniform(2, 24)),
            roll=np.deg2rad(np.clip(rng.normal(0, 2.5), -6, 6)),
        ),
        lamp=np.array(
            [
                rng.uniform(0.1, 0.9) * room[0],
                -room[1] * rng.uniform(0.75, 0.97),
                rng.uniform(0.1, 0.9) * room[2],
            ]
        ),
        lamp_colour=tint * strength,
        ambient=np.array([1.05, 1.0, 0.95]) * rng.uniform(0.12, 0.45),
        exposure=rng.uniform(0.75, 1.3),
    )
    _Furnisher(rng, materials, scene).furnish()
    return scene


class _Furnisher:
    """Places objects so that they are seen and do not intersect."""

    def __init__(
        self, rng: Generator, materials: MaterialSampler, scene: Scene
    ) -> None:
        self.rng, self.materials, self.scene = rng, materials, scene
        self.heading = np.arctan2(*scene.rotation[[0, 2], 2])
        self.circles: list[tuple[float, float, float]] = []
        self.on_wall: list[tuple[int, float, float]] = []

    def furnish(self) -> None:
        rng = self.rng
        if rng.random() < 0.4:
            self._hang(make_wall_television, (0.8, 1.4))
        for _ in range(rng.integers(0, 3)):
            self._hang(make_picture, (0.9, 1.6))
        if rng.random() < 0.35:
            self._hang(make_window, (0.8, 1.1))
        if rng.random() < 0.25:
            self._place(make_sofa)
        if rng.random() < 0.6:
            self._group(make_table, rng.choice([0, 1, 2], p=[0.35, 0.4, 0.25]))
        if rng.random() < 0.55:
            self._group(make_cabinet, 0)
        for maker, most in (
            (make_box, 2),
            (make_chair, 2),
            (make_lamp, 1),
            (make_block, 2),
            (make_stool, 1),
            (make_plant, 1),
            (make_small, 2),
        ):
            for _ in range(rng.integers(0, most + 1)):
                self._place(maker)

    def _group(self, maker: Maker, chairs: int) -> None:
        """A table or cabinet, what stands on it, and chairs around it."""
        rng = self.rng
        base = self._place(maker)
        if base is None:
            return
        reach = base.shape.parts[0].half
        spots = rng.permutation([-0.6, 0.0, 0.6])
        makers: list[Maker] = [make_small] * int(rng.integers(0, 3))
        carried: Maker
        for carried, chance in (
            (make_box, 0.2),
            (make_table_lamp, 0.3),
            (make_television, 0.45),
        ):
            if rng.random() < chance:
                makers.insert(0, carried)
        if make_television in makers:  # needs the whole top
            spots, makers = np.zeros(1), makers[:1]
        for spot, carried in zip(spots, makers, strict=False):
            shape = carried(rng, self.materials).lifted(base.shape.top)
            local = np.array(
                [spot * reach[0] * 0.9, 0, rng.uniform(-0.3, 0.3) * reach[2]]
            )
            self.scene.objects.append(
                SceneObject(
                    shape,
                    base.position + base.rotation @ local,
                    base.yaw + rng.uniform(-0.3, 0.3),
                )
            )
        for angle in rng.permutation([0, np.pi / 2, np.pi, -np.pi / 2])[
            :chairs
        ]:
            turn = base.yaw + angle
            side = reach[2] if angle in (0, np.pi) else reach[0]
            away = side + rng.uniform(0.1, 0.35)
            # A chair in front (-z) of the table faces it: it turns by pi.
            at = base.position + away * np.array(
                [-np.sin(turn), 0, -np.cos(turn)]
            )
            chair = make_chair(rng, self.materials)
            self._try_put(
                chair,
                at,
                turn + np.pi + rng.uniform(-0.3, 0.3),
                radius=0.25,
                touches=base,
            )

    def _place(self, maker: Maker) -> SceneObject | None:
        """Stand an object on the floor in view; None if there is no room."""
        rng = self.rng
        shape = maker(rng, self.materials)
        for _ in range(12):
            distance = rng.uniform(1.4, 5.0)
            bearing = self.heading + np.deg2rad(rng.uniform(-26, 26))
            at = self.scene.eye * [1, 0, 1] + distance * np.array(
                [np.sin(bearing), 0, np.cos(bearing)]
            )
            # Furniture is mostly along the walls, but not always.
            yaw = (
                float(rng.choice([0, np.pi / 2, -np.pi / 2]))
                if rng.random() < 0.5
                else bearing + rng.uniform(-np.pi, np.pi) * 0.6
            )
            placed = self._try_put(shape, at, yaw)
            if placed is not None:
                return placed
        return None

    def _try_put(
        self,
        shape: Shape,
        at: NDArray[np.float64],
        yaw: float,
        radius: float | None = None,
        touches: SceneObject | None = None,
    ) -> SceneObject | None:
        reach = 0.85 * shape.radius if radius is None else radius
        x, z = float(at[0]), float(at[2])
        width, _, depth = self.scene.room
        if not (reach < x < width - reach and reach < z < depth - reach):
            return None
        eye = self.scene.eye
        if np.hypot(x - eye[0], z - eye[2]) < reach + 0.8:
            return None
        for cx, cz, r in self.circles:
            own = touches is not None and (cx, cz) == (
                touches.position[0],
                touches.position[2],
            )
            if not own and np.hypot(x - cx, z - cz) < reach + r:
                return None
        self.circles.append((x, z, reach))
        placed = SceneObject(shape, np.array([x, 0.0, z]), yaw)
        self.scene.objects.append(placed)
        return placed

    def _hang(self, maker: Maker, heights: tuple[float, float]) -> None:
        """Hang an object on a wall that the camera sees."""
        rng = self.rng
        shape = maker(rng, self.materials)
        half = shape.radius
        width, _, depth = self.scene.room
        eye = self.scene.eye
        for _ in range(8):
            bearing = self.heading + np.deg2rad(rng.uniform(-24, 24))
            step = np.array([np.sin(bearing), np.cos(bearing)])
            to_side = ((width if step[0] > 0 else 0.0) - eye[0]) / step[0]
            to_end = (depth - eye[2]) / step[1]
            if to_side < to_end:
                wall, along = (
                    (1 if step[0] > 0 else 0),
                    eye[2] + (to_side * step[1]),
                )
                length = depth
            else:
                wall, along, length = 2, eye[0] + to_end * step[0], width
            if not half < along < length - half or any(
                w == wall and abs(along - a) < half + h
                for w, a, h in self.on_wall
            ):
                continue
            self.on_wall.append((wall, along, half))
            # Fronts (-z of the shape) face into the room.
            place, yaw = (
                ((0.0, along), -np.pi / 2),
                ((width, along), np.pi / 2),
                ((along, depth), 0.0),
            )[wall]
            self.scene.objects.append(
                SceneObject(
                    shape.lifted(rng.uniform(*heights)),
                    np.array([place[0], 0.0, place[1]]),
                    yaw,
                )
            )
            return


def _rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Camera-to-world rotation; positive pitch looks down, radians."""
    cy, sy = np.cos(yaw), np.sin(yaw)
    cp, sp = np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    look_down = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    tilt = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return turn @ look_down @ tilt
