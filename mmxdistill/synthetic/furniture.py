"""The kinds of objects of synthetic scenes: labelled classes and clutter."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.random import Generator

from .materials import Material, MaterialSampler
from .shapes import Shape

# Classes and ids of the NYUD2 detection task that the scenes contain.
CLASSES = {'box': 4, 'chair': 5, 'lamp': 11, 'table': 17, 'television': 18}
Maker = Callable[[Generator, MaterialSampler], Shape]


def make_box(rng: Generator, materials: MaterialSampler) -> Shape:
    """Cardboard box: the shape of ``make_block``, told apart by colour."""
    shape = Shape('box')
    w, d, h = _block_size(rng)
    shape.box(0, 0, (w, d), (0, h), materials.cardboard())
    return shape


def make_block(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled cuboid: a drawer unit, an ottoman, a speaker."""
    shape = Shape('block')
    w, d, h = _block_size(rng)
    shape.box(
        0,
        0,
        (w, d),
        (0, h),
        materials.drawers() if rng.random() < 0.5 else materials.paint(),
    )
    return shape


def make_chair(rng: Generator, materials: MaterialSampler) -> Shape:
    """Seat and back on four legs or a pedestal, sometimes with arms."""
    shape = Shape('chair')
    w, d = rng.uniform(0.4, 0.56), rng.uniform(0.4, 0.54)
    seat, top = rng.uniform(0.4, 0.5), rng.uniform(0.78, 1.08)
    thick = rng.uniform(0.03, 0.12)
    cover = materials.furniture()
    frame = materials.metal() if rng.random() < 0.4 else cover
    shape.box(0, 0, (w, d), (seat - thick, seat), cover)
    back = rng.uniform(0.03, 0.1)
    gap = rng.uniform(0, 0.14) if rng.random() < 0.5 else 0.0
    shape.box(0, (d - back) / 2, (w, back), (seat + gap, top), cover)
    if gap:
        for x in (-1, 1):
            shape.box(
                x * (w / 2 - 0.03),
                (d - back) / 2,
                (0.04, 0.03),
                (seat, seat + gap),
                frame,
            )
    if rng.random() < 0.7:
        shape.legs((w, d), seat - thick, rng.uniform(0.03, 0.06), frame)
    else:
        shape.frustum(0, 0, (0.03, 0.03), (0.04, seat - thick), frame)
        shape.frustum(0, 0, (w * 0.48, 0.05), (0, 0.08), frame)
    if rng.random() < 0.35:
        for x in (-1, 1):
            shape.box(
                x * (w / 2 + 0.02),
                0,
                (0.05, d * 0.85),
                (seat + 0.16, seat + 0.21),
                frame,
            )
            shape.box(
                x * (w / 2 + 0.02),
                -d * 0.36,
                (0.04, 0.04),
                (seat - thick, seat + 0.16),
                frame,
            )
    return shape


