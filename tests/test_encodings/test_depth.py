"""Depth of any unit and dtype: what is checked, and that nothing is rounded.

`formulas` is written from the published description of HHA alone, window by
window in float64, for the comparison with all three encoders.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mmxdistill.encodings import (
    PinholeCamera,
    as_depth_mm,
    encode_disparity,
    encode_hha,
)
from mmxdistill.encodings.batch import HHAEncoder
from mmxdistill.encodings.hha import valid_mask

Encode = Callable[[Any, PinholeCamera, Any], np.ndarray]


def window_sums(values: np.ndarray, radius: int) -> np.ndarray:
    """Sum over (2 radius + 1)^2 windows, cut at the border."""
    h, w = values.shape[-2:]
    wide = [(0, 0)] * (values.ndim - 2) + [(radius, radius)] * 2
    padded = np.pad(values, wide)
    rows = sum(padded[..., i : i + h, :] for i in range(2 * radius + 1))
    return sum(rows[..., i : i + w] for i in range(2 * radius + 1))


def plane_normals(
    q: np.ndarray, valid: np.ndarray, u: np.ndarray, v: np.ndarray, radius: int
) -> np.ndarray:
    """Unit normals (H, W, 3) of 1/z = a u + b v + c, NaN if undetermined."""
    rows, columns = np.indices(q.shape, float)
    m = valid.astype(float)
    pixel = np.stack([columns, rows, np.ones_like(m)])
    counts = window_sums(m * pixel[:, None] * pixel[None], radius)
    counts = np.moveaxis(counts, (0, 1), (-2, -1))
    # About the window's own centre the moments are small integers.
    shift = np.zeros((*q.shape, 3, 3))
    shift[..., range(3), range(3)] = 1
    shift[..., 0, 2], shift[..., 1, 2] = -columns, -rows
    counts = np.rint(shift @ counts @ np.swapaxes(shift, -1, -2))
    minors = np.linalg.det(counts)
    w = np.stack(np.broadcast_arrays(u, v[:, None], 1.0))
    a = np.moveaxis(
        window_sums(m * w[:, None] * w[None], radius), (0, 1), (-2, -1)
    )
    b = np.moveaxis(window_sums(m * w * q, radius), 0, -1)
    n = np.full((*q.shape, 3), np.nan)
    full = minors > 0.5
    n[full] = np.linalg.solve(a[full], b[full][..., None])[..., 0]
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    n[n[..., 2] < 0] *= -1
    return n


def formulas(
    depth_mm: np.ndarray, camera: PinholeCamera, raw: np.ndarray
) -> np.ndarray:
    """HHA of depth in millimetres, uint8 (H, W, 3) as the encoder orders."""
    z = depth_mm.astype(np.float64) / 1000 * 100
    h, w = z.shape
    u = (np.arange(w) + 1 - camera.cx) / camera.fx
    v = (np.arange(h) + 1 - camera.cy) / camera.fy
    points = np.stack(np.broadcast_arrays(u, v[:, None], 1.0), -1)
    points = points * z[..., None]
    valid = (raw != 0) & (z > 0)
    q = np.where(valid, 1 / np.where(valid, z, 1.0), 0.0)
    angle_normals, normals = (
        plane_normals(q, valid, u, v, radius) for radius in (3, 10)
    )
    for found in (angle_normals, normals):
        found[(found * points).sum(-1) < 0] *= -1
    every = normals[np.isfinite(normals).all(-1)]
    y = np.array([0.0, 1.0, 0.0])
    for degrees in [45] * 5 + [15] * 5:
        s = np.abs(every @ y)
        walls = every[s < np.sin(np.radians(degrees))]
        floors = every[s > np.cos(np.radians(degrees))]
        _, vectors = np.linalg.eigh(walls.T @ walls - floors.T @ floors)
        y = vectors[:, 0] * np.sign(vectors[:, 0] @ y)
    tilt = np.degrees(np.arccos(min(y[1], 1.0)))
    height = -(points @ (y if tilt > 0.1 else np.array([0.0, 1.0, 0.0])))
    lowest = height.min()
    height -= -130 if lowest > -90 else lowest
    angle = np.degrees(np.arccos(np.clip(angle_normals @ y, -1, 1)))
    angle[np.isnan(angle)] = 180
    channels = angle + 128 - 90, height, 31000 / np.maximum(z, 100)
    return np.floor(np.minimum(np.stack(channels, -1), 255) + 0.5).astype(
        np.uint8
    )


@pytest.fixture(params=['numpy', 'numba', 'torch'])
def encode(request: pytest.FixtureRequest) -> Encode:
    if request.param == 'torch':

        def with_torch(
            depth: Any, camera: PinholeCamera, raw: Any
        ) -> np.ndarray:
            frames = [
                torch.from_numpy(np.ascontiguousarray(part))[None]
                for part in (depth, raw)
            ]
            return HHAEncoder(camera)(*frames)[0].permute(1, 2, 0).numpy()

        return with_torch
    if request.param == 'numba':
        pytest.importorskip('numba', exc_type=ImportError)
    return lambda depth, camera, raw: encode_hha(
        depth, camera, raw, backend=request.param
    )


def fractional_room(
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
) -> tuple[np.ndarray, np.ndarray, PinholeCamera]:
    """A part of a room in hundredths of a millimetre, with holes."""
    depth, _ = render_room(15, 4)
    rng = np.random.default_rng(3)
    exact = depth[50:, 60:] + rng.integers(0, 100, (70, 100)) / 100
    raw = (rng.random(exact.shape) < 0.8).astype(np.uint8)
    raw[20:45, 30:60] = 0
    return exact, raw, camera.crop(60, 50, 100, 70)


def assert_same_levels(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for at most two pixels on the edge between two levels."""
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= 2


