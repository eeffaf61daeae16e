from collections.abc import Callable
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from mmxdistill.encodings import PinholeCamera, surface_normals


def reference_normal(
    depth: np.ndarray,
    valid: np.ndarray,
    camera: PinholeCamera,
    radius: int,
    pixel: tuple[int, int],
) -> np.ndarray | None:
    """Section 2 of the definition, word for word, in exact arithmetic."""
    h, w = depth.shape
    row, column = pixel
    window = [
        (r, c)
        for r in range(max(0, row - radius), min(h, row + radius + 1))
        for c in range(max(0, column - radius), min(w, column + radius + 1))
        if valid[r, c]
    ]

    def ray(r: int, c: int) -> list[Fraction]:
        return [
            (c + 1 - Fraction(camera.cx)) / Fraction(camera.fx),
            (r + 1 - Fraction(camera.cy)) / Fraction(camera.fy),
            Fraction(1),
        ]

    m = [[Fraction(0)] * 3 for _ in range(3)]
    b = [Fraction(0)] * 3
    for r, c in window:
        direction = ray(r, c)
        for i in range(3):
            b[i] += direction[i] * Fraction(10, int(depth[r, c]))
            for j in range(3):
                m[i][j] += direction[i] * direction[j]

    def cofactor(i: int, j: int) -> Fraction:
        (p, q), (s, t) = (
            [k for k in range(3) if k != i],
            [k for k in range(3) if k != j],
        )
        return (-1) ** (i + j) * (m[p][s] * m[q][t] - m[p][t] * m[q][s])

    if not window or sum(m[0][j] * cofactor(0, j) for j in range(3)) == 0:
        return None
    # The adjugate of a symmetric matrix is symmetric.
    n = [sum(cofactor(i, j) * b[j] for j in range(3)) for i in range(3)]
    if n[2] < 0:
        n = [-value for value in n]
    z = int(depth[pixel])
    if sum(a * p * z for a, p in zip(n, ray(*pixel), strict=True)) < 0:
        n = [-value for value in n]
    normal = np.array([float(value) for value in n])
    return normal / np.linalg.norm(normal)


@pytest.mark.parametrize(
    ('shape', 'radius', 'density', 'holes'),
    [
        ((9, 11), 3, 1.0, 0.0),
        ((9, 11), 3, 0.15, 0.3),  # many rank-deficient and empty windows
        ((7, 30), 10, 0.02, 0.3),
        ((5, 5), 10, 0.5, 0.5),  # smaller than the window
        ((1, 6), 3, 1.0, 0.0),  # every window is one line
        ((6, 1), 3, 1.0, 0.0),
        ((1, 1), 3, 1.0, 0.0),
        ((40, 3), 2, 0.4, 0.3),  # more than one band of rows
    ],
)
def test_equals_the_definition(
    shape: tuple[int, int], radius: int, density: float, holes: float
) -> None:
    rng = np.random.default_rng(sum(shape))
    depth = rng.integers(300, 6000, shape).astype(np.uint16)
    valid = rng.random(shape) < density
    depth[~valid & (rng.random(shape) < holes)] = 0
    # A short focal length and a centre outside: all sign rules matter.
    camera = PinholeCamera(4.0, 5.0, -3.2, 12.7)
    normals, exists = surface_normals(depth, valid, camera, radius)
    for pixel in np.ndindex(shape):
        expected = reference_normal(depth, valid, camera, radius, pixel)
        assert exists[pixel] == (expected is not None), pixel
        np.testing.assert_allclose(
            normals[(slice(None), *pixel)],
            np.zeros(3) if expected is None else expected,
            atol=1e-9,
        )


def test_plane_through_the_camera_faces_forward() -> None:
    # Powers of two and a unit camera keep all numbers exact: 1/z is 0 at the
    # first column, so N . P = 0 there and the sign of N_z decides.
    depth = np.tile(np.array([2560, 2560, 1280], np.uint16), (2, 1))
    valid = depth > 0
    valid[:, 0] = False
    camera = PinholeCamera(1.0, 1.0, 0.0, 1.0)
    normals, _ = surface_normals(depth, valid, camera, 3)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(normals[:, 0, 0], (-half, 0, half), atol=1e-15)


def test_bands_and_wide_images_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    shape = (100, 4600)  # several bands, sums beyond 32 bits
    depth = rng.integers(2000, 2100, shape).astype(np.uint16)
    valid = rng.random(shape) < 0.98
    camera = PinholeCamera(900.0, 900.0, 2300.0, 50.0)
    whole, exists = surface_normals(depth, valid, camera, 10)
    part, part_exists = surface_normals(
        depth[20:90, 30:130].copy(),
        valid[20:90, 30:130].copy(),
        camera.crop(30, 20),
        10,
    )
    inner = (slice(10, -10), slice(10, -10))
    np.testing.assert_array_equal(
        exists[20:90, 30:130][inner], part_exists[inner]
    )
    np.testing.assert_allclose(
        whole[:, 20:90, 30:130][(slice(None), *inner)],
        part[(slice(None), *inner)],
        atol=1e-9,
    )


@pytest.mark.parametrize('radius', [3, 10])
def test_orientation_of_floor_wall_and_ceiling(
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
    radius: int,
) -> None:
    depth, _ = render_room(below=100.0, above=90.0)
    normals, exists = surface_normals(depth, depth > 0, camera, radius)
    assert exists.all()
    for pixel, expected in (
        ((112, 80), (0, 1, 0)),
        ((5, 80), (0, -1, 0)),
        ((60, 80), (0, 0, 1)),
        ((60, 5), (-1, 0, 0)),
        ((60, 155), (1, 0, 0)),
    ):
        found = normals[(slice(None), *pixel)]
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_hole_is_bridged_up_to_the_radius(camera: PinholeCamera) -> None:
    depth = np.full((120, 160), 2000, np.uint16)
    valid = np.ones(depth.shape, bool)
    valid[40:80, 50:90] = False
    for radius in (3, 10):
        _, exists = surface_normals(depth, valid, camera, radius)
        # One valid line at the very reach of the window is not a plane.
        assert not exists[40 + radius - 1 : 81 - radius, 70].any()
        assert exists[40 + radius - 2, 70]
        assert exists[81 - radius, 70]


@pytest.mark.golden
@pytest.mark.parametrize(
    ('radius', 'archive', 'key', 'suffix'),
    [(3, 'golden', 'N', '3'), (10, 'golden_n2', 'N2', '10')],
)
def test_golden_normals(
    golden_frame: SimpleNamespace,
    radius: int,
    archive: str,
    key: str,
    suffix: str,
) -> None:
    normals, exists = surface_normals(
        golden_frame.depth,
        golden_frame.raw > 0,
        golden_frame.camera,
        radius,
    )
    masks = golden_frame.arrays('golden')
    without = masks[f'empty{suffix}'] | masks[f'degenerate{suffix}']
    np.testing.assert_array_equal(exists, ~without)
    expected = golden_frame.arrays(archive)[key][exists]
    found = np.moveaxis(normals, 0, -1)[exists]
    chord = np.linalg.norm(found - expected, axis=-1)
    assert np.degrees(chord.max()) < 5e-3
    assert np.degrees(np.median(chord)) < 1e-6
