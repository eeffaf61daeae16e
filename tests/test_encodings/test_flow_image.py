from itertools import product
from typing import Any

import numpy as np
import pytest

from mmxdistill.encodings import (
    decode_flow,
    encode_flow,
    encode_flow_with_diagnostics,
    flip_encoded_flow,
    flip_flow,
)

DIRECTIONS = {'horizontal': [1], 'vertical': [0], 'diagonal': [0, 1]}


def random_flow(seed: int, scale: float = 16.0) -> np.ndarray:
    """Small, saturated, unknown and exactly half-level motions."""
    rng = np.random.default_rng(seed)
    shape = *rng.integers(1, 40, 2), 2
    flow = rng.normal(0, rng.choice([0.1, 2, 30]), shape)
    ties = rng.integers(-200, 200, shape) + 0.5
    flow = np.where(rng.random(shape) < 0.3, ties / scale, flow)
    flow = np.where(rng.random(shape) < 0.1, 0, flow)
    flow[rng.random(shape[:2]) < 0.1] = np.nan
    flow[0, 0] = 1
    return flow.astype(rng.choice(['float32', 'float64']))


@pytest.mark.parametrize('direction', DIRECTIONS)
@pytest.mark.parametrize(
    ('scale', 'center'),
    [(16.0, 128), (16, 127), (5.3, 100), (1e-3, 254), (40, 1)],
)
def test_encoding_and_flip_commute(
    scale: float, center: int, direction: str
) -> None:
    constants: dict[str, Any] = dict(scale=scale, center=center)
    for seed in range(40):
        flow = random_flow(seed, scale)
        image = encode_flow(flow, **constants)
        expected = encode_flow(flip_flow(flow, direction), **constants)
        flipped = flip_encoded_flow(image, direction, center)
        np.testing.assert_array_equal(flipped, expected)
        again = flip_encoded_flow(flipped, direction, center)
        np.testing.assert_array_equal(again, image)


def test_the_authors_levels() -> None:
    """``uint8(min(max(flow * 16 + 128, 0), 255))`` with MATLAB's rounding."""
    values = np.arange(-160, 161) / 10  # half a level does not occur
    x, y = (part.ravel() for part in np.meshgrid(values, values))
    image = encode_flow(np.stack([x, y], 1)[None])[0]
    motion = np.stack([x, y, np.sqrt(x**2 + y**2)], 1)
    theirs = np.floor((motion * 16 + 128).clip(0, 255) + 0.5)
    # Level 0, which has no mirror image, becomes 1.
    np.testing.assert_array_equal(image, theirs.clip(1))


def test_levels_by_hand() -> None:
    flow = [[[0, 0], [1, -1], [-1.03125, 1.03125], [-20, 0], [np.nan, 5]]]
    np.testing.assert_array_equal(
        encode_flow(flow),
        [
            [
                [128, 128, 128],
                [144, 112, 151],
                [111, 145, 151],  # 16.5 levels: away from the centre
                [1, 128, 255],
                [128, 128, 128],
            ]
        ],
    )


def test_diagnostics() -> None:
    flow = np.zeros((2, 4, 2))
    flow[0] = [[7.95, 0], [0, -7.99], [6, 6], [np.nan, 0]]
    _, found = encode_flow_with_diagnostics(flow)
    assert found.num_saturated == 2
    assert found.num_unknown == 1
    assert found.num_pixels == 8
    assert found.largest == pytest.approx(np.sqrt(72))
    _, found = encode_flow_with_diagnostics(flow, scale=8)
    assert found.num_saturated == 0


@pytest.mark.parametrize(('scale', 'center'), [(16, 128), (3, 90)])
def test_decode(scale: float, center: int) -> None:
    limit = min(center, 255 - center) / scale
    rng = np.random.default_rng(0)
    flow = rng.uniform(-limit, limit, (20, 30, 2))
    image = encode_flow(flow, scale=scale, center=center)
    decoded = decode_flow(image, scale=scale, center=center)
    assert decoded.dtype == np.float32
    np.testing.assert_allclose(decoded, flow, atol=0.5001 / scale)
    again = encode_flow(decoded, scale=scale, center=center)
    np.testing.assert_array_equal(again[..., :2], image[..., :2])


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_flip_by_hand(direction: str) -> None:
    flow = random_flow(1)
    flipped = flip_flow(flow, direction)
    h, w = flow.shape[:2]
    axes = DIRECTIONS[direction]
    for y, x in product(range(h), range(w)):
        source = (h - 1 - y if 0 in axes else y, w - 1 - x if 1 in axes else x)
        sign = [-1 if 1 in axes else 1, -1 if 0 in axes else 1]
        expected = (flow[source] * sign).astype(np.float32)
        np.testing.assert_array_equal(flipped[y, x], expected)


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_inputs_are_kept(direction: str) -> None:
    for shape in ((1, 1), (5, 1), (1, 5), (4, 6)):
        flow = np.full((*shape, 2), 1.5, np.float32)
        image = np.full((*shape, 3), 100, np.uint8)
        for array in (flow, image):
            array.flags.writeable = False
        flip_flow(flow, direction)
        flip_encoded_flow(image, direction)
        encode_flow(flow)
        assert (flow == 1.5).all()
        assert (image == 100).all()


def test_any_layout_and_dtype() -> None:
    flow = np.random.default_rng(0).integers(-9, 9, (5, 7, 2))
    expected = encode_flow(flow)
    for dtype in ('int16', 'float16', '>f4', 'float64'):
        other = np.asfortranarray(flow.astype(dtype))
        np.testing.assert_array_equal(encode_flow(other), expected)


@pytest.mark.parametrize(
    ('flow', 'message'),
    [
        (np.zeros((4, 5, 3)), r'\(H, W, 2\) array, found shape \(4, 5, 3\)'),
        (np.zeros((4, 5)), r'found shape \(4, 5\)'),
        (np.zeros((0, 5, 2)), 'non-empty'),
        (np.zeros((4, 5, 2), np.uint8), 'uint8; .* decode_flow'),
        (np.zeros((4, 5, 2), complex), 'complex128'),
        (np.full((4, 5, 2), np.inf), '20 pixels that are infinite'),
        (np.full((4, 5, 2), 1.67e9), 'beyond 1e[+]09.*read_flow'),
        (np.full((4, 5, 2), np.nan), 'no known pixel'),
    ],
)
def test_what_is_no_flow(flow: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_flow(flow)


@pytest.mark.parametrize(
    ('constants', 'message'),
    [
        (dict(scale=0), 'scale must be positive.*found 0'),
        (dict(scale=-16), 'found -16'),
        (dict(scale=np.nan), 'found nan'),
        (dict(center=0), 'center must be a whole level.*found 0'),
        (dict(center=255), 'found 255'),
        (dict(center=127.5), 'found 127.5'),
    ],
)
def test_constants_out_of_range(constants: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_flow(np.zeros((2, 2, 2)), **constants)
    with pytest.raises(ValueError, match=message):
        decode_flow(np.zeros((2, 2, 3), np.uint8), **constants)


def test_what_is_no_flow_image() -> None:
    for image in (np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3))):
        for call in (decode_flow, flip_encoded_flow):
            with pytest.raises(ValueError, match=r'is uint8 \(H, W, 3\)'):
                call(image)


def test_unknown_direction() -> None:
    with pytest.raises(ValueError, match="one of horizontal.*found 'left'"):
        flip_flow(np.zeros((2, 2, 2)), 'left')