def test_fractions_of_a_millimetre_are_encoded_exactly(
    encode: Encode,
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
) -> None:
    exact, raw, camera = fractional_room(render_room, camera)
    expected = formulas(exact, camera, raw)
    found = encode(exact, camera, raw)
    assert_same_levels(found, expected)
    np.testing.assert_array_equal(found[..., 2], expected[..., 2])
    rounded = encode(np.floor(exact + 0.5), camera, raw)
    assert np.count_nonzero(rounded != expected) > 50


@pytest.mark.golden
def test_golden_frame_in_tenths(
    golden_frame: SimpleNamespace, encode: Encode
) -> None:
    """Ten times the depth in tenths of a millimetre is the golden itself."""
    tenths = golden_frame.depth.astype(np.uint32) * 10
    arguments = golden_frame.camera, golden_frame.raw
    np.testing.assert_array_equal(
        encode(tenths / 10, *arguments),
        encode(golden_frame.depth, *arguments),
    )


@pytest.mark.golden
def test_golden_frame_with_fractions(
    golden_frame: SimpleNamespace, encode: Encode
) -> None:
    rng = np.random.default_rng(0)
    part = slice(180, 300), slice(200, 360)
    exact = golden_frame.depth[part] + rng.random((120, 160)) - 0.5
    raw = golden_frame.raw[part]
    camera = golden_frame.camera.crop(200, 180, 160, 120)
    assert_same_levels(
        encode(exact, camera, raw), formulas(exact, camera, raw)
    )


def test_formulas_give_the_integer_path_too(
    encode: Encode,
    render_room: Callable[..., tuple[np.ndarray, np.ndarray]],
    camera: PinholeCamera,
) -> None:
    exact, raw, camera = fractional_room(render_room, camera)
    whole = exact.astype(np.int32)
    assert_same_levels(
        encode(whole, camera, raw), formulas(whole, camera, raw)
    )
    # A single fraction sends the whole frame through float64.
    fraction = whole.astype(np.float64)
    fraction[0, 0] += 0.01
    np.testing.assert_array_equal(
        encode(fraction, camera, raw)[12:, 12:],
        encode(whole, camera, raw)[12:, 12:],
    )


