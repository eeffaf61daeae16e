import math

import numpy as np
import pytest
import torch
from golden import TOLERANCE, assert_close, leaf
from mmdet.models.losses import CrossEntropyLoss
from torch.nn import functional as F

from mmxdistill.registry import MODELS

HIGHEST = -math.log(np.finfo(np.float32).tiny)


def build(type='mmxdistill.CaffeCrossEntropyLoss', **kwargs):
    return MODELS.build(dict(type=type, **kwargs))


@pytest.mark.golden
def test_golden_softmax_loss(caffe_golden):
    meta, groups = caffe_golden('layer_softmax_loss')
    clamped = 0
    for case, settings in meta.items():
        arrays = groups[case]
        label = torch.tensor(arrays['label']).long()
        weight = settings['loss_weight']
        # As a head calls it, and on its own.
        for avg_factor in (float(len(label)), None):
            scores = leaf(arrays['bottom'])
            loss = build(loss_weight=weight)(
                scores, label, torch.ones(len(label)), avg_factor=avg_factor
            )
            loss.backward()
            assert loss.item() == pytest.approx(
                weight * arrays['loss'].item(), rel=TOLERANCE
            ), case
            assert_close(scores.grad, arrays['bottom_diff'], case)
        assert_close(scores.softmax(1), arrays['prob'], case)
        clamped += F.cross_entropy(scores, label, reduction='none').max() > 88
    assert clamped > 0


@pytest.mark.golden
def test_golden_sigmoid_cross_entropy_loss(caffe_golden):
    """mmdet's own loss is Caffe's, averaged over the rows, soft targets."""
    meta, groups = caffe_golden('layer_sigmoid_ce_loss')
    assert meta
    for case, settings in meta.items():
        arrays = groups[case]
        bottom = leaf(arrays['bottom'])
        criterion = build(
            'CrossEntropyLoss',
            use_sigmoid=True,
            loss_weight=settings['loss_weight'],
        )
        loss = criterion(
            bottom, torch.tensor(arrays['target']), avg_factor=len(bottom)
        )
        loss.backward()
        assert loss.item() == pytest.approx(
            settings['loss_weight'] * arrays['loss'].item(), rel=TOLERANCE
        ), case
        assert_close(bottom.grad, arrays['bottom_diff'], case)


def test_clamp_is_per_row_and_leaves_the_gradient():
    scores = torch.tensor([[0.0, 500.0], [1.0, 3.0]], requires_grad=True)
    label = torch.tensor([0, 1])
    rows = build()(scores, label, reduction_override='none')
    second = math.log(1 + math.exp(-2))
    assert rows.tolist() == pytest.approx([HIGHEST, second])
    loss = build()(scores, label)
    assert loss.item() == pytest.approx((HIGHEST + second) / 2)
    loss.backward()
    p = 1 / (1 + math.exp(2))
    torch.testing.assert_close(
        scores.grad, torch.tensor([[-0.5, 0.5], [p / 2, -p / 2]])
    )


def test_otherwise_mmdets_loss():
    torch.manual_seed(0)
    scores, label = torch.randn(6, 4), torch.tensor([0, 3, 1, 2, 0, 3])
    weight = torch.tensor([1.0, 0, 1, 0.5, 1, 1])
    ours, theirs = build(loss_weight=0.5), CrossEntropyLoss(loss_weight=0.5)
    for kwargs in (
        dict(),
        dict(weight=weight),
        dict(weight=weight, avg_factor=5.0),
        dict(weight=weight, reduction_override='sum'),
        dict(ignore_index=3),
    ):
        torch.testing.assert_close(
            ours(scores, label, **kwargs), theirs(scores, label, **kwargs)
        )


def test_half_precision():
    scores = torch.tensor([[0.0, 300.0], [2.0, 0.5]], dtype=torch.float16)
    label = torch.zeros(2, dtype=torch.long)
    loss = build()(scores.requires_grad_(), label)
    assert loss.dtype == torch.float32
    expected = (HIGHEST + math.log(1 + math.exp(-1.5))) / 2
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert scores.grad[0].tolist() == [-0.5, 0.5]
