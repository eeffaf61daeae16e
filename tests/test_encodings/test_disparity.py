from types import SimpleNamespace

import numpy as np
import pytest

from mmxdistill.encodings import encode_disparity


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