@pytest.mark.parametrize('dtype', ['float16', '>f4', 'float64', '>f8', 'g'])
def test_fractions_of_any_dtype_and_layout(
    dtype: str, camera: PinholeCamera
) -> None:
    rng = np.random.default_rng(0)
    stored = (1000 + 900 * rng.random((240, 160))).astype(dtype)[::2]
    raw = np.ones((120, 160), bool)
    expected = encode_hha(
        np.array(stored, np.float64), camera, raw, backend='numpy'
    )
    for view in (stored, np.asfortranarray(stored)):
        np.testing.assert_array_equal(
            encode_hha(view, camera, raw, backend='numpy'), expected
        )


def test_beyond_16_bits(encode: Encode, camera: PinholeCamera) -> None:
    depth = np.full((120, 160), 256_000, np.int32)
    depth[100:] = 124_000
    image = encode(depth, camera, np.ones_like(depth))
    assert set(np.unique(image[..., 2])) == {1, 3}  # 1.21 and 2.5
    np.testing.assert_array_equal(
        image[:, 0, 2], encode_disparity(depth.astype(float))[:, 0, 0]
    )


@pytest.mark.parametrize(
    'dtype',
    ['uint16', '>u2', 'int32', 'uint32', 'int64', 'float32', 'float64', '>f4'],
)
def test_whole_millimetres_take_the_table(dtype: str) -> None:
    depth = np.array([[0, 1234], [65535, 500]])
    result = as_depth_mm(np.asfortranarray(depth, dtype))
    assert result.dtype == np.uint16
    assert result.dtype.isnative
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, depth)


def test_fractions_are_kept() -> None:
    depth = np.array([[1000.49, 1000.5, 1001.5, 0.2]])
    result = as_depth_mm(depth)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, depth)
    assert result is depth


def test_masked_pixels_are_missing() -> None:
    depth = np.ma.masked_less(np.array([[500, 2000, 3000]]), 1000)
    np.testing.assert_array_equal(as_depth_mm(depth), [[0, 2000, 3000]])
    raw = np.ma.masked_greater(np.array([[500, 2000, 3000]]), 2500)
    valid = valid_mask(as_depth_mm(depth), raw)
    np.testing.assert_array_equal(valid, [[False, True, False]])


@pytest.mark.parametrize(
    ('depth', 'message'),
    [
        (np.full((4, 4), 2.5), r'largest value is 2\.5.*metres'),
        (np.full((4, 4), 8, np.uint16), 'multiply it by 1000'),
        (np.full((4, 4), 2_500_000), 'divide by 1000'),
        (np.full((4, 4), np.float64(1e300)), 'divide by 1000'),
        (np.full((4, 4), 2**63, np.uint64), 'divide by 1000'),
        (np.full((4, 4, 3), 2000, np.uint16), r'\(4, 4, 3\).*UNCHANGED'),
        (np.zeros((0, 4), np.uint16), 'non-empty'),
        (np.full((4, 4), 200, np.uint8), 'uint8.*UNCHANGED'),
        (np.ones((4, 4), bool), 'bool'),
        (np.full((4, 4), 2000j), 'complex128'),
        (np.full((4, 4), '2000'), 'dtype'),
        (np.array([[2000, np.nan, np.inf]]), '2 NaN or infinite'),
        (np.array([[2000, -1]]), 'smallest -1'),
        (np.array([[2000.5, 1e-5, 5e-324, 0.0]]), '2 positive pixels below'),
    ],
)
def test_what_is_not_depth_in_millimetres_is_named(
    depth: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        encode_disparity(depth)
    assert str(error.value).startswith('depth_mm ')


def test_tiny_depth_is_named_in_a_batch(camera: PinholeCamera) -> None:
    depth = torch.full((2, 120, 160), 2000.5)
    depth[1, 3, 4] = 1e-6
    with pytest.raises(ValueError, match=r'depth_mm\[1\] has 1 positive'):
        HHAEncoder(camera)(depth)
    with pytest.raises(ValueError, match=r'depth_mm\[0\] .*metres'):
        HHAEncoder(camera)(torch.ones(1, 120, 160, dtype=torch.bfloat16))
