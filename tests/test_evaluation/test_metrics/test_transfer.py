import random

import numpy as np
import pytest
import torch

from mmxdistill.evaluation.metrics import TransferMetric


def stats(student, teacher, loss=1.0):
    """Sums of features (C, cells) of one pair."""
    return dict(
        p=dict(
            loss=loss,
            cells=teacher.shape[1],
            error=float(((student - teacher) ** 2).sum()),
            square=float((teacher**2).sum()),
            total=teacher.sum(1),
        )
    )


def evaluate(samples, size=None):
    metric = TransferMetric()
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(size or len(samples))


def sample(i, *pair, **kwargs):
    return dict(
        img_id=i, img_path=f'{i}.jpg', transfer_stats=stats(*pair, **kwargs)
    )


def features(n=7):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(3, 4 + i, generator=generator, dtype=torch.float64) * 2 + 9
        for i in range(n)
    ]


def test_perfect_mean_and_noise():
    teacher = features()
    key = 'transfer/explained_variance_p'
    result = evaluate([sample(i, t, t) for i, t in enumerate(teacher)])
    assert result[key] == pytest.approx(1)
    stacked = torch.cat(teacher, 1)
    mean = stacked.mean(1, keepdim=True)
    result = evaluate(
        [sample(i, mean.expand_as(t), t) for i, t in enumerate(teacher)]
    )
    assert result[key] == pytest.approx(0)
    noise = [t + torch.randn_like(t) for t in teacher]
    result = evaluate(
        [sample(i, *p) for i, p in enumerate(zip(noise, teacher, strict=True))]
    )
    error = ((torch.cat(noise, 1) - stacked) ** 2).sum()
    expected = 1 - error / ((stacked - mean) ** 2).sum()
    np.testing.assert_allclose(result[key], float(expected))


def test_neither_order_nor_duplicates_change_a_digit():
    teacher = features()
    samples = [
        sample(i, t + 0.1 * i, t, loss=0.1 + i / 3)
        for i, t in enumerate(teacher)
    ]
    expected = evaluate(samples)
    for seed in range(5):
        shuffled = samples + random.Random(seed).sample(samples, 3)
        random.Random(seed).shuffle(shuffled)
        assert evaluate(shuffled) == expected
    losses = [s['transfer_stats']['p']['loss'] for s in samples]
    assert expected['transfer/l2_p'] == pytest.approx(np.mean(losses))


def test_pairs_without_names_are_cut_to_the_size():
    t = features(1)[0]
    nameless = [
        dict(transfer_stats=stats(t, t, loss=x)) for x in (1.0, 3.0, 1.0)
    ]
    assert evaluate(nameless, 2)['transfer/l2_p'] == 2
    # The images of each of two data sets are numbered from 0.
    numbered = [dict(img_id=0, **sample) for sample in nameless]
    assert evaluate(numbered, 2)['transfer/l2_p'] == 2


def test_other_models():
    with pytest.raises(KeyError, match='SupervisionTransfer'):
        TransferMetric().process(None, [dict(pred_instances=[])])
