import pytest
import torch

from mmxdistill.models.layers import FeatureScale


def test_constant():
    layer = FeatureScale(0.25)
    assert not layer.needs_calibration
    x = torch.randn(2, 3)
    torch.testing.assert_close(layer(x), 0.25 * x)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert not list(layer.parameters())


@pytest.mark.parametrize(('target', 'factor'), [(None, 3.0), (5.0, 2.5)])
def test_measured(target, factor):
    layer = FeatureScale(None, target_norm=target)
    assert layer.needs_calibration
    x = torch.randn(2, 3)
    torch.testing.assert_close(layer(x), x)
    layer.calibrate(teacher_norm=2.0, student_norm=6.0)
    assert not layer.needs_calibration
    torch.testing.assert_close(layer(x), factor * x)
    resumed = FeatureScale(None)
    resumed.load_state_dict(layer.state_dict())
    torch.testing.assert_close(resumed(x), factor * x)


def test_bad_factor():
    with pytest.raises(ValueError, match='positive'):
        FeatureScale(-1.0)