def make_stool(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled: a chair without a back."""
    shape = Shape('stool')
    radius, seat = rng.uniform(0.17, 0.26), rng.uniform(0.4, 0.75)
    cover = materials.furniture()
    if rng.random() < 0.5:
        shape.frustum(0, 0, (radius, radius), (seat - 0.06, seat), cover)
    else:
        shape.box(0, 0, (2 * radius, 2 * radius), (seat - 0.06, seat), cover)
    frame = materials.metal() if rng.random() < 0.5 else cover
    shape.legs((1.5 * radius, 1.5 * radius), seat - 0.06, 0.035, frame)
    return shape


def make_table(rng: Generator, materials: MaterialSampler) -> Shape:
    """Rectangular or round top on four legs, a pedestal or two panels."""
    shape = Shape('table')
    low = rng.random() < 0.25
    top = rng.uniform(0.4, 0.5) if low else rng.uniform(0.68, 0.8)
    thick = rng.uniform(0.03, 0.07)
    wood = materials.wood() if rng.random() < 0.7 else materials.paint()
    frame = materials.metal() if rng.random() < 0.3 else wood
    if rng.random() < 0.25:
        radius = rng.uniform(0.35, 0.6)
        shape.frustum(0, 0, (radius, radius), (top - thick, top), wood)
        shape.frustum(0, 0, (0.06, 0.05), (0.03, top - thick), frame)
        shape.frustum(0, 0, (radius * 0.6, 0.06), (0, 0.05), frame)
    else:
        w, d = rng.uniform(0.8, 1.7), rng.uniform(0.55, 0.9)
        shape.box(0, 0, (w, d), (top - thick, top), wood)
        if rng.random() < 0.75:
            shape.legs(
                (w * 0.94, d * 0.94),
                top - thick,
                rng.uniform(0.04, 0.09),
                frame,
            )
        else:
            for x in (-1, 1):
                shape.box(
                    x * w * 0.45, 0, (0.05, d * 0.8), (0, top - thick), frame
                )
    shape.top = top
    return shape


def make_cabinet(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled: a solid cabinet as high as a table, or a low one."""
    shape = Shape('cabinet')
    w, d = rng.uniform(0.7, 1.6), rng.uniform(0.4, 0.65)
    top = (
        rng.uniform(0.4, 0.55)
        if rng.random() < 0.4
        else rng.uniform(0.68, 0.95)
    )
    shape.box(
        0,
        0,
        (w, d),
        (0, top),
        materials.drawers() if rng.random() < 0.6 else materials.furniture(),
    )
    shape.top = top
    return shape


def make_lamp(rng: Generator, materials: MaterialSampler) -> Shape:
    """Floor lamp: a shade on a pole."""
    return _lamp(rng, materials, rng.uniform(1.2, 1.75))


def make_table_lamp(rng: Generator, materials: MaterialSampler) -> Shape:
    """Lamp that stands on furniture."""
    return _lamp(rng, materials, rng.uniform(0.4, 0.65))


def make_plant(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled: shaped like a lamp, told apart by its leaves."""
    shape = Shape('plant')
    height = rng.uniform(0.9, 1.7)
    pot = rng.uniform(0.1, 0.18)
    shape.frustum(
        0,
        0,
        (pot * 0.75, pot),
        (0, rng.uniform(0.15, 0.35)),
        materials.paint(),
    )
    shape.frustum(0, 0, (0.02, 0.02), (0.15, height * 0.75), materials.wood())
    leaves = materials.foliage()
    crown = rng.uniform(0.15, 0.3)
    for _ in range(rng.integers(1, 4)):
        x, z = rng.normal(0, 0.08, 2)
        low = height * rng.uniform(0.55, 0.75)
        shape.ellipsoid(
            x,
            z,
            (crown, crown * rng.uniform(0.7, 1)),
            (low, low + crown * rng.uniform(1.2, 2.0)),
            leaves,
        )
    return shape


def make_television(rng: Generator, materials: MaterialSampler) -> Shape:
    """Flat screen on a foot (stands on furniture)."""
    shape = Shape('television')
    bottom = rng.uniform(0.04, 0.1)
    width, height, case = _panel(shape, rng, materials, bottom)
    shape.box(0, 0.03, (width * 0.12, 0.05), (0, bottom + height * 0.4), case)
    shape.box(0, 0, (width * 0.45, 0.2), (0, 0.02), case)
    return shape


def make_wall_television(rng: Generator, materials: MaterialSampler) -> Shape:
    """Flat screen on the wall: its bracket keeps it off the wall."""
    shape = Shape('television')
    width, height, case = _panel(shape, rng, materials, 0.0)
    gap = rng.uniform(0.06, 0.14)
    offset = np.array([0, 0, gap + shape.parts[0].half[2]])
    shape.parts = [replace(p, centre=p.centre - offset) for p in shape.parts]
    shape.box(
        0, -gap / 2, (width * 0.3, gap), (height * 0.3, height * 0.7), case
    )
    return shape


def make_picture(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled picture flat on the wall; can look like a television."""
    shape = Shape('picture')
    wide = rng.random() < 0.6
    width = rng.uniform(0.5, 1.2) if wide else rng.uniform(0.3, 0.7)
    height = width * (
        rng.uniform(0.5, 0.75) if wide else rng.uniform(0.9, 1.5)
    )
    dark = rng.random() < 0.5
    frame = materials.colour(
        (0, 360), (0, 0.2), (0.02, 0.15) if dark else (0.3, 0.9)
    )
    edge = rng.uniform(0.015, 0.06)
    shape.box(0, -0.006, (width, 0.012), (0, height), Material(frame))
    shape.box(
        0,
        -0.008,
        (width - 2 * edge, 0.016),
        (edge, height - edge),
        materials.image(),
    )
    return shape


def make_window(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled window flush with the wall."""
    shape = Shape('window')
    width, height = rng.uniform(0.6, 1.5), rng.uniform(0.7, 1.2)
    frame = Material(materials.colour((0, 60), (0, 0.3), (0.5, 1.0)))
    shape.box(0, -0.01, (width, 0.02), (0, height), frame)
    glass = materials.window()
    panes = int(rng.integers(1, 3))
    for i in range(panes):
        shape.box(
            (i + 0.5) * width / panes - width / 2,
            -0.011,
            (width / panes - 0.1, 0.022),
            (0.05, height - 0.05),
            glass,
        )
    return shape


def make_sofa(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled: a seat with back and arms, wider than a chair, no legs."""
    shape = Shape('sofa')
    w, d = rng.uniform(1.2, 2.0), rng.uniform(0.75, 0.95)
    seat, top = rng.uniform(0.38, 0.45), rng.uniform(0.7, 0.9)
    cover = materials.paint()
    shape.box(0, 0, (w, d), (0, seat), cover)
    shape.box(0, d * 0.38, (w, d * 0.24), (seat, top), cover)
    for x in (-1, 1):
        shape.box(x * w * 0.45, 0, (w * 0.1, d), (seat, seat + 0.18), cover)
    return shape


def make_small(rng: Generator, materials: MaterialSampler) -> Shape:
    """Unlabelled small thing: a ball, a mug, a bin, a book."""
    shape = Shape('small')
    size = rng.uniform(0.05, 0.16)
    paint = materials.paint()
    kind = rng.integers(3)
    if kind == 0:
        shape.ellipsoid(0, 0, (size, size), (0, 2 * size), paint)
    elif kind == 1:
        shape.frustum(
            0, 0, (size * 0.8, size), (0, size * rng.uniform(1.2, 2.6)), paint
        )
    else:
        shape.box(
            0,
            0,
            (size * 2, size * 1.4),
            (0, size * rng.uniform(0.3, 1.2)),
            paint,
        )
    return shape


def _block_size(rng: Generator) -> tuple[float, float, float]:
    return (
        rng.uniform(0.3, 0.65),
        rng.uniform(0.28, 0.55),
        rng.uniform(0.25, 0.6),
    )


def _lamp(rng: Generator, materials: MaterialSampler, height: float) -> Shape:
    shape = Shape('lamp')
    shade = rng.uniform(0.14, 0.24) * (1 if height > 1 else 0.85)
    length = shade * rng.uniform(1.1, 1.9)
    frame = materials.metal() if rng.random() < 0.7 else materials.wood()
    pole = rng.uniform(0.012, 0.025) * (1 if height > 1 else 2)
    shape.frustum(0, 0, (shade * 0.7, shade * 0.6), (0, 0.03), frame)
    shape.frustum(0, 0, (pole, pole), (0, height - length / 2), frame)
    shape.frustum(
        0,
        0,
        (shade, shade * rng.uniform(0.4, 0.95)),
        (height - length, height),
        materials.shade(),
    )
    return shape


def _panel(
    shape: Shape, rng: Generator, materials: MaterialSampler, bottom: float
) -> tuple[float, float, Material]:
    """Case and screen of a television; returns width, height and case."""
    width = rng.uniform(0.65, 1.25)
    height, depth = width * rng.uniform(0.54, 0.66), rng.uniform(0.04, 0.08)
    case = Material(
        materials.colour((0, 360), (0, 0.15), (0.02, 0.25)),
        gloss=0.4,
        dropout=0.2,
    )
    shape.box(0, 0, (width, depth), (bottom, bottom + height), case)
    edge = rng.uniform(0.015, 0.05)
    shape.box(
        0,
        -0.003,
        (width - 2 * edge, depth),
        (bottom + edge, bottom + height - edge),
        materials.screen(),
    )
    return width, height, case
