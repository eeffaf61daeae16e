import torch

from mmxdistill.registry import MODELS


def build(**kwargs):
    head = MODELS.build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=4,
            roi_feat_size=3,
            fc_channels=400,
            num_classes=5,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
            **kwargs,
        )
    )
    head.init_weights()
    return head


def test_released_fillers():
    head = build()
    for layer, std, bias in (
        (head.fc6, 0.005, 1),
        (head.fc7, 0.005, 1),
        (head.fc_cls, 0.01, 0),
        (head.fc_reg, 0.001, 0),
    ):
        assert 0.8 * std < layer.weight.std().item() < 1.2 * std
        assert (layer.bias == bias).all()


def test_scores_and_regression():
    head = build().eval()
    x = torch.randn(6, 4, 3, 3)
    hidden = head.fc7(head.fc6(x.flatten(1)).relu()).relu()
    scores, deltas = head(x)
    torch.testing.assert_close(scores, head.fc_cls(hidden))
    torch.testing.assert_close(deltas, head.fc_reg(hidden))
    assert scores.shape == (6, 6) and deltas.shape == (6, 20)


def test_dropout_acts_in_training_only():
    head = build(dropout=0.9)
    x = torch.randn(6, 4, 3, 3)
    assert not torch.equal(head.train()(x)[0], head(x)[0])
    assert torch.equal(head.eval()(x)[0], head(x)[0])
