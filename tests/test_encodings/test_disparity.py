from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mmxdistill.encodings import as_depth_mm, encode_disparity


@pytest.mark.parametrize(
    ('depth', 'level'),
    [
        (0, 255),  # missing
        (1, 255),  # clamped at 1 m
        (1000, 255),
        (1218, 255),  # last saturated depth
        (1219, 254),
        (4000, 78),  # 77.5: half away from zero
        (4960, 63),  # 62.5, where half to even is wrong
        (20000, 16),
        (24800, 13),
        (65535, 5),
    ],
)
def test_levels(depth: int, level: int) -> None:
    image = encode_disparity(np.array([[depth, 65535]], dtype=np.uint16))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, [[[level] * 3, [5] * 3]])


@pytest.mark.golden
def test_golden_disparity(golden_frame: SimpleNamespace) -> None:
    np.testing.assert_array_equal(
        encode_disparity(golden_frame.depth), golden_frame.image('disparity')
    )


@pytest.mark.parametrize(
    'dtype', ['uint16', '>u2', 'int32', 'int64', 'float32', 'float64']
)
def test_any_real_dtype(dtype: str) -> None:
    depth = np.array([[0, 1234], [65535, 500]])
    result = as_depth_mm(np.asfortranarray(depth, dtype))
    assert result.dtype == np.uint16
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, depth)


def test_fractions_are_rounded_half_up() -> None:
    depth = np.array([[1000.49, 1000.5, 1001.5, 0.2]])
    np.testing.assert_array_equal(as_depth_mm(depth), [[1000, 1001, 1002, 0]])


@pytest.mark.parametrize(
    ('depth', 'message'),
    [
        (np.full((4, 4), 2.5), r'largest value is 2\.5.*metres'),
        (np.full((4, 4), 8, np.uint16), 'multiply it by 1000'),
        (np.full((4, 4), 2_500_000), 'divide by 1000'),
        (np.full((4, 4, 3), 2000, np.uint16), r'\(4, 4, 3\).*UNCHANGED'),
        (np.zeros((0, 4), np.uint16), 'non-empty'),
        (np.full((4, 4), 200, np.uint8), 'uint8.*UNCHANGED'),
        (np.ones((4, 4), bool), 'bool'),
        (np.full((4, 4), 2000j), 'complex128'),
        (np.full((4, 4), '2000'), 'dtype'),
        (np.array([[2000, np.nan, np.inf]]), '2 NaN or infinite'),
        (np.array([[2000, -1]]), 'smallest -1'),
    ],
)
def test_what_is_not_depth_in_millimetres_is_named(
    depth: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        encode_disparity(depth)
    assert str(error.value).startswith('depth_mm ')
