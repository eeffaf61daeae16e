import pytest
import torch
from golden import TOLERANCE, assert_close, leaf

from mmxdistill.registry import MODELS


def build(**kwargs):
    return MODELS.build(dict(type='mmxdistill.FeatureL2Loss', **kwargs))


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return (
        torch.randn(2, 3, 4, 5, requires_grad=True),
        torch.randn(2, 3, 4, 5),
    )


def test_batch_is_caffes_euclidean_loss(pair):
    student, teacher = pair
    loss = build(normalization='batch', loss_weight=3.0)(student, teacher)
    torch.testing.assert_close(
        loss, 3 * ((student - teacher) ** 2).sum() / (2 * 2)
    )
    loss.backward()
    torch.testing.assert_close(student.grad, 3 * (student - teacher) / 2)


@pytest.mark.golden
def test_golden_euclidean_loss(caffe_golden):
    meta, groups = caffe_golden('layer_euclidean_loss')
    assert meta
    for case, settings in meta.items():
        arrays = groups[case]
        student, teacher = leaf(arrays['bottom']), leaf(arrays['target'])
        loss = build(
            normalization='batch', loss_weight=settings['loss_weight']
        )(student, teacher)
        loss.backward()
        assert loss.item() == pytest.approx(
            settings['loss_weight'] * arrays['loss'].item(), rel=TOLERANCE
        ), case
        assert_close(student.grad, arrays['bottom_diff'], case)
        assert_close(teacher.grad, arrays['target_diff'], case)


def test_element_is_half_the_mean_squared_error(pair):
    loss = build(normalization='element')(*pair)
    torch.testing.assert_close(loss, 0.5 * torch.nn.functional.mse_loss(*pair))


def test_energy_is_the_unexplained_fraction(pair):
    _, teacher = pair
    loss = build()
    energy = 0.5 * (teacher**2).sum() / 2
    loss.calibrate(float(energy))
    zero = torch.zeros_like(teacher)
    assert loss(zero, teacher).item() == pytest.approx(1)
    assert loss(teacher, teacher).item() == 0
    # The same for any scale and size of the feature.
    loss.calibrate(float(energy) * 100)
    assert loss(zero, 10 * teacher).item() == pytest.approx(1)


def test_energy_must_be_measured_and_is_saved(pair):
    loss = build()
    with pytest.raises(RuntimeError, match='TransferCalibrationHook'):
        loss(*pair)
    loss.calibrate(2.0)
    resumed = build()
    resumed.load_state_dict(loss.state_dict())
    assert not resumed.needs_calibration
    torch.testing.assert_close(resumed(*pair), loss(*pair))


def test_half_precision_does_not_overflow():
    student = torch.full((1, 64, 30, 40), 100.0, dtype=torch.float16)
    loss = build(normalization='batch')(student, torch.zeros_like(student))
    assert loss.item() == pytest.approx(0.5 * 100**2 * 64 * 30 * 40)


def test_unknown_normalization():
    with pytest.raises(ValueError, match="'mean'.*energy"):
        build(normalization='mean')
