"""Surface materials of synthetic scenes and their procedural textures."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

PATTERNS = (
    'plain',
    'stripes',
    'checks',
    'grain',
    'blotches',
    'dots',
    'band',
    'drawers',
    'picture',
    'tiles',
)
_TILE = 128


@dataclass(frozen=True)
class Material:
    """How a surface looks to the colour and to the depth camera.

    Attributes:
        colour (tuple[float, float, float]): Main colour, BGR in 0..1.
        second (tuple[float, float, float]): Second colour of the pattern.
        pattern (str): One of ``PATTERNS``.
        period (float): Size of one repetition of the pattern, metres.
        angle (float): Direction of the pattern on the surface, radians.
        roughness (float): Amplitude of the brightness noise, 0..1.
        gloss (float): Strength of the highlight, 0..1.
        emission (float): Light given off, relative to a white surface.
        dropout (float): Fraction of the surface that returns no depth
            (dark, specular or sunlit surfaces).
    """

    colour: tuple[float, float, float]
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pattern: str = 'plain'
    period: float = 0.1
    angle: float = 0.0
    roughness: float = 0.1
    gloss: float = 0.0
    emission: float = 0.0
    dropout: float = 0.0


@dataclass
class MaterialSampler:
    """Draws materials; surfaces of one scene often share colours.

    Shared colours are what makes an object hard to tell from its
    surroundings by colour alone.

    Args:
        rng (np.random.Generator): Source of randomness.
        shared (float): Probability that a freely chosen colour is one that
            the scene already has.
    """

    rng: np.random.Generator
    shared: float = 0.3
    palette: list[tuple[float, float, float]] = field(default_factory=list)

    def colour(
        self,
        hue: tuple[float, float] = (0.0, 360.0),
        saturation: tuple[float, float] = (0.0, 0.6),
        value: tuple[float, float] = (0.2, 0.95),
    ) -> tuple[float, float, float]:
        """Draw a BGR colour from ranges of hue (degrees), S and V (0..1)."""
        hsv = np.array(
            [
                self.rng.uniform(*hue) % 360,
                self.rng.uniform(*saturation),
                self.rng.uniform(*value),
            ],
            np.float32,
        )
        return _triple(cv2.cvtColor(hsv[None, None], cv2.COLOR_HSV2BGR)[0, 0])

    def any_colour(self) -> tuple[float, float, float]:
        """Draw any colour: one of the scene, slightly changed, or new."""
        if self.palette and self.rng.random() < self.shared:
            base = np.array(self.palette[self.rng.integers(len(self.palette))])
            return _triple(
                np.clip(
                    base * self.rng.uniform(0.8, 1.2)
                    + self.rng.normal(0, 0.03, 3),
                    0.03,
                    1,
                )
            )
        colour = self.colour()
        self.palette.append(colour)
        return colour

    def paint(self, patterns: Sequence[str] = PATTERNS[:6]) -> Material:
        """Paint, wallpaper or upholstery with any colour and pattern."""
        rng = self.rng
        pattern = 'plain' if rng.random() < 0.55 else str(rng.choice(patterns))
        return Material(
            self.any_colour(),
            self.any_colour(),
            pattern,
            period=rng.uniform(0.05, 0.3),
            angle=_axis_or_any(rng),
            roughness=rng.uniform(0.02, 0.3),
            gloss=rng.uniform(0, 0.2),
        )

    def wood(self) -> Material:
        """Wood: brown to nearly white or black, with grain."""
        rng = self.rng
        base = self.colour((15, 40), (0.15, 0.7), (0.2, 0.85))
        return Material(
            base,
            _triple(np.array(base) * rng.uniform(0.5, 0.85)),
            'grain',
            period=rng.uniform(0.06, 0.2),
            angle=_axis_or_any(rng),
            roughness=0.1,
            gloss=rng.uniform(0, 0.3),
        )

    def furniture(self) -> Material:
        """Wood or paint."""
        return self.wood() if self.rng.random() < 0.6 else self.paint()

    def metal(self) -> Material:
        """Metal of thin parts: grey, black or coloured; often no depth."""
        return Material(
            self.colour((0, 360), (0, 0.2), (0.08, 0.8)),
            roughness=0.05,
            gloss=0.6,
            dropout=self.rng.uniform(0, 0.5),
        )

    def cardboard(self) -> Material:
        """Cardboard with a lighter or darker strip of tape."""
        rng = self.rng
        base = self.colour((22, 38), (0.35, 0.6), (0.5, 0.85))
        return Material(
            base,
            _triple(np.clip(np.array(base) * rng.choice([0.65, 1.3]), 0, 1)),
            'band',
            period=rng.uniform(0.15, 0.3),
            angle=float(rng.choice([0, np.pi / 2])),
            roughness=0.15,
        )

    def drawers(self) -> Material:
        """Furniture front with horizontal gaps and handles."""
        base = self.furniture()
        return Material(
            base.colour,
            _triple(np.array(base.colour) * 0.35),
            'drawers',
            period=self.rng.uniform(0.15, 0.3),
            roughness=0.1,
            gloss=base.gloss,
        )

    def screen(self) -> Material:
        """Television screen: off (dark, hardly any depth) or showing."""
        rng = self.rng
        if rng.random() < 0.4:
            return self.image(emission=rng.uniform(0.25, 0.7), dropout=0.35)
        return Material(
            self.colour((180, 260), (0, 0.4), (0.02, 0.14)),
            roughness=0.02,
            gloss=0.8,
            dropout=rng.uniform(0.3, 0.8),
        )

    def image(self, emission: float = 0.0, dropout: float = 0.0) -> Material:
        """A picture: smooth patches of colour, sometimes very dark."""
        rng = self.rng
        dark = rng.random() < 0.35 and emission == 0
        scale = 0.2 if dark else 1.0
        return Material(
            _triple(scale * np.array(self.colour())),
            _triple(scale * np.array(self.colour())),
            'picture',
            period=rng.uniform(0.3, 1.0),
            angle=_axis_or_any(rng),
            roughness=0.05,
            gloss=0.6 if dark else 0.1,
            emission=emission,
            dropout=max(dropout, 0.3 if dark else 0.0),
        )

    def window(self) -> Material:
        """A window: bright by day, black by night; no depth in sunlight."""
        rng = self.rng
        if rng.random() < 0.6:
            return Material(
                self.colour((180, 230), (0, 0.3), (0.8, 1.0)),
                self.colour((80, 230), (0, 0.5), (0.5, 1.0)),
                'picture',
                period=1.0,
                emission=rng.uniform(0.5, 1.2),
                roughness=0.02,
                dropout=0.85,
            )
        return Material(
            self.colour((180, 260), (0, 0.4), (0.02, 0.14)),
            roughness=0.02,
            gloss=0.8,
            dropout=rng.uniform(0.3, 0.8),
        )

    def shade(self) -> Material:
        """Lamp shade, switched on in most cases."""
        rng = self.rng
        on = rng.random() < 0.55
        return Material(
            self.colour((20, 55), (0.05, 0.45), (0.75, 1.0))
            if on
            else self.any_colour(),
            roughness=0.05,
            emission=rng.uniform(0.4, 1.0) if on else 0.0,
            dropout=0.1 if on else 0.0,
        )

    def foliage(self) -> Material:
        """Leaves: green, strongly textured."""
        return Material(
            self.colour((70, 140), (0.3, 0.8), (0.2, 0.6)),
            self.colour((70, 140), (0.3, 0.8), (0.1, 0.35)),
            'blotches',
            period=self.rng.uniform(0.15, 0.35),
            roughness=0.5,
            dropout=0.1,
        )

    def floor(self) -> Material:
        """Floor boards, tiles or carpet."""
        rng = self.rng
        kind = rng.integers(3)
        if kind == 0:
            return self.wood()
        if kind == 1:
            base = self.any_colour()
            return Material(
                base,
                _triple(np.array(base) * rng.uniform(0.5, 0.9)),
                'tiles' if rng.random() < 0.6 else 'checks',
                period=rng.uniform(0.3, 0.8),
                angle=_axis_or_any(rng),
                roughness=0.08,
                gloss=0.3,
            )
        return self.paint(('blotches', 'stripes', 'dots'))


class MaterialTable:
    """All materials of a scene as arrays, indexed by number.

    Args:
        materials (Sequence[Material]): The materials.
    """

    def __init__(self, materials: Sequence[Material]) -> None:
        def column(name: str) -> NDArray[np.float32]:
            return np.array([getattr(m, name) for m in materials], np.float32)

        self.colour = column('colour') ** 2.2  # display -> linear light
        self.second = column('second') ** 2.2
        period = column('period')
        self.roughness = column('roughness')
        self.gloss = column('gloss')
        self.emission = column('emission')
        self.dropout = column('dropout')
        angle = column('angle')
        self.cos = np.cos(angle) / period
        self.sin = np.sin(angle) / period
        self.pattern = np.array([PATTERNS.index(m.pattern) for m in materials])

    def albedo(
        self, index: NDArray[np.intp], uv: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Colour of surface points.

        Args:
            index (ndarray): (N,) material of each point.
            uv (ndarray): (N, 2) position on the surface, metres; v is
                vertical on upright surfaces.

        Returns:
            ndarray: (N, 3) linear BGR reflectance.
        """
        cos, sin = self.cos[index], self.sin[index]
        p = cos * uv[:, 0] - sin * uv[:, 1]
        q = sin * uv[:, 0] + cos * uv[:, 1]
        # every material has its own piece of noise
        offset = (17 * index).astype(np.float32)
        noise = sample_noise(p * 24 + offset, q * 24 + offset * 3, 0)
        kind = self.pattern[index]
        mix = np.zeros(len(index), np.float32)
        for number, name in enumerate(PATTERNS):
            if name == 'plain':
                continue
            at = np.flatnonzero(kind == number)
            if at.size:
                mix[at] = _pattern(name, p[at], q[at], offset[at])
        colour = self.colour[index]
        colour += mix[:, None] * (self.second[index] - colour)
        hue = np.flatnonzero(kind == PATTERNS.index('picture'))
        if hue.size:
            for channel in range(3):
                colour[hue, channel] *= 0.35 + 1.3 * sample_noise(
                    p[hue] * 40 + offset[hue], q[hue] * 40, channel
                )
        gain = 1 + self.roughness[index] * (2 * noise - 1)
        return (colour * gain[:, None]).astype(np.float32)


