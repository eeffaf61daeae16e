import numpy as np
import pytest
import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmengine.structures import InstanceData

from mmxdistill.engine.hooks import IterationSeedHook
from mmxdistill.registry import TASK_UTILS


def sample(overlaps, num_truth=2, **kwargs):
    """Sample proposals with given overlaps (foreground: with truth 1)."""
    overlaps = torch.tensor(overlaps, dtype=torch.float32)
    positive = (overlaps >= 0.5).long()
    result = AssignResult(
        num_truth, positive, overlaps, torch.where(positive > 0, 7, -1)
    )
    priors = torch.arange(4.0 * len(overlaps)).view(-1, 4)
    truth = InstanceData(
        bboxes=-1 - torch.arange(4.0 * num_truth).view(-1, 4),
        labels=torch.arange(7, 7 + num_truth),
    )
    sampler = TASK_UTILS.build(
        dict(type='mmxdistill.CaffeRoISampler', **kwargs)
    )
    found = sampler.sample(result, InstanceData(priors=priors), truth)
    return found, torch.cat([truth.bboxes, priors])


MANY = [0.7] * 40 + [0.3] * 60 + [0.0] * 60


def test_foreground_first_and_at_most_a_quarter():
    np.random.seed(0)
    found, boxes = sample(MANY)
    assert len(found.pos_inds) == 16 and len(found.neg_inds) == 48
    indices = torch.cat([found.pos_inds, found.neg_inds])
    assert len(set(indices.tolist())) == 64  # without replacement
    assert torch.equal(found.priors, boxes[indices])
    assert (found.pos_inds < 42).all() and (found.neg_inds >= 42).all()
    # Background reaches down to an overlap of 0.
    assert (found.neg_inds >= 102).any()


def test_order_is_that_of_numpys_draws():
    np.random.seed(5)
    found, _ = sample(MANY, num=20, pos_fraction=0.4)
    np.random.seed(5)
    foreground = np.random.choice(np.arange(42), 8, replace=False)
    background = np.random.choice(np.arange(42, 162), 12, replace=False)
    assert found.pos_inds.tolist() == foreground.tolist()
    assert found.neg_inds.tolist() == background.tolist()


@pytest.mark.parametrize(
    ('overlaps', 'truth', 'positives', 'negatives'),
    [
        ([0.6, 0.2, 0.1], 1, 2, 2),  # fewer than there is room for
        ([0.6] * 30, 1, 16, 0),  # no background: not filled up
        ([0.2] * 100, 0, 0, 64),  # no ground truth
        ([], 2, 2, 0),
    ],
)
def test_not_enough_rois(overlaps, truth, positives, negatives):
    found, _ = sample(overlaps, truth)
    assert len(found.pos_inds) == positives
    assert len(found.neg_inds) == negatives


@pytest.mark.parametrize(
    ('num', 'fraction', 'expected'),
    [(6, 0.25, 2), (10, 0.25, 2), (14, 0.25, 4)],
)
def test_fraction_is_rounded_half_to_even(num, fraction, expected):
    found, _ = sample(MANY, num=num, pos_fraction=fraction)
    assert len(found.pos_inds) == expected


def test_ground_truth_is_marked():
    found, _ = sample([0.6] * 3 + [0.1] * 3, num=20, pos_fraction=0.5)
    expected = (found.pos_inds < 2).to(torch.uint8)
    assert torch.equal(found.pos_is_gt, expected) and expected.sum() == 2
    # Each is its own partner; proposals have the first.
    expected = torch.where(found.pos_inds == 1, 1, 0)
    assert torch.equal(found.pos_assigned_gt_inds, expected)
    assert torch.equal(found.pos_gt_labels, 7 + expected)


def test_iteration_seed_makes_it_reproducible():
    class Runner:
        seed, iter = 3, 11

    draws = []
    for past in (0, 1000):
        np.random.seed(past)
        IterationSeedHook().before_train_iter(Runner(), 0)
        draws.append(sample(MANY)[0].neg_inds)
    assert torch.equal(*draws)
    first, second = (sample(MANY, rng=4)[0] for _ in range(2))
    assert torch.equal(first.neg_inds, second.neg_inds)
