import numpy as np
import pytest
import torch

from mmxdistill.evaluation.metrics import TransferMetric


def batch(student, teacher):
    cells = (0, 2, 3)
    return dict(
        transfer_stats=dict(
            p=dict(
                images=len(teacher),
                loss=float(len(teacher)),
                cells=teacher.numel() // teacher.shape[1],
                error=((student - teacher) ** 2).sum(cells),
                total=teacher.sum(cells),
                square=(teacher**2).sum(cells),
            )
        )
    )


def evaluate(pairs):
    metric = TransferMetric()
    for pair in pairs:
        metric.process(None, [batch(*pair)])
    return metric.evaluate(len(pairs))


def features(n=5):
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, 4, 5)
    return [
        torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 9
        for _ in range(n)
    ]


def test_perfect_mean_and_noise():
    teacher = features()
    result = evaluate([(t, t) for t in teacher])
    assert result['transfer/explained_variance_p'] == pytest.approx(1)
    stacked = torch.cat(teacher)
    mean = stacked.mean((0, 2, 3), keepdim=True)
    result = evaluate([(mean.expand_as(t), t) for t in teacher])
    assert result['transfer/explained_variance_p'] == pytest.approx(0)
    noise = [t + torch.randn_like(t) for t in teacher]
    result = evaluate(list(zip(noise, teacher, strict=True)))
    error = ((torch.cat(noise) - stacked) ** 2).sum()
    expected = 1 - error / ((stacked - mean) ** 2).sum()
    np.testing.assert_allclose(
        result['transfer/explained_variance_p'], float(expected)
    )


def test_loss_is_averaged_over_images():
    teacher = features(1)[0]
    result = evaluate([(teacher, teacher), (teacher[:1], teacher[:1])])
    # Losses 2 and 1 of batches of 2 images and 1 image.
    assert result['transfer/l2_p'] == pytest.approx((2 * 2 + 1) / 3)


def test_other_models():
    with pytest.raises(KeyError, match='SupervisionTransfer'):
        TransferMetric().process(None, [dict(pred_instances=[])])
