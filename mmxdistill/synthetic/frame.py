"""One rendered frame with its labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from mmxdistill.encodings.camera import PinholeCamera

from .furniture import CLASSES
from .proposals import sample_proposals
from .raycast import Hits, Solids, cast
from .scene import Scene, kinect_camera, sample_scene
from .sensor import fill_holes, simulate_kinect
from .shading import incidence, shade, surface_dropout

# An object is labelled if its box is at least this large, and if enough of
# it is neither hidden by others nor outside the image.
MIN_SIDE = 8  # pixels
MIN_AREA = 64  # visible pixels
MIN_VISIBLE = 0.3


@dataclass(frozen=True)
class RGBDFrame:
    """A colour image, the depth seen with it, and what is known about it.

    Attributes:
        colour (ndarray): (H, W, 3) uint8 BGR.
        depth_true (ndarray): (H, W) float32 exact depth, metres.
        depth_raw (ndarray): (H, W) uint16 measured depth, millimetres,
            0 = missing.
        depth (ndarray): (H, W) uint16 the same with holes inpainted.
        instances (ndarray): (H, W) int32 number of the seen object, labelled
            or not; -1 is floor, ceiling or wall.
        boxes (ndarray): (N, 4) float32 xyxy boxes of the labelled objects:
            the extent of their visible pixels, right and bottom excluded.
        labels (list[str]): (N,) their class names, keys of ``CLASSES``.
        objects (ndarray): (N,) their numbers in ``instances``.
        proposals (ndarray): (P, 4) float32 xyxy region proposals.
        scores (ndarray): (P,) float32 their scores, descending.
        gravity (ndarray): (3,) unit vector pointing down, camera axes.
        camera_height (float): Height of the camera above the floor, metres.
        camera (PinholeCamera): Intrinsics.
    """

    colour: NDArray[np.uint8]
    depth_true: NDArray[np.float32]
    depth_raw: NDArray[np.uint16]
    depth: NDArray[np.uint16]
    instances: NDArray[np.int32]
    boxes: NDArray[np.float32]
    labels: list[str]
    objects: NDArray[np.intp]
    proposals: NDArray[np.float32]
    scores: NDArray[np.float32]
    gravity: NDArray[np.float64]
    camera_height: float
    camera: PinholeCamera


def render_scene(
    seed: int | Sequence[int],
    image_size: tuple[int, int] = (224, 160),
    num_proposals: int = 200,
) -> RGBDFrame:
    """Draw a random scene and take one RGB-D picture of it.

    Args:
        seed (int or Sequence[int]): Seed; the same seed and options give
            the same frame.
        image_size (tuple[int, int]): Width and height, pixels.
        num_proposals (int): Number of region proposals.

    Returns:
        RGBDFrame: The frame.
    """
    rng = np.random.default_rng(seed)
    camera = kinect_camera(*image_size)
    scene = sample_scene(rng)
    solids = Solids(scene)
    hits = cast(scene, solids, camera, *image_size)
    colour = shade(scene, solids, hits, rng)
    raw = simulate_kinect(
        hits.depth,
        incidence(scene, hits),
        surface_dropout(solids, hits),
        camera.fx,
        rng,
    )
    extents = _extents(hits.owner, len(scene.objects))
    kept = [
        i
        for i, obj in enumerate(scene.objects)
        if obj.shape.name in CLASSES
        and _is_visible(i, extents[i], scene, hits, camera)
    ]
    visible = extents[extents[:, 2] > 0]
    parts = _extents(hits.part, len(solids))
    proposals, scores = sample_proposals(
        visible,
        parts[(parts[:, 2:] - parts[:, :2]).min(1) >= MIN_SIDE],
        image_size,
        num_proposals,
        rng,
    )
    return RGBDFrame(
        colour,
        hits.depth,
        raw,
        fill_holes(raw),
        hits.owner,
        extents[kept],
        [scene.objects[i].shape.name for i in kept],
        np.array(kept, np.intp),
        proposals,
        scores,
        scene.gravity,
        scene.camera_height,
        camera,
    )


def _extents(numbers: NDArray[np.int32], count: int) -> NDArray[np.float32]:
    """(count, 4) xyxy extent of each number in a map; 0 if not there."""
    out = np.zeros((count, 4), np.float32)
    for i, found in enumerate(find_objects(numbers + 1, count)):
        if found is not None:
            rows, columns = found
            out[i] = columns.start, rows.start, columns.stop, rows.stop
    return out


def _is_visible(
    index: int,
    box: NDArray[np.float32],
    scene: Scene,
    hits: Hits,
    camera: PinholeCamera,
) -> bool:
    area = int((hits.owner == index).sum())
    if min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE or area < MIN_AREA:
        return False
    return bool(
        area >= MIN_VISIBLE * hits.full_area[index]
        and _inside(index, scene, camera, *hits.depth.shape) >= MIN_VISIBLE
    )


def _inside(
    index: int, scene: Scene, camera: PinholeCamera, rows: int, columns: int
) -> float:
    """Part of an object's projected bounding rectangle in the image."""
    obj = scene.objects[index]
    sign = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(8, 3)
    local = np.concatenate([p.centre + sign * p.half for p in obj.shape.parts])
    world = local @ obj.rotation.T + obj.position
    x, y, z = ((world - scene.eye) @ scene.rotation).T
    if z.min() < 0.05:
        return 0.0
    u = x / z * camera.fx + camera.cx - 0.5
    v = y / z * camera.fy + camera.cy - 0.5
    width, height = u.max() - u.min(), v.max() - v.min()
    seen_w = min(u.max(), columns) - max(u.min(), 0)
    seen_h = min(v.max(), rows) - max(v.min(), 0)
    return max(seen_w, 0) * max(seen_h, 0) / (width * height)