def sample_noise(
    u: NDArray[np.floating], v: NDArray[np.floating], channel: int
) -> NDArray[np.float32]:
    """Smooth periodic noise in 0..1 at (u, v), period 128."""
    return _noise_tiles()[channel][
        np.floor(v).astype(np.int32) % _TILE,
        np.floor(u).astype(np.int32) % _TILE,
    ]


def _pattern(
    name: str,
    p: NDArray[np.floating],
    q: NDArray[np.floating],
    offset: NDArray[np.floating],
) -> NDArray[np.float32]:
    """Weight of the second colour; p, q in periods, (N,) in 0..1."""
    mix: NDArray[np.generic]
    if name == 'stripes':
        mix = p % 1 < 0.5
    elif name == 'checks':
        mix = (p % 1 < 0.5) ^ (q % 1 < 0.5)
    elif name == 'grain':
        mix = sample_noise(p * 30 + offset, q * 3, 1)
    elif name == 'blotches':
        mix = sample_noise(p * 30 + offset, q * 30, 2) > 0.5
    elif name == 'dots':
        mix = (p % 1 - 0.5) ** 2 + (q % 1 - 0.5) ** 2 < 0.07
    elif name == 'band':
        mix = np.abs(p) < 0.13
    elif name == 'drawers':
        row = q % 1
        mix = (row < 0.1) | ((np.abs(row - 0.4) < 0.07) & (np.abs(p) < 0.25))
    elif name == 'picture':
        mix = sample_noise(p * 20 + offset, q * 20, 0)
    else:  # tiles
        mix = (p % 1 < 0.06) | (q % 1 < 0.06)
    return mix.astype(np.float32)


