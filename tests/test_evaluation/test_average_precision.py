import numpy as np
import pytest
import torch
from mmdet.evaluation.functional import average_precision as mmdet_ap
from mmdet.structures.bbox import bbox_overlaps

from mmxdistill.evaluation.average_precision import (
    average_precision,
    match_first_free,
    precision_recall,
)


@pytest.mark.golden
def test_golden_inst_bench(caffe_golden):
    meta, groups = caffe_golden('py_inst_bench')
    assert meta
    for case, settings in meta.items():
        arrays = groups[case]
        thresholds = [k[2:4] for k in arrays if k.endswith('_ap')]
        assert thresholds
        for percent in thresholds:
            scores, correct, positives = [], [], 0
            for i in range(settings['num_images']):
                score = arrays[f'img{i}_scores'][:, 0]
                # Corners are pixels, both inclusive.
                found, truth = (
                    torch.tensor(arrays[f'img{i}_{name}'].astype(np.float64))
                    + torch.tensor([0, 0, 1, 1])
                    for name in ('boxes', 'gt')
                )
                overlaps = bbox_overlaps(found, truth).numpy()
                scores.append(score)
                correct.append(
                    match_first_free(overlaps, score, int(percent) / 100)
                )
                positives += len(truth)
            assert positives == arrays[f'ov{percent}_npos']
            precision, recall = precision_recall(
                np.concatenate(scores), np.concatenate(correct), positives
            )
            label = case, percent
            np.testing.assert_array_equal(
                precision, arrays[f'ov{percent}_prec'], err_msg=str(label)
            )
            np.testing.assert_array_equal(
                recall, arrays[f'ov{percent}_rec'], err_msg=str(label)
            )
            expected = arrays[f'ov{percent}_ap'].item()
            found = average_precision(precision, recall)
            assert found == pytest.approx(expected, abs=1e-6, nan_ok=True), (
                label
            )


def test_a_taken_ground_truth_is_not_replaced_by_the_next_best():
    overlaps = np.array([[0.9, 0.0], [0.8, 0.7], [0.1, 0.6], [0.0, 0.4]])
    scores = np.array([0.5, 0.9, 0.8, 0.7])
    found = match_first_free(overlaps, scores, 0.5)
    # 1 takes the first, so 0 is too late; 2 takes the second; 3 is too far.
    assert found.tolist() == [False, True, True, False]


def test_a_detection_below_the_threshold_takes_nothing():
    overlaps = np.array([[0.4], [0.5]])
    found = match_first_free(overlaps, np.array([0.9, 0.1]), 0.5)
    assert found.tolist() == [False, True]


@pytest.mark.parametrize('shape', [(0, 0), (0, 3), (4, 0)])
def test_nothing_to_match(shape):
    found = match_first_free(np.zeros(shape), np.zeros(shape[0]), 0.5)
    assert found.dtype == bool and found.tolist() == [False] * shape[0]


def test_curve_and_area():
    scores = np.array([0.1, 0.9, 0.5, 0.7], np.float32)
    correct = np.array([True, False, False, True])
    precision, recall = precision_recall(scores, correct, 4)
    assert precision.tolist() == [0, 1 / 2, 1 / 3, 1 / 2]
    assert recall.tolist() == [0, 1 / 4, 1 / 4, 1 / 2]
    # Half of the ground truth is found, at a precision of a half.
    assert average_precision(precision, recall) == 0.25


def test_nothing_found_and_nothing_there():
    none = np.zeros(0)
    assert average_precision(*precision_recall(none, none, 3)) == 0
    _, recall = precision_recall(np.ones(2), np.zeros(2), 0)
    assert np.isnan(recall).all()


def test_equals_mmdet():
    rng = np.random.default_rng(0)
    correct = rng.random(50) < 0.4
    curve = precision_recall(rng.random(50), correct, 30)
    expected = mmdet_ap(*reversed(curve))
    assert average_precision(*curve) == pytest.approx(float(expected), 1e-6)
