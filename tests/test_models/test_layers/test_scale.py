import pytest
import torch
from golden import assert_close, leaf

from mmxdistill.models.layers import FeatureScale
from mmxdistill.registry import MODELS


def test_constant():
    layer = FeatureScale(0.25)
    assert not layer.needs_calibration
    x = torch.randn(2, 3)
    torch.testing.assert_close(layer(x), 0.25 * x)
    assert layer(x.bfloat16()).dtype == torch.bfloat16
    assert not list(layer.parameters())


def test_measured():
    layer = FeatureScale('auto')
    assert layer.needs_calibration
    x = torch.randn(2, 3)
    with pytest.raises(RuntimeError, match='TransferCalibrationHook'):
        layer(x)
    layer.calibrate(teacher_norm=2.0, student_norm=6.0)
    assert not layer.needs_calibration
    torch.testing.assert_close(layer(x), 3 * x)
    resumed = FeatureScale('auto')
    resumed.load_state_dict(layer.state_dict())
    torch.testing.assert_close(resumed(x), 3 * x)


def test_given_factor_is_not_measured_or_loaded():
    layer = FeatureScale(0.5)
    layer.calibrate(teacher_norm=2.0, student_norm=6.0)
    layer.load_state_dict(dict(factor=torch.tensor(3.0)), strict=False)
    assert layer.factor == 0.5
    assert FeatureScale(None).factor == 1


@pytest.mark.parametrize(
    'scale', [-1.0, 0, float('nan'), 'atuo', True, dict(scale=None)]
)
def test_bad_factor(scale):
    with pytest.raises(ValueError, match="write scale='auto'"):
        FeatureScale(scale)


def layer(type, **kwargs):
    return MODELS.build(dict(type=f'mmxdistill.{type}', **kwargs))


@pytest.mark.golden
def test_golden_fixed_scale(caffe_golden):
    """Caffe's Power layer with a factor alone is what FeatureScale does."""
    meta, groups = caffe_golden('layer_elementwise')
    cases = [
        case
        for case, settings in meta.items()
        if settings.get('power') == 1 and settings['shift'] == 0
    ]
    assert cases
    for case in cases:
        arrays = groups[case]
        bottom = leaf(arrays['bottom'])
        top = FeatureScale(meta[case]['scale'])(bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        assert_close(top, arrays['top'], case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)


@pytest.mark.golden
def test_golden_learned_scale(caffe_golden):
    meta, groups = caffe_golden('layer_scale_bvlc')
    assert meta
    for case in meta:
        arrays = groups[case]
        scale = layer(
            'ChannelScale',
            channels=arrays['scale'].size if arrays['scale'].ndim else None,
            bias='bias' in arrays,
        )
        state = {'weight': torch.tensor(arrays['scale'])}
        if 'bias' in arrays:
            state['bias'] = torch.tensor(arrays['bias'])
        scale.load_state_dict(state)
        bottom = leaf(arrays['bottom'])
        top = scale(bottom)
        top.backward(torch.tensor(arrays['top_diff']))
        assert_close(top, arrays['top'], case)
        assert_close(bottom.grad, arrays['bottom_diff'], case)
        assert_close(scale.weight.grad, arrays['scale_diff'], case)
        if 'bias' in arrays:
            assert_close(scale.bias.grad, arrays['bias_diff'], case)


@pytest.mark.parametrize('shape', [(2, 3), (2, 3, 4, 5)])
def test_learned_scale_starts_as_the_identity(shape):
    x = torch.randn(shape)
    for kwargs in (dict(), dict(channels=3), dict(channels=3, bias=True)):
        scale = layer('ChannelScale', **kwargs)
        assert torch.equal(scale(x), x)
        assert len(list(scale.parameters())) == 1 + ('bias' in kwargs)


def test_bad_number_of_channels():
    with pytest.raises(ValueError, match='channels=0, expected a positive'):
        layer('ChannelScale', channels=0)
