import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

from mmxdistill.datasets.roidb import (
    RoIs,
    box_overlaps,
    is_usable,
    match_rois,
    regression_targets,
    target_statistics,
    target_sums,
)
from mmxdistill.registry import TRANSFORMS


@pytest.mark.golden
def test_caffes_overlaps(caffe_golden):
    _, cases = caffe_golden('py_bbox_overlaps')
    boxed = [case for case in cases.values() if 'overlaps' in case]
    assert boxed
    for case in boxed:
        found = box_overlaps(case['boxes'], case['query'])
        np.testing.assert_allclose(found, case['overlaps'], 1e-15, 1e-15)


def mirrored(boxes, shape):
    """Boxes as the registered transform flips them."""
    flip = TRANSFORMS.build(dict(type='mmxdistill.CaffeRandomFlip', prob=1.0))
    # Coordinates are whole pixels: float32 holds them.
    image = np.zeros(shape, np.uint8)
    out = flip(dict(img=image, gt_bboxes=HorizontalBoxes(boxes)))
    return out['gt_bboxes'].numpy()


@pytest.fixture
def database(caffe_golden):
    """Caffe's RoI database and ours of the same boxes."""
    meta, groups = caffe_golden('py_roidb_targets')
    pairs = []
    for name, settings in meta.items():
        if not name.startswith('entry'):
            continue
        image = groups[f'image{settings["image"]}']
        rois = match_rois(
            image['gt_boxes'], image['gt_classes'] - 1, image['proposals']
        )
        if settings['flipped']:
            size = meta[f'image{settings["image"]}']
            boxes = mirrored(rois.boxes, (size['height'], size['width']))
            rois = rois._replace(boxes=boxes)
        pairs.append((groups[name], rois))
    assert {settings.get('flipped') for settings in meta.values()} >= {0, 1}
    return meta, groups['stats'], pairs


@pytest.mark.golden
def test_caffes_rois(database):
    for entry, rois in database[2]:
        np.testing.assert_array_equal(rois.boxes, entry['boxes'])
        np.testing.assert_array_equal(rois.overlaps, entry['max_overlaps'])
        assert rois.overlaps.dtype == entry['max_overlaps'].dtype
        np.testing.assert_array_equal(rois.labels + 1, entry['max_classes'])
        # Matching the mirrored boxes gives the same as Caffe's copies.
        truth = rois.boxes[: np.count_nonzero(entry['gt_classes'])]
        again = match_rois(
            truth, rois.labels[: len(truth)], rois.boxes[len(truth) :]
        )
        np.testing.assert_array_equal(again.overlaps, rois.overlaps)


@pytest.mark.golden
def test_caffes_targets(database):
    meta, golden, pairs = database
    classes = meta['stats']['num_classes'] - 1
    total = np.zeros((classes, 9))
    found = []
    for entry, rois in pairs:
        examples, targets = regression_targets(rois)
        raw = entry['targets_raw']
        np.testing.assert_array_equal(np.flatnonzero(raw[:, 0]), examples)
        np.testing.assert_array_equal(
            raw[examples, 0], rois.labels[examples] + 1
        )
        np.testing.assert_allclose(targets, raw[examples, 1:], 1e-6, 1e-7)
        total += target_sums(rois.labels[examples], targets, classes)
        found.append((entry, rois.labels[examples], examples, targets))
    means, stds, defined = target_statistics(total)
    # Caffe's have a row for the background.
    expected = [golden[k].reshape(-1, 4)[1:] for k in ('means', 'stds')]
    assert defined.any()
    np.testing.assert_allclose(means[defined], expected[0][defined], 0, 5e-8)
    np.testing.assert_allclose(stds[defined], expected[1][defined], 0, 5e-8)
    assert (expected[1][~defined] < 1e-6).all()
    for entry, labels, examples, targets in found:
        normal = (targets - means[labels]) / stds[labels]
        known = defined[labels]
        np.testing.assert_allclose(
            normal[known],
            entry['targets_normalized'][examples, 1:][known],
            rtol=1e-5,
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ('overlaps', 'usable'),
    [
        ([1.0, 0.3], True),
        ([1.0, 0.5], False),  # 0.5 is neither
        ([0.5, 0.3], False),
        ([1.0, 0.0], False),  # background must overlap a little
        ([0.4, 0.3], False),
        ([1.0], False),
        ([], False),
    ],
)
def test_thresholds_of_usable_images_are_strict(overlaps, usable):
    assert is_usable(np.array(overlaps, np.float32)) is usable


def test_a_proposal_takes_the_class_of_the_best_box():
    truth = np.array([[0, 0, 9, 9], [0, 0, 9, 19]])
    proposals = np.array([[0, 0, 9, 18], [0, 0, 9, 4], [50, 50, 60, 60]])
    rois = match_rois(truth, np.array([3, 5]), proposals)
    np.testing.assert_allclose(rois.overlaps, [1, 1, 0.95, 0.5, 0])
    assert rois.labels.tolist() == [3, 5, 5, 3, -1]


def test_image_without_ground_truth_or_proposals():
    nothing = np.zeros((0, 4))
    rois = match_rois(nothing, np.zeros(0, int), np.array([[0, 0, 9, 9]]))
    assert rois.overlaps.tolist() == [0] and rois.labels.tolist() == [-1]
    examples, targets = regression_targets(rois)
    assert examples.shape == (0,) and targets.shape == (0, 4)
    rois = match_rois(np.array([[0, 0, 9, 9]]), np.array([2]), nothing)
    assert rois.overlaps.tolist() == [1]
    assert not target_sums(np.zeros(0, int), targets, 3).any()


def test_partner_is_an_roi_of_overlap_one():
    """Also a proposal, if it equals the ground truth."""
    boxes = np.array([[0, 0, 9, 9], [0, 0, 8, 9], [40, 0, 49, 9.0]])
    rois = RoIs(boxes, np.array([0.5, 0.9, 1], 'f4'), np.array([0, 0, 0]))
    examples, targets = regression_targets(rois)
    assert examples.tolist() == [0, 1, 2]
    assert targets[0, 0] == pytest.approx(40 / 9)
    np.testing.assert_array_equal(targets[2], 0)


def test_targets_have_no_plus_one():
    truth, proposal = (
        np.array([[10, 20, 30, 60]]),
        np.array([[12, 20, 28, 50]]),
    )
    rois = match_rois(truth, np.array([0]), proposal)
    _, targets = regression_targets(rois)
    np.testing.assert_allclose(
        targets[1], [0, 5 / 30, np.log(20 / 16), np.log(40 / 30)], rtol=1e-6
    )


def test_statistics_are_those_of_the_population():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    targets = rng.normal(0.2, 0.3, (50, 4)).astype(np.float32)
    targets[labels == 1, 2] = 0.1  # no spread
    parts = [slice(0, 20), slice(20, 50)]
    sums = sum(target_sums(labels[p], targets[p], 3) for p in parts)
    means, stds, defined = target_statistics(sums)
    assert defined.tolist() == [
        [True] * 4,
        [True, True, False, True],
        [False] * 4,
    ]
    for c in range(2):
        mine = targets[labels == c].astype(float)
        for k in np.flatnonzero(defined[c]):
            assert means[c, k] == pytest.approx(mine[:, k].mean())
            assert stds[c, k] == pytest.approx(mine[:, k].std())
    assert (means[~defined] == 0).all() and (stds[~defined] == 1).all()
