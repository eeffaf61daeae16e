import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from mmxdistill.encodings import (
    PinholeCamera,
    encode_hha,
    encode_hha_with_diagnostics,
)
from mmxdistill.encodings.frame import NumpyFrame
from mmxdistill.encodings.hha import _frame_class

Room = Callable[..., tuple[np.ndarray, np.ndarray]]
ANGLE, HEIGHT, DISPARITY = range(3)


def assert_close_to_golden(found: np.ndarray, expected: np.ndarray) -> None:
    """Disparity identical, at most 5 pixels of the others 1 level off."""
    np.testing.assert_array_equal(
        found[..., DISPARITY], expected[..., DISPARITY]
    )
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference[..., ANGLE]) <= 5
    assert np.count_nonzero(difference[..., HEIGHT]) <= 5


@pytest.mark.golden
def test_golden_frame(golden_frame: SimpleNamespace, backend: str) -> None:
    found, report = encode_hha_with_diagnostics(
        golden_frame.depth,
        golden_frame.camera,
        golden_frame.raw,
        backend=backend,
    )
    assert_close_to_golden(found, golden_frame.image('hha'))
    expected = golden_frame.arrays('golden')
    np.testing.assert_allclose(report.gravity, expected['yDir'], atol=1e-7)
    without = expected['empty3'] | expected['degenerate3']
    assert report.num_normals == np.count_nonzero(~without)
    assert report.num_valid == np.count_nonzero(golden_frame.raw)


@pytest.mark.golden
def test_golden_frame_without_raw_depth(
    golden_frame: SimpleNamespace, backend: str
) -> None:
    found = encode_hha(
        golden_frame.depth, golden_frame.camera, backend=backend
    )
    assert_close_to_golden(found, golden_frame.image('hha_nomask'))


@pytest.mark.golden
def test_golden_frame_of_the_unmodified_code(
    golden_frame: SimpleNamespace, backend: str
) -> None:
    found = encode_hha(
        golden_frame.depth,
        golden_frame.camera,
        golden_frame.raw,
        backend=backend,
    )
    # There rank-deficient windows have random normals, which turn gravity by
    # some 0.01 degrees.
    sound = ~golden_frame.arrays('golden')['degenerate3']
    expected = golden_frame.image('hha_authors')
    difference = np.abs(found.astype(int) - expected)[sound]
    assert difference.max() <= 1
    differing = np.count_nonzero(difference, axis=0) / sound.sum()
    assert differing[DISPARITY] == 0
    assert differing[HEIGHT] <= 0.05
    assert differing[ANGLE] <= 0.02


@pytest.mark.golden
def test_golden_synthetic(
    golden_synthetic: SimpleNamespace, backend: str
) -> None:
    case = golden_synthetic
    found, report = encode_hha_with_diagnostics(
        case.depth, case.camera, case.raw, backend=backend
    )
    if case.ill_posed:
        # Gravity is arbitrary in the original.
        np.testing.assert_array_equal(
            found[..., DISPARITY], case.expected[..., DISPARITY]
        )
        assert report.eigen_gap is not None
        assert report.eigen_gap < 1e-5
        return
    if case.name == 'zero_depth_marked_valid':
        # The original loses every normal near such a pixel; here it counts
        # as missing.
        case.expected = case.masked
    assert_close_to_golden(found, case.expected)
    if case.yDir.any() and case.name != 'zero_depth_marked_valid':
        np.testing.assert_allclose(report.gravity, case.yDir, atol=1e-7)


