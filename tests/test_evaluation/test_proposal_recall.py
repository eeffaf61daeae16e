import numpy as np
import pytest
from mmdet.evaluation import bbox_overlaps, eval_recalls

from mmxdistill.evaluation.proposal_recall import ProposalRecall

CLASSES = ('box', 'chair', 'lamp')
LIMITS = (1, 3, 10, 50)


def random_boxes(rng, number):
    corner = rng.uniform(0, 60, (number, 2))
    extent = rng.uniform(10, 50, (number, 2))
    return np.hstack([corner, corner + extent]).astype(np.float32)


def random_images(seed, number, objects):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        boxes = random_boxes(rng, objects)
        labels = rng.integers(0, 2, objects)
        yield boxes, labels, random_boxes(rng, 60)


def measure(images, **kwargs):
    recall = ProposalRecall(CLASSES, limits=LIMITS, **kwargs)
    for image in images:
        recall.add(*image)
    return recall


def test_equals_mmdet_on_all_images_at_once():
    """Its function takes only images with as many objects each."""
    images = list(random_images(0, 12, 5))
    recall = measure(images)
    expected = eval_recalls(
        [boxes for boxes, _, _ in images],
        [proposals for _, _, proposals in images],
        np.array(LIMITS),
        np.array([0.5, 0.7]),
        logger='silent',
    )
    np.testing.assert_allclose(recall.recall[0], expected)
    assert recall.recall[0, -1].min() > 0
    assert recall.recall[0].max() < 1
    assert recall.total[0] == 60
    assert recall.num_images == 12
    assert recall.num_proposals == 12 * 60


def test_classes_are_counted_alone():
    images = list(random_images(1, 9, 4))
    recall = measure(images)
    for label in range(2):
        chosen = [
            (boxes[labels == label], labels[labels == label], proposals)
            for boxes, labels, proposals in images
        ]
        alone = measure(chosen)
        assert recall.total[label + 1] == alone.total[0]
        np.testing.assert_array_equal(recall.found[label + 1], alone.found[0])
    assert recall.total[3] == 0
    assert np.isnan(recall.recall[3]).all()


def test_any_number_of_objects_and_proposals():
    recall = ProposalRecall(CLASSES, limits=(1, 2), iou_thrs=(0.5,))
    box = np.float32([[0, 0, 10, 10]])
    none = np.zeros((0, 4), np.float32)
    recall.add(np.repeat(box, 2, 0), np.array([0, 1]), box)
    recall.add(box, np.array([1]), none)
    recall.add(none, np.zeros(0, int), box)
    # One proposal finds one of two equal objects, but each class alone.
    assert recall.total.tolist() == [3, 1, 2, 0]
    assert recall.found[..., 0].tolist() == [[1, 1], [1, 1], [1, 1], [0, 0]]
    assert recall.num_images == 2


def test_order_of_proposals_is_their_rank():
    recall = ProposalRecall(CLASSES, limits=(1, 2), iou_thrs=(0.5,))
    box = np.float32([[0, 0, 10, 10]])
    proposals = np.float32([[50, 50, 60, 60], [0, 0, 10, 9]])
    recall.add(box, np.array([0]), proposals)
    assert recall.found[0, :, 0].tolist() == [0, 1]


def test_threshold_counts_as_found():
    box, half = np.float32([[0, 0, 10, 10]]), np.float32([[0, 0, 10, 5]])
    assert bbox_overlaps(box, half, use_legacy_coordinate=False) == 0.5
    recall = ProposalRecall(CLASSES, limits=(1,), iou_thrs=(0.5, 0.51))
    recall.add(box, np.array([0]), half)
    assert recall.found[0, 0].tolist() == [1, 0]


def test_merged_parts_equal_the_whole():
    images = list(random_images(2, 10, 3))
    whole, part = measure(images), measure(images[:3])
    part.merge(measure(images[3:]))
    np.testing.assert_array_equal(part.found, whole.found)
    np.testing.assert_array_equal(part.total, whole.total)
    assert part.num_images == whole.num_images
    assert part.num_proposals == whole.num_proposals


def test_table():
    recall = ProposalRecall(CLASSES, limits=(1, 2))
    box = np.float32([[0, 0, 10, 10], [40, 40, 50, 50]])
    recall.add(box, np.array([0, 2]), box)
    lines = recall.format(0.7).splitlines()
    cells = [[c.strip() for c in line.split('|')[1:-1]] for line in lines]
    assert cells[0] == ['IoU 0.7', 'objects', '1', '2']
    assert cells[2:] == [
        ['all', '2', '50.0', '100.0'],
        ['box', '1', '100.0', '100.0'],
        ['chair', '0', '-', '-'],
        ['lamp', '1', '0.0', '100.0'],
    ]


@pytest.mark.parametrize('limits', [(0, 10), (10, 10), (20, 10)])
def test_bad_limits(limits):
    with pytest.raises(ValueError, match='must ascend'):
        ProposalRecall(CLASSES, limits=limits)
