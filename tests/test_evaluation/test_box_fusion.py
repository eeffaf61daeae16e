import importlib.util

import pytest
import torch
from mmengine.structures import InstanceData

from mmxdistill.evaluation.box_fusion import (
    available_fusions,
    pooled_nms,
    probabilistic_ensemble,
    weighted_boxes,
)


def found(*rows):
    """Boxes 10 pixels wide: (left, score, label)."""
    table = torch.tensor(rows).reshape(-1, 3)
    low = torch.stack([table[:, 0], torch.zeros(len(table))], 1)
    return InstanceData(
        bboxes=torch.cat([low, low + 10], 1),
        scores=table[:, 1],
        labels=table[:, 2].long(),
    )


NOTHING = found()
RGB = found((0, 0.8, 0), (40, 0.6, 1))
HHA = found((1, 0.7, 0), (40, 0.5, 0))


def test_pooled_nms():
    fused = pooled_nms([RGB, HHA])
    assert fused.scores.tolist() == pytest.approx([0.8, 0.6, 0.5])
    assert fused.labels.tolist() == [0, 1, 0]


def test_odds_multiply():
    fused = probabilistic_ensemble([RGB, HHA])
    odds = (0.8 / 0.2) * (0.7 / 0.3)
    expected = [odds / (1 + odds), 0.6, 0.5]
    assert fused.scores.tolist() == pytest.approx(expected)
    assert fused.labels.tolist() == [0, 1, 0]
    # The box lies between them, by their scores.
    assert fused.bboxes[0, 0].item() == pytest.approx(0.7 / 1.5)
    # A score below one half speaks against it.
    fused = probabilistic_ensemble([RGB, found((0, 0.4, 0))])
    assert 0.6 < fused.scores[0] < 0.8


def test_one_vote_per_stream():
    twice = found((0, 0.8, 0), (1, 0.7, 0))
    fused = probabilistic_ensemble([twice, NOTHING])
    assert fused.scores.tolist() == pytest.approx([0.8])
    assert fused.bboxes[0, 0] == 0


def test_box_without_area():
    flat = found((0, 0.8, 0))
    flat.bboxes[:, 2] = 0
    assert len(probabilistic_ensemble([flat, NOTHING])) == 1


@pytest.mark.parametrize('fuse', [pooled_nms, probabilistic_ensemble])
def test_nothing(fuse):
    fused = fuse([NOTHING, NOTHING])
    assert fused.bboxes.shape == (0, 4) and len(fused.labels) == 0


def test_weighted_boxes():
    """Of the library, where it is installed."""
    installed = importlib.util.find_spec('ensemble_boxes') is not None
    assert ('weighted boxes fusion' in available_fusions()) == installed
    if not installed:
        with pytest.raises(ImportError, match=r'mmxdistill\[baselines\]'):
            weighted_boxes([RGB, HHA])
        return
    fused = weighted_boxes([RGB, HHA])
    # Of two models that agree the mean; of one alone half the score.
    assert fused.scores.tolist() == pytest.approx([0.75, 0.3, 0.25])
    assert fused.bboxes[0, 0].item() == pytest.approx(0.7 / 1.5, abs=1e-4)
    assert len(weighted_boxes([NOTHING, NOTHING])) == 0
