"""How one transfer point reads its config."""

import pytest

from mmxdistill.models.detectors.transfer_point import TransferPoint


@pytest.mark.parametrize(
    ('given', 'auto', 'factor'),
    [
        (None, False, 1.0),
        (0.5, False, 0.5),
        ('auto', True, None),
        # As configs of version 0.1 have it.
        (dict(scale=None), True, None),
        (dict(scale=2.0), False, 2.0),
    ],
)
def test_scale(given: object, auto: bool, factor: float | None) -> None:
    scale = TransferPoint('pool5', 'pool5', scale=given).scale
    assert (scale.auto, scale.needs_calibration) == (auto, auto)
    if factor is not None:
        assert float(scale.factor) == factor


@pytest.mark.parametrize(
    'scale', [dict(), dict(scale=None, target_norm=3.4), dict(scale=-1), 0]
)
def test_bad_scale(scale: object) -> None:
    with pytest.raises(ValueError, match="write scale='auto'"):
        TransferPoint('pool5', 'pool5', scale=scale)


@pytest.mark.parametrize(
    'point',
    [
        dict(teacher='pool5', student='pool5', adaption=dict()),
        dict(teacher='pool5'),
        'pool5',
    ],
)
def test_misspelled_keys(point: object) -> None:
    with pytest.raises(ValueError, match=r'teacher=.*may have .*adaptation'):
        TransferPoint.from_config(point)
