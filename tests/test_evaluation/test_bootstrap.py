"""COCO's AP from weighted images, and the samples of the bootstrap."""

from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmxdistill.evaluation.bootstrap import (
    block_weights,
    interval,
    match_coco,
)


def instances(rng, count, scores=False):
    corner = rng.uniform(0, 60, (count, 2))
    boxes = np.hstack([corner, corner + rng.uniform(8, 30, (count, 2))])
    found = dict(bboxes=boxes, labels=rng.integers(0, 2, count))
    if scores:
        found['scores'] = rng.uniform(0, 1, count)
    return found


@pytest.fixture(scope='module')
def samples():
    rng = np.random.default_rng(1)
    made = []
    for _ in range(12):
        truth = instances(rng, 4)
        found = instances(rng, 9, scores=True)
        # Half of the objects are found, more or less exactly.
        found['bboxes'][:4] = truth['bboxes'] + rng.normal(0, 2, (4, 4))
        found['labels'][:4] = truth['labels']
        made.append(
            dict(
                gt_instances=truth,
                ignored_instances=instances(rng, 1),
                pred_instances=found,
            )
        )
    return made


def coco(samples):
    """AP of all classes and thresholds by pycocotools, (10, classes)."""
    truth, found = COCO(), []
    truth.dataset = dict(
        images=[dict(id=i) for i in range(len(samples))],
        categories=[dict(id=0), dict(id=1)],
        annotations=[],
    )
    for i, sample in enumerate(samples):
        for key, part in sample.items():
            for j, (x, y, right, bottom) in enumerate(part['bboxes']):
                one = dict(
                    image_id=i,
                    category_id=int(part['labels'][j]),
                    bbox=[x, y, right - x, bottom - y],
                    area=(right - x) * (bottom - y),
                    iscrowd=int(key == 'ignored_instances'),
                )
                if key == 'pred_instances':
                    found.append({**one, 'score': part['scores'][j]})
                else:
                    one['id'] = len(truth.dataset['annotations']) + 1
                    truth.dataset['annotations'].append(one)
    with redirect_stdout(StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval['precision'][:, :, :, 0, -1].mean(1)


def test_unit_weights_are_pycocotools(samples):
    expected = coco(samples)
    assert 0.1 < expected.mean() < 0.9
    for label, matches in enumerate(match_coco(samples, 2)):
        found = matches.precision(np.ones(len(samples)))
        np.testing.assert_allclose(found, expected[:, label], atol=1e-12)


def test_weights_are_repetitions(samples):
    times = np.array([2, 0, 1, 3, 1, 0, 1, 1, 0, 2, 1, 1])
    repeated = [
        s for s, n in zip(samples, times, strict=True) for _ in range(n)
    ]
    ones = np.ones(len(repeated))
    for weighted, plain in zip(
        match_coco(samples, 2), match_coco(repeated, 2), strict=True
    ):
        np.testing.assert_allclose(
            weighted.precision(times.astype(float)),
            plain.precision(ones),
            atol=0.01,  # equal scores come in another order
        )


def test_nothing_found_and_nothing_there(samples):
    empty = dict(bboxes=np.zeros((0, 4)), labels=[], scores=[])
    blind = [{**sample, 'pred_instances': empty} for sample in samples]
    for matches in match_coco(blind, 2):
        assert not matches.precision(np.ones(12)).any()
        assert np.isnan(matches.precision(np.zeros(12))).all()


def test_blocks_stay_together_and_in_their_group():
    groups = ['a'] * 10 + ['b'] * 7
    weights = block_weights(groups, block=5, rounds=400)
    assert weights.shape == (400, 17)
    # 2 blocks of 5; 1 of 5 and 1 of 2.
    assert (weights[:, :5] == weights[:, :1]).all()
    assert (weights[:, 10:15] == weights[:, 10:11]).all()
    assert (weights[:, 0] + weights[:, 5] == 2).all()
    assert (weights[:, 10] + weights[:, 15] == 2).all()
    assert abs(weights.mean() - 1) < 0.05
    images = block_weights(groups, block=1, rounds=5)
    assert (images[:, :10].sum(1) == 10).all()
    np.testing.assert_array_equal(images, block_weights(groups, 1, 5))


def test_interval_of_known_numbers():
    assert interval(np.arange(101.0)) == pytest.approx((2.5, 97.5))
    assert interval(np.arange(101.0), 0.5) == pytest.approx((25, 75))
