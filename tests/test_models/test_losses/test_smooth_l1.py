import pytest
import torch
from golden import TOLERANCE, assert_close, leaf
from mmdet.models.losses import SmoothL1Loss

from mmxdistill.registry import MODELS


def build(**kwargs):
    return MODELS.build(dict(type='mmxdistill.CaffeSmoothL1Loss', **kwargs))


@pytest.mark.golden
def test_golden(caffe_golden):
    meta, groups = caffe_golden('layer_smooth_l1_loss')
    fractional = 0
    for case, settings in meta.items():
        arrays = groups[case]
        weights = arrays.get('weights')
        if weights is not None:
            fractional += (weights % 1 != 0).any()
            weights = torch.tensor(weights)
        # As a head calls it, and on its own.
        for avg_factor in (len(arrays['bottom']), None):
            pred, target = leaf(arrays['bottom']), leaf(arrays['target'])
            loss = build(loss_weight=settings['loss_weight'])(
                pred, target, weights, avg_factor=avg_factor
            )
            loss.backward()
            assert loss.item() == pytest.approx(
                settings['loss_weight'] * arrays['loss'].item(), rel=TOLERANCE
            ), case
            assert_close(pred.grad, arrays['bottom_diff'], case)
            assert_close(target.grad, arrays['target_diff'], case)
    assert fractional


def test_weight_is_inside_but_not_in_the_gradient():
    pred = torch.tensor([[0.5, 4.0, -3.0]], requires_grad=True)
    weight = torch.tensor([[0.5, 0.5, 0.1]])
    loss = build(loss_weight=2.0)(pred, torch.zeros(1, 3), weight)
    loss.backward()
    # d = 0.25, 2, -0.3
    assert loss.item() == pytest.approx(2 * (0.03125 + 1.5 + 0.045))
    torch.testing.assert_close(pred.grad, torch.tensor([[0.5, 2.0, -0.6]]))


def test_binary_weights_give_mmdets_loss():
    torch.manual_seed(0)
    pred, target = 2 * torch.randn(2, 7, 4)
    weight = (torch.arange(7) % 3 > 0).float()[:, None].expand(7, 4)
    ours, theirs = build(loss_weight=0.5), SmoothL1Loss(loss_weight=0.5)
    for kwargs in (
        dict(avg_factor=9),
        dict(reduction_override='sum'),
        dict(reduction_override='none'),
    ):
        torch.testing.assert_close(
            ours(pred, target, weight, **kwargs),
            theirs(pred, target, weight, **kwargs),
        )


def test_no_rows():
    pred = torch.zeros(0, 4, requires_grad=True)
    loss = build()(pred, torch.zeros(0, 4), torch.zeros(0, 4))
    loss.backward()
    assert loss.item() == 0


def test_half_precision():
    pred = torch.full((2, 4), 30000.0, dtype=torch.float16)
    loss = build()(pred, torch.zeros(2, 4))
    assert loss.dtype == torch.float32
    assert loss.item() == 4 * (30000 - 0.5)


def test_bad_input():
    ones = torch.ones(3, 4)
    with pytest.raises(ValueError, match=r"'average', use one of .*'mean'"):
        build()(ones, ones, reduction_override='average')
    with pytest.raises(ValueError, match=r'pred is \(3, 4\), but target \(3'):
        build()(ones, torch.ones(3, 1))


def test_in_a_head():
    """What BBoxHead asks of its losses; weights are 0 and 1 there."""

    def losses(cls, bbox, reduction):
        head = MODELS.build(
            dict(
                type='mmdet.BBoxHead',
                in_channels=8,
                roi_feat_size=1,
                num_classes=2,
                bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
                loss_cls=dict(type=cls, loss_weight=0.5),
                loss_bbox=dict(type=bbox, loss_weight=0.5),
            )
        )
        torch.manual_seed(0)
        scores, deltas, rois = torch.randn(6, 3), 2 * torch.randn(6, 8), None
        label = torch.tensor([0, 1, 0, 2, 2, 2])
        targets = torch.randn(6, 4)
        weights = (label < 2).float()[:, None].expand(6, 4)
        return head.loss(
            scores,
            deltas,
            rois,
            label,
            torch.ones(6),
            targets,
            weights,
            reduction_override=reduction,
        )

    for reduction in (None, 'none'):
        ours = losses(
            'mmxdistill.CaffeCrossEntropyLoss',
            'mmxdistill.CaffeSmoothL1Loss',
            reduction,
        )
        theirs = losses('CrossEntropyLoss', 'SmoothL1Loss', reduction)
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value)