def test_channels_of_a_room(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, gravity = render_room(15, 4)
    hha = encode_hha(depth, camera, backend=backend)
    down = encode_hha(depth, camera, gravity=gravity, backend=backend)
    np.testing.assert_allclose(hha[..., ANGLE], down[..., ANGLE], atol=1)
    floor, wall = down[118, 80], down[45, 80]
    np.testing.assert_allclose(floor[[ANGLE, HEIGHT]], (38, 0), atol=1)
    # The centre ray meets the wall 400 cm ahead 15 degrees below level.
    v = (46 - camera.cy) / camera.fy
    slope = (np.sin(np.radians(15)) + v * np.cos(np.radians(15))) / (
        np.cos(np.radians(15)) - v * np.sin(np.radians(15))
    )
    np.testing.assert_allclose(
        wall[[ANGLE, HEIGHT]], (128, 140 - 400 * slope), atol=4
    )
    assert wall[DISPARITY] == int(310000 / depth[45, 80] + 0.5)


@pytest.mark.parametrize(('depth', 'height'), [(0, 130), (3000, None)])
def test_nothing_measured(
    camera: PinholeCamera, depth: int, height: int | None, backend: str
) -> None:
    filled = np.full((120, 160), depth, np.uint16)
    hha, report = encode_hha_with_diagnostics(
        filled, camera, np.zeros_like(filled), backend=backend
    )
    assert (hha[..., ANGLE] == 218).all()
    if height is not None:
        assert (hha == (218, height, 255)).all()
    np.testing.assert_array_equal(report.gravity, (0, 1, 0))
    assert (report.num_valid, report.num_normals) == (0, 0)
    assert (report.eigen_gap, report.tilt_degrees) == (0, 0)


@pytest.mark.parametrize(
    ('rows', 'columns'),
    [
        (slice(60, 61), slice(73, 74)),
        (slice(60, 61), slice(70, 77)),  # just the window of the angle
        (slice(60, 61), slice(63, 84)),  # just the window of gravity
        (slice(60, 61), slice(None)),
        (slice(None), slice(80, 81)),
    ],
)
def test_one_line_of_measurements_is_like_none(
    render_room: Room,
    camera: PinholeCamera,
    backend: str,
    rows: slice,
    columns: slice,
) -> None:
    depth, _ = render_room(20, 5)
    raw = np.zeros_like(depth)
    nothing = encode_hha(depth, camera, raw, backend=backend)
    raw[rows, columns] = 1
    found, report = encode_hha_with_diagnostics(
        depth, camera, raw, backend=backend
    )
    np.testing.assert_array_equal(found, nothing)
    assert report.num_normals == report.eigen_gap == 0
    raw[61, 81] = 1
    found = encode_hha(depth, camera, raw, backend=backend)
    existing = found[..., ANGLE] != 218
    assert existing.any() == (np.count_nonzero(raw[57:65, 74:84]) > 2)


def test_two_rows_of_measurements_suffice(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, gravity = render_room(20, 5)
    raw = np.zeros_like(depth)
    raw[60:62] = 1
    _, report = encode_hha_with_diagnostics(
        depth, camera, raw, gravity=gravity, backend=backend
    )
    # Windows of 3 rows above and below see both rows.
    assert report.num_normals == 6 * 160


def test_far_scene_saturates(camera: PinholeCamera, backend: str) -> None:
    depth = np.full((120, 160), 65535, np.uint16)
    hha = encode_hha(depth, camera, gravity=(0, 1, 0), backend=backend)
    assert (hha[:60, :, HEIGHT] == 255).all()
    assert (hha[119, :, HEIGHT] == 0).all()
    assert (hha[..., DISPARITY] == 5).all()


@pytest.mark.parametrize('seed', range(6))
def test_backends_agree(seed: int) -> None:
    pytest.importorskip('numba', exc_type=ImportError)
    rng = np.random.default_rng(seed)
    h, w = rng.integers(1, 200, 2)
    v, u = np.mgrid[:h, :w]
    depth = 1500 + 9 * u + rng.integers(-30, 30) * v + 40 * rng.random((h, w))
    depth = np.where(rng.random((h, w)) < 0.05, 0, depth).astype(np.uint16)
    raw = rng.random((h, w)) < rng.choice([0.02, 0.3, 0.9, 1.0])
    camera = PinholeCamera(90.0, 97.0, -3.3, 40.2, w, h)
    results = [
        encode_hha_with_diagnostics(depth, camera, raw, backend=backend)
        for backend in ('numpy', 'numba')
    ]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    reports = [report for _, report in results]
    np.testing.assert_allclose(
        reports[0].gravity, reports[1].gravity, atol=1e-9
    )
    assert reports[0].eigen_gap == pytest.approx(
        reports[1].eigen_gap, abs=1e-9
    )
    assert reports[0].num_normals == reports[1].num_normals
    assert reports[0].num_valid == reports[1].num_valid


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [*sys.modules]:
        if name == 'numba' or name.endswith('.frame_numba'):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'numba', None)
    _frame_class.cache_clear()
    yield
    _frame_class.cache_clear()


def test_works_without_numba(
    without_numba: None, render_room: Room, camera: PinholeCamera
) -> None:
    depth, _ = render_room(20, 5)
    assert _frame_class('auto') is NumpyFrame
    np.testing.assert_array_equal(
        encode_hha(depth, camera), encode_hha(depth, camera, backend='numpy')
    )
    with pytest.raises(ImportError, match='pip install numba'):
        encode_hha(depth, camera, backend='numba')


def test_numba_is_chosen_if_it_is_there() -> None:
    numba = pytest.importorskip('numba', exc_type=ImportError)
    assert numba
    assert _frame_class('auto') is _frame_class('numba')
    assert _frame_class('auto') is not NumpyFrame


def test_zero_depth_is_never_measured(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, _ = render_room(20, 5)
    depth[50:60, 70:90] = 0
    measured = (depth > 0).astype(np.uint16)
    expected = encode_hha(depth, camera, measured, backend=backend)
    everywhere = np.ones_like(depth)
    np.testing.assert_array_equal(
        encode_hha(depth, camera, everywhere, backend=backend), expected
    )
    np.testing.assert_array_equal(
        encode_hha(depth, camera, backend=backend), expected
    )


def test_ground_is_the_lowest_point_from_90_cm_on(
    camera: PinholeCamera, backend: str
) -> None:
    depth = np.full((120, 160), 1800, np.uint16)
    bottom = (120 - camera.cy) / camera.fy
    gravity = (0.0, 1.0, 0.0)
    for below, ground in ((89.9, 130.0), (90.1, 90.1)):
        depth[119] = round(below / bottom * 10)
        hha = encode_hha(depth, camera, gravity=gravity, backend=backend)
        level = 180 * (camera.cy - 60) / camera.fy + ground
        assert hha[59, 0, HEIGHT] == int(level + 0.5)


def test_missing_depth_is_at_the_camera(
    camera: PinholeCamera, backend: str
) -> None:
    depth = np.full((120, 160), 5000, np.uint16)
    depth[:60] = 0
    hha = encode_hha(depth, camera, gravity=(0, 1, 0), backend=backend)
    lowest = 500 * (120 - camera.cy) / camera.fy
    assert (hha[:60, :, HEIGHT] == int(lowest + 0.5)).all()
    assert (hha[:60, :, DISPARITY] == 255).all()


@pytest.mark.parametrize(('tilt', 'turned'), [(0.099, False), (0.101, True)])
def test_height_ignores_tilts_up_to_a_tenth_of_a_degree(
    camera: PinholeCamera, tilt: float, turned: bool, backend: str
) -> None:
    depth = np.full((120, 160), 65535, np.uint16)
    level = encode_hha(depth, camera, gravity=(0, 1, 0), backend=backend)
    gravity = (np.sin(np.radians(tilt)), np.cos(np.radians(tilt)), 0)
    tilted = encode_hha(depth, camera, gravity=gravity, backend=backend)
    same = np.array_equal(level[..., HEIGHT], tilted[..., HEIGHT])
    assert same != turned


def test_known_gravity_is_used_at_any_length(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, gravity = render_room(60)
    hha, report = encode_hha_with_diagnostics(
        depth, camera, gravity=3 * gravity, backend=backend
    )
    np.testing.assert_allclose(report.gravity, gravity, atol=1e-15)
    assert report.eigen_gap is None
    assert report.tilt_degrees == pytest.approx(60)
    assert hha[115, 80, ANGLE] == pytest.approx(38, abs=1)


def test_crop_with_its_camera_keeps_the_angles(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, gravity = render_room(20, 5)
    whole = encode_hha(depth, camera, gravity=gravity, backend=backend)
    part = depth[30:, 40:130]  # keeps the lowest pixels of the floor
    cropped = encode_hha(
        part, camera.crop(40, 30, 90, 90), gravity=gravity, backend=backend
    )
    inner = cropped[3:, 3:-3]
    expected = whole[33:, 43:127]
    np.testing.assert_array_equal(inner[..., ANGLE], expected[..., ANGLE])
    np.testing.assert_array_equal(
        inner[..., DISPARITY], expected[..., DISPARITY]
    )
    # Heights agree but for the zero, which the crop's lowest pixel sets.
    shift = inner[..., HEIGHT].astype(int) - expected[..., HEIGHT]
    assert np.ptp(shift[expected[..., HEIGHT] < 240]) <= 1
    unshifted = PinholeCamera(
        camera.fx, camera.fy, camera.cx, camera.cy, 90, 90
    )
    wrong = encode_hha(part, unshifted, gravity=gravity, backend=backend)
    assert (wrong[..., HEIGHT] != cropped[..., HEIGHT]).mean() > 0.5


@pytest.mark.parametrize('shape', [(5, 5), (1, 1), (1, 40), (40, 1), (33, 7)])
def test_images_smaller_than_the_window(
    shape: tuple[int, int], backend: str
) -> None:
    rng = np.random.default_rng(0)
    depth = rng.integers(1500, 1600, shape).astype(np.uint16)
    camera = PinholeCamera(50.0, 50.0, 3.0, 3.0, shape[1], shape[0])
    hha, report = encode_hha_with_diagnostics(depth, camera, backend=backend)
    assert hha.shape == (*shape, 3)
    assert report.num_normals == (0 if 1 in shape else depth.size)


def test_same_result_for_any_number_of_threads(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, _ = render_room(20, 5)
    raw = np.where(
        np.random.default_rng(0).random(depth.shape) < 0.7, depth, 0
    )
    threads = cv2.getNumThreads()
    try:
        results = []
        for number in (1, 4, 4):
            cv2.setNumThreads(number)
            results.append(encode_hha(depth, camera, raw, backend=backend))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], results[2])


def test_any_dtype_and_layout_and_no_write(
    render_room: Room, camera: PinholeCamera, backend: str
) -> None:
    depth, _ = render_room(20, 5)
    raw = np.where(
        np.random.default_rng(0).random(depth.shape) < 0.7, depth, 0
    )
    expected = encode_hha(depth, camera, raw, backend=backend)
    stacked = np.stack([depth, raw], axis=-1).astype(np.float32)
    stacked.setflags(write=False)
    before = stacked.copy()
    views: list[tuple[Any, Any]] = [
        (stacked[..., 0], stacked[..., 1]),
        (np.asfortranarray(depth), np.asfortranarray(raw)),
        (depth.astype(np.int32), raw > 0),
        (depth.astype('>u2'), raw.astype(np.int64)),
        (depth.tolist(), raw.tolist()),
    ]
    for view, raw_view in views:
        np.testing.assert_array_equal(
            encode_hha(view, camera, raw_view, backend=backend), expected
        )
    np.testing.assert_array_equal(stacked, before)
    depth.setflags(write=False)
    raw.setflags(write=False)
    np.testing.assert_array_equal(
        encode_hha(depth, camera, raw, backend=backend), expected
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(depth_mm=np.full((120, 160), 2.0)), 'depth_mm .*metres'),
        (
            dict(raw_depth_mm=np.ones((160, 120))),
            r'raw_depth_mm .*\(120, 160\).*\(160, 120\)',
        ),
        (dict(raw_depth_mm=np.full((120, 160), np.nan)), 'raw_depth_mm .*NaN'),
        (dict(raw_depth_mm=np.full((120, 160), -1)), 'raw_depth_mm .*negat'),
        (dict(raw_depth_mm=np.full((120, 160), 1j)), 'raw_depth_mm .*real'),
        (dict(camera='nyud2_full'), '640x480.*160x120.*crop'),
        (dict(camera=dict(fx=500, fy=500, cx=320, cy=240)), 'principal point'),
        (dict(gravity=(0, 0, 0)), 'gravity .*non-zero'),
        (dict(backend='gpu'), "auto.*numpy.*numba.*found 'gpu'"),
        (dict(gravity=(0, 1, 0), initial_gravity=(0, 1, 0)), 'not both'),
    ],
)
def test_bad_input_is_named(
    camera: PinholeCamera, changes: dict[str, Any], message: str
) -> None:
    arguments = dict(depth_mm=np.full((120, 160), 2000), camera=camera)
    with pytest.raises(ValueError, match=message):
        encode_hha(**{**arguments, **changes})
