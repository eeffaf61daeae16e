"""Colour of what a camera sees, and which surfaces return no depth."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .raycast import Hits, Solids, dot, unit
from .scene import Scene


def shade(
    scene: Scene, solids: Solids, hits: Hits, rng: Generator
) -> NDArray[np.uint8]:
    """Colour image of the hits: (H, W, 3) BGR."""
    table = solids.materials
    height, width = hits.depth.shape
    albedo = table.albedo(hits.material, hits.uv)
    to_lamp = scene.lamp.astype(np.float32) - hits.point
    distance = np.sqrt(dot(to_lamp, to_lamp))
    cosine = dot(hits.normal, to_lamp) / distance
    lit = cosine > 0
    lit[lit] = ~_shadowed(
        solids, hits.point[lit] + 0.01 * hits.normal[lit], to_lamp[lit]
    )
    # One-pixel penumbra; real lamps are no points.
    soft = cv2.GaussianBlur(
        lit.reshape(height, width).astype(np.float32), (3, 3), 0
    ).ravel()
    falloff = 1 / (0.6 + 0.12 * distance**2)
    diffuse = soft * np.maximum(cosine, 0) * falloff
    view = unit(scene.eye.astype(np.float32) - hits.point)
    middle = unit(view + to_lamp / distance[:, None])
    shine = np.maximum(dot(middle, hits.normal), 0) ** 40
    # Light from everywhere, a little more from above and from the camera.
    around = (
        0.75 - 0.2 * hits.normal[:, 1] + 0.25 * np.abs(dot(view, hits.normal))
    )
    lamp = scene.lamp_colour.astype(np.float32)
    colour = albedo * (
        around[:, None] * scene.ambient.astype(np.float32)
        + diffuse[:, None] * lamp
    )
    colour += (table.gloss[hits.material] * shine * soft * falloff)[
        :, None
    ] * lamp
    colour += table.emission[hits.material][:, None] * albedo
    return _expose(colour.reshape(height, width, 3), scene.exposure, rng)


def surface_dropout(solids: Solids, hits: Hits) -> NDArray[np.float32]:
    """(H, W) fraction of each seen surface that returns no depth."""
    table = solids.materials
    dark = np.clip(0.2 - 6 * table.colour.mean(1), 0, 0.2)
    return np.maximum(table.dropout, dark)[hits.material].reshape(
        hits.depth.shape
    )


def incidence(scene: Scene, hits: Hits) -> NDArray[np.float32]:
    """(H, W) cosine between surface normal and viewing ray, 0..1."""
    view = unit(hits.point - scene.eye.astype(np.float32))
    return np.abs(dot(view, hits.normal)).reshape(hits.depth.shape)


def _expose(
    light: NDArray[np.float32], exposure: float, rng: Generator
) -> NDArray[np.uint8]:
    """Lens blur, automatic gain, vignette, sensor noise and gamma."""
    height, width = light.shape[:2]
    image = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.35, 0.8))
    # The gain corrects most, but not all, of the difference in brightness.
    image = image * np.float32(exposure * (0.2 / image.mean()) ** 0.75)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    image *= (1 - rng.uniform(0, 0.15) * (x**2 + y**2))[..., None]
    shot = rng.uniform(0.005, 0.03)
    noise = rng.standard_normal(image.shape, np.float32)
    image += shot * noise * np.sqrt(np.maximum(image, 0) + 0.01)
    display = np.clip(image, 0, 1) ** (1 / rng.uniform(1.9, 2.5))
    return (display * 255 + 0.5).astype(np.uint8)


def _shadowed(
    solids: Solids, point: NDArray[np.float32], to_lamp: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """(N,) True where a part is between the point and the lamp."""
    dark = np.zeros(len(point), bool)
    length = dot(to_lamp, to_lamp)
    for owner in np.unique(solids.owner):
        parts = np.flatnonzero(solids.owner == owner)
        middle = solids.centre[parts].mean(0)
        reach = (
            np.sqrt(((solids.centre[parts] - middle) ** 2).sum(1))
            + np.sqrt((solids.half[parts] ** 2).sum(1))
        ).max()
        offset = middle - point
        t = np.clip(dot(offset, to_lamp) / length, 0, 1)
        # squared distance of the middle from the segment to the lamp
        gap = dot(offset, offset) - t * (2 * dot(offset, to_lamp) - t * length)
        at = np.flatnonzero((gap < reach * reach) & ~dark)
        if not at.size:
            continue
        blocked = np.zeros(at.size, bool)
        for i in parts:
            blocked |= solids.intersect(int(i), point[at], to_lamp[at]) < 1
        dark[at] = blocked
    return dark