@lru_cache(maxsize=1)
def _noise_tiles() -> NDArray[np.float32]:
    """Three fixed periodic noise tiles, (3, 128, 128), uniform in 0..1."""
    rng = np.random.default_rng(0)
    tiles = np.zeros((3, _TILE, _TILE), np.float32)
    for i in range(3):
        for cells, weight in ((8, 1.0), (24, 0.7), (64, 0.5)):
            coarse = np.pad(rng.standard_normal((cells, cells)), 2, 'wrap')
            size = round(_TILE * (cells + 4) / cells)
            fine = cv2.resize(
                coarse, (size, size), interpolation=cv2.INTER_CUBIC
            )
            start = round(2 * _TILE / cells)
            tiles[i] += (
                weight * fine[start : start + _TILE, start : start + _TILE]
            )
        rank = np.argsort(np.argsort(tiles[i].ravel()))
        tiles[i] = rank.reshape(_TILE, _TILE) / (rank.size - 1)
    return tiles


def _triple(values: NDArray[np.floating]) -> tuple[float, float, float]:
    b, g, r = np.clip(values, 0, 1).tolist()
    return b, g, r


def _axis_or_any(rng: np.random.Generator) -> float:
    if rng.random() < 0.7:
        return float(rng.choice([0, np.pi / 2]))
    return rng.uniform(0, np.pi)
