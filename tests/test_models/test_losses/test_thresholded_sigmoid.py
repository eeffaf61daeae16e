import pytest
import torch

from mmxdistill.registry import MODELS


def build(**kwargs):
    return MODELS.build(
        dict(type='mmxdistill.ThresholdedSigmoidLoss', **kwargs)
    )


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return (
        torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 3, 4, 5, dtype=torch.float64),
    )


def test_is_the_papers_formula(pair):
    student, teacher = pair
    p = (2.0 * student).sigmoid()
    above = teacher > 0.3
    similarity = torch.where(above, p.log(), (1 - p).log()).sum()
    settings = dict(tau=0.3, alpha=2.0, loss_weight=3.0)
    found = build(normalization='batch', **settings)(student, teacher)
    torch.testing.assert_close(found, -3 * similarity / 2)
    found = build(**settings)(student, teacher)
    zeros = 0.5 * torch.ones(())
    torch.testing.assert_close(
        found, (3 * similarity / (zeros.log() * 120)).to(found.dtype)
    )
    # tau itself is not above.
    tie = build(alpha=1.0, tau=1.0)
    one = torch.ones(1, 1, dtype=torch.float64)
    assert tie(one, one) > 1 > tie(-one, one)


def test_zeros_lose_one(pair):
    _, teacher = pair
    for shape in (slice(None), slice(1)):
        part = teacher[shape]
        assert build()(0 * part, part).item() == pytest.approx(1)


def test_gradients(pair):
    student, teacher = pair
    for kwargs in (dict(), dict(normalization='batch', alpha=3.0, tau=-0.2)):
        loss = build(**kwargs)
        assert torch.autograd.gradcheck(loss, (student, teacher))


def test_saturated_features_keep_their_gradient():
    student = torch.tensor([[1e4, -1e4]], requires_grad=True)
    teacher = torch.tensor([[-1.0, 1.0]])  # both are wrong
    loss = build(alpha=1.0, normalization='batch')(student, teacher)
    loss.backward()
    assert loss.item() == pytest.approx(2e4)
    assert student.grad.tolist() == [[1, -1]]
    half = build()(student.half(), teacher.half())
    assert half.dtype == torch.float32 and half.isfinite()


def test_padding_is_left_out(pair):
    student, teacher = pair
    valid = torch.zeros(2, 1, 4, 5, dtype=torch.bool)
    valid[:, :, :3, :2] = True
    for kwargs in (dict(), dict(normalization='batch')):
        loss = build(**kwargs)
        torch.testing.assert_close(
            loss(student * valid, teacher * valid, valid),
            loss(student[:, :, :3, :2], teacher[:, :, :3, :2]),
        )


def test_bad_settings():
    for kwargs in (dict(alpha=0), dict(tau=float('nan'))):
        with pytest.raises(ValueError, match='alpha must be positive'):
            build(**kwargs)
    with pytest.raises(ValueError, match="unknown normalization 'mean'"):
        build(normalization='mean')
