import importlib.util
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mmxdistill.encodings import (
    PinholeCamera,
    encode_hha_with_diagnostics,
    estimate_gravity,
)


def degrees_between(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def reference_gravity(
    normals: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, float]:
    """The iteration as defined, every sum over all normals (n, 3)."""
    for threshold in np.radians([45.0] * 5 + [15.0] * 5):
        cosine = np.abs(normals @ y)
        floor = normals[cosine > np.cos(threshold)]
        wall = normals[cosine < np.sin(threshold)]
        values, vectors = np.linalg.eigh(wall.T @ wall - floor.T @ floor)
        gap = (values[1] - values[0]) / (len(wall) + len(floor))
        y = vectors[:, 0] * np.sign(vectors[:, 0] @ y)
    return y, gap


@pytest.mark.parametrize('start', [(0.0, 1.0, 0.0), (0.3, -0.9, 0.2)])
def test_equals_the_definition(start: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    normals = rng.standard_normal((100_000, 3))  # several blocks
    normals[:, 1] *= 3
    normals += (0.2, 0.0, 0.5)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    y = np.array(start) / np.linalg.norm(start)
    expected, gap = reference_gravity(normals, y)
    padded = np.concatenate([normals, np.zeros((50_000, 3))])
    estimate = estimate_gravity(padded.T, start)
    np.testing.assert_allclose(estimate.gravity, expected, atol=1e-12)
    assert estimate.num_normals == 100_000
    assert estimate.eigen_gap == pytest.approx(gap)


@pytest.mark.parametrize(
    ('pitch', 'roll'), [(0, 0), (20, 5), (-20, -5), (35, 10), (-35, -10)]
)
def test_rooms(
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
    pitch: float,
    roll: float,
) -> None:
    depth, truth = render_room(pitch, roll)
    _, report = encode_hha_with_diagnostics(depth, camera)
    assert degrees_between(report.gravity, truth) < 0.3
    tilt = degrees_between(truth, np.array([0.0, 1.0, 0.0]))
    assert report.tilt_degrees == pytest.approx(tilt, abs=0.3)
    assert report.eigen_gap is not None
    assert report.eigen_gap > 0.01


@pytest.mark.parametrize(('pitch', 'roll'), [(60, 0), (0, 90), (10, 180)])
def test_initial_gravity_rescues_large_tilts(
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
    pitch: float,
    roll: float,
) -> None:
    depth, truth = render_room(pitch, roll)
    _, alone = encode_hha_with_diagnostics(depth, camera)
    assert degrees_between(alone.gravity, truth) > 45
    imu = truth + np.array([0.1, -0.1, 0.1])
    _, helped = encode_hha_with_diagnostics(depth, camera, initial_gravity=imu)
    assert degrees_between(helped.gravity, truth) < 0.5


def test_without_normals_the_direction_stays() -> None:
    estimate = estimate_gravity(np.zeros((3, 4, 5)), (0.0, 2.0, 0.0))
    np.testing.assert_array_equal(estimate.gravity, (0, 1, 0))
    assert estimate.eigen_gap == 0
    assert estimate.num_normals == 0


def test_frontal_wall_does_not_move_gravity() -> None:
    normals = np.zeros((3, 1000))
    normals[2] = 1.0
    estimate = estimate_gravity(normals, (0.6, 0.8, 0.0))
    np.testing.assert_allclose(estimate.gravity, (0.6, 0.8, 0.0), atol=1e-15)
    assert estimate.eigen_gap <= 1e-9


def test_sign_of_an_orthogonal_axis_is_not_left_to_rounding() -> None:
    # One curved wall, too steep for a floor: only x is parallel to all of it.
    slant = np.radians(np.linspace(-40, 40, 1000))
    normals = np.stack([0 * slant, np.sin(slant), np.cos(slant)])
    noise = np.random.default_rng(0).standard_normal((20, 3, 1000)) * 1e-14
    for perturbed in normals + noise:
        for order in (slice(None), slice(None, None, -1)):
            found = estimate_gravity(perturbed[:, order]).gravity
            np.testing.assert_allclose(found, (1, 0, 0), atol=1e-9)


@pytest.mark.parametrize('bad', [(0, 0, 0), (0, 1), (0, np.nan, 1)])
def test_bad_initial_gravity_is_named(bad: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match='initial_gravity .* 3 finite'):
        estimate_gravity(np.zeros((3, 4)), bad)


@pytest.fixture(scope='module')
def benchmark() -> ModuleType:
    """The tool that reads the real frames and their given gravity."""
    path = Path(__file__).resolve().parents[2] / 'tools/benchmarks/hha.py'
    spec = importlib.util.spec_from_file_location('benchmark_hha', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_kitchen_agrees_with_the_given_gravity(
    data: Path, benchmark: ModuleType
) -> None:
    cases = islice(benchmark.kitchen(data / 'kitchen_rgbd'), 0, None, 21)
    errors = [benchmark.gravity_error(case) for case in cases]
    # The given direction and the poses have errors of their own.
    assert len(errors) == 12
    assert np.median(errors) < 2
    assert max(errors) < 4


def test_sunrgbd_agrees_with_the_given_gravity(
    data: Path, benchmark: ModuleType
) -> None:
    cases = benchmark.sunrgbd(data / 'sunrgbd_samples')
    errors = [benchmark.gravity_error(case) for case in cases]
    assert len(errors) == 2
    assert max(errors) < 3
