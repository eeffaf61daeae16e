"""What only the compiled path has; test_hha runs both on everything else."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip('numba', exc_type=ImportError)

from mmxdistill.encodings import frame_numba


def test_table_of_cosines_is_the_rounded_angle() -> None:
    begins = np.cos(np.radians(np.arange(180) + 0.5))
    cosines = np.concatenate(
        [
            np.linspace(-1, 1, 100_001),
            begins * (1 + 1e-9),
            begins * (1 - 1e-9),
            [1 + 1e-12, -1 - 1e-12],
        ]
    )
    level = np.empty(cosines.shape, np.uint8)
    frame_numba._look_up(cosines, *frame_numba._ANGLE_TABLES, level)
    degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    np.testing.assert_array_equal(level, (degrees + 38.5).astype(np.uint8))


def test_half_a_degree_rounds_up() -> None:
    begins = frame_numba._ANGLE_TABLES[1][38:-1]
    level = np.empty(180, np.uint8)
    frame_numba._look_up(begins, *frame_numba._ANGLE_TABLES, level)
    np.testing.assert_array_equal(level, 39 + np.arange(180))


def test_without_a_folder_for_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As numba does if neither the package nor the home can be written."""

    def njit(cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError('cannot cache function: no locator available')
        return lambda function: ('compiled', function, options)

    monkeypatch.setattr(frame_numba.numba, 'njit', njit)
    made: Any = frame_numba._compiled(fastmath={'nsz'})(len)
    assert made[:2] == ('compiled', len)
    assert made[2]['fastmath'] == {'nsz'}
