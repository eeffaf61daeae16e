import heapq

import numpy as np
import pytest
import torch
from mmdet.evaluation import eval_map
from mmengine.evaluator import Evaluator

from mmxdistill.evaluation.metrics import ClasswiseVOCMetric, voc
from mmxdistill.registry import METRICS


def sample(gt, labels, detections, ignored=((), ()), candidates=None):
    boxes = [d[:4] for d in detections]
    found = dict(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([d[4] for d in detections], dtype=torch.float32),
        labels=torch.tensor([d[5] for d in detections], dtype=torch.long),
    )
    if candidates is not None:
        found['candidate_scores'] = torch.as_tensor(candidates)
    return dict(
        gt_instances=dict(
            bboxes=torch.tensor(gt, dtype=torch.float32).reshape(-1, 4),
            labels=torch.tensor(labels, dtype=torch.long),
        ),
        ignored_instances=dict(
            bboxes=torch.tensor(ignored[0], dtype=torch.float32).reshape(
                -1, 4
            ),
            labels=torch.tensor(ignored[1], dtype=torch.long),
        ),
        pred_instances=found,
    )


def evaluate(samples, classes=('a', 'b'), **kwargs):
    metric = METRICS.build(
        dict(type='mmxdistill.ClasswiseVOCMetric', **kwargs)
    )
    metric.dataset_meta = dict(classes=classes)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_area_under_the_precision_envelope_per_class():
    result = evaluate(
        [
            sample(
                [[0, 0, 9, 9], [20, 20, 29, 29]],
                [0, 1],
                [
                    (0, 0, 9, 9, 0.5, 0),  # hit after a miss
                    (40, 40, 49, 49, 0.9, 0),
                    (20, 20, 29, 29, 0.8, 1),
                ],
            ),
            sample([[0, 0, 9, 9]], [0], [(50, 50, 59, 59, 0.1, 1)]),
        ]
    )
    # a: recall 1/2 at precision 1/2; b: recall 1 at precision 1.
    assert result['voc/AP_a'] == pytest.approx(0.25)
    assert result['voc/AP_b'] == pytest.approx(1)
    assert result['voc/mAP'] == pytest.approx(0.625)


@pytest.mark.golden
def test_golden(caffe_golden, monkeypatch):
    meta, groups = caffe_golden('py_inst_bench')
    names = tuple(meta)
    (num_images,) = {meta[name]['num_images'] for name in names}
    samples = []
    for i in range(num_images):
        gt, labels, detections = [], [], []
        for c, name in enumerate(names):
            part = {
                key: groups[name][f'img{i}_{key}'].astype(float)
                for key in ('gt', 'boxes', 'scores')
            }
            gt.extend(part['gt'])
            labels += [c] * len(part['gt'])
            for box, score in zip(part['boxes'], part['scores'], strict=True):
                detections.append((*box, score.item(), c))
        samples.append(sample(np.array(gt), labels, detections))
    curves = []

    def spy(*args, **kwargs):
        mean, found = eval_map(*args, **kwargs)
        curves[:] = found
        return mean, found

    monkeypatch.setattr(voc, 'eval_map', spy)
    prefixes = {k[:5] for k in groups[names[0]] if k.startswith('ov')}
    assert prefixes
    for prefix in prefixes:
        result = evaluate(samples, names, iou_thr=int(prefix[2:4]) / 100)
        for name, curve in zip(names, curves, strict=True):
            arrays = groups[name]
            assert curve['num_gts'] == arrays[f'{prefix}npos']
            ap = arrays[f'{prefix}ap'].item()
            assert abs(result[f'voc/AP_{name}'] - ap) <= 1e-6, (prefix, name)
            for key, ours in (('prec', 'precision'), ('rec', 'recall')):
                wanted = arrays[f'{prefix}{key}']
                assert curve[ours].shape == wanted.shape
                error = np.abs(curve[ours] - wanted).max(initial=0)
                assert error <= 1e-6, (prefix, name, key)


def test_parts_that_samples_may_lack():
    """Labels of any type, nothing ignored, and images without any box."""
    plain = sample([[0, 0, 9, 9]], [0], [(0, 0, 9, 9, 0.9, 0)])
    floats = sample([[0, 0, 9, 9]], [0], [(0, 0, 9, 9, 0.9, 0)])
    for part in ('gt_instances', 'pred_instances'):
        floats[part]['labels'] = floats[part]['labels'].float()
    del floats['ignored_instances']
    empty = sample([], [], [])
    for part in ('gt_instances', 'pred_instances'):
        empty[part].update(bboxes=torch.zeros(0), labels=torch.zeros(0))
    empty['ignored_instances'] = {}
    result = evaluate([plain, floats, empty], classes=('a',))
    assert result['voc/AP_a'] == 1
    for part in ('gt_instances', 'pred_instances'):
        wrong = sample([[0, 0, 9, 9]], [0], [(0, 0, 9, 9, 0.9, 0)])
        wrong[part]['labels'] = wrong[part]['labels'] + 0.5
        with pytest.raises(ValueError, match=f'the {part} of .* label 0.5'):
            evaluate([wrong], classes=('a',))


def test_a_class_without_objects_has_no_precision():
    found = [(0, 0, 9, 9, 0.9, 0), (20, 0, 29, 9, 0.9, 1)]
    result = evaluate([sample([[0, 0, 9, 9]], [0], found)])
    assert result['voc/mAP'] == result['voc/AP_a'] == 1
    assert np.isnan(result['voc/AP_b'])


def test_taken_ground_truth_is_a_false_positive():
    # The second detection overlaps [10, 0, 19, 9] enough, too, but belongs to
    # the other.
    result = evaluate(
        [
            sample(
                [[0, 0, 9, 9], [4, 0, 13, 9]],
                [0, 0],
                [(0, 0, 9, 9, 0.9, 0), (1, 0, 10, 9, 0.8, 0)],
            )
        ],
        iou_thr=0.5,
    )
    assert result['voc/AP_a'] == pytest.approx(0.5)


@pytest.mark.parametrize('images', [1, 2])  # with and without processes
def test_ignored_ground_truth_as_in_mmdet(images):
    detections = [
        (0, 0, 9, 9, 0.5, 0),
        (60, 0, 69, 9, 0.9, 0),  # on ignored ground truth
        (61, 0, 70, 9, 0.8, 0),
        (30, 0, 39, 9, 0.3, 0),
    ]
    one = sample([[0, 0, 9, 9]], [0], detections, ([[60, 0, 69, 9]], [0]))
    result = evaluate([one] * images)
    assert result['voc/AP_a'] == pytest.approx(1)
    annotation = dict(
        bboxes=np.array([[0.0, 0, 9, 9]]),
        labels=np.array([0]),
        bboxes_ignore=np.array([[60.0, 0, 69, 9]]),
        labels_ignore=np.array([0]),
    )
    found = [np.array(detections)[:, :5], np.zeros((0, 5))]
    expected, _ = eval_map(
        [found] * images,
        [annotation] * images,
        logger='silent',
        use_legacy_coordinate=True,
    )
    assert result['voc/mAP'] == pytest.approx(expected)


def test_overlap_of_exactly_the_threshold():
    # 7 of 10 pixels; in float32 below 0.7.
    one = sample([[0, 0, 9, 0]], [0], [(0, 0, 6, 0, 0.9, 0)])
    assert evaluate([one], iou_thr=0.7)['voc/AP_a'] == 1
    assert evaluate([one], iou_thr=0.71)['voc/AP_a'] == 0


def random_samples(images=7, classes=2, seed=0, digits=2):
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(images):
        boxes = rng.uniform(0, 60, (rng.integers(0, 12), 2)).round()
        boxes = np.hstack([boxes, boxes + 9])
        number = len(boxes)
        # Ties, also at the threshold.
        scores = np.sort(rng.uniform(size=(number, classes)).round(digits), 0)
        scores = scores[::-1].astype(np.float32)
        detections = [
            (*boxes[i], scores[i, c], c)
            for i in range(number)
            for c in range(classes)
        ]
        gt = rng.permutation(boxes)[: rng.integers(0, 4)]
        labels = rng.integers(0, classes, len(gt))
        samples.append(
            sample(gt, labels, detections, candidates=scores.copy())
        )
    return samples


def caffe_thresholds(samples, max_per_image, classes=2):
    """The loop over images with one heap per class."""
    heaps = [[] for _ in range(classes)]
    thresholds = [-np.inf] * classes
    for one in samples:
        scores = one['pred_instances']['candidate_scores'].numpy()
        for c, heap in enumerate(heaps):
            for score in scores[scores[:, c] > thresholds[c], c]:
                heapq.heappush(heap, score)
            if len(heap) > max_per_image * len(samples):
                while len(heap) > max_per_image * len(samples):
                    heapq.heappop(heap)
                thresholds[c] = heap[0]
    return np.array(thresholds)


@pytest.mark.parametrize('max_per_image', [1, 2, 3, 40])
@pytest.mark.parametrize('seed', range(3))
def test_thresholds_are_those_of_the_heaps(seed, max_per_image):
    samples = random_samples(seed=seed)
    metric = ClasswiseVOCMetric(max_per_image=max_per_image)
    metric.dataset_meta = dict(classes=('a', 'b'))
    metric.process(None, samples)
    rng = np.random.default_rng(seed)
    expected = caffe_thresholds(samples, max_per_image)
    for _ in range(5):
        order = rng.permutation(len(samples))
        shuffled = [samples[i] for i in order]
        # Caffe's own loop does not mind the order either.
        assert np.array_equal(
            caffe_thresholds(shuffled, max_per_image), expected
        )
        annotations = [metric.results[i][0] for i in order]
        assert np.array_equal(metric._thresholds(annotations), expected)
    assert np.isfinite(expected).all() == (max_per_image < 40)


def test_adaptive_thresholds_cut_strictly_above():
    def hits(scores):
        """As many correct detections of class a as scores, well apart."""
        boxes = [[20 * i, 0, 20 * i + 9, 9] for i in range(len(scores))]
        return sample(
            boxes,
            [0] * len(scores),
            [(*b, s, 0) for b, s in zip(boxes, scores, strict=True)],
            candidates=torch.tensor([[s, 0.0] for s in scores]),
        )

    samples = [hits([0.9, 0.8, 0.2]), hits([0.7, 0.6, 0.5])]
    assert evaluate(samples)['voc/AP_a'] == pytest.approx(1)
    # 0.7 is the smallest of the 4 best... of 2 images: not above itself.
    found = evaluate(samples, max_per_image=2)['voc/AP_a']
    assert found == pytest.approx(3 / 6)
    assert evaluate(samples, max_per_image=3)['voc/AP_a'] == pytest.approx(1)


def test_batches_and_order_do_not_matter():
    samples = random_samples(digits=6)
    expected = evaluate(samples, max_per_image=3)
    assert expected != evaluate(samples)
    assert evaluate(samples[::-1], max_per_image=3) == expected
    evaluator = Evaluator(
        dict(type='mmxdistill.ClasswiseVOCMetric', max_per_image=3)
    )
    evaluator.dataset_meta = dict(classes=('a', 'b'))
    for part in (samples[:3], samples[3:4], samples[4:]):
        evaluator.process(part)
    assert evaluator.evaluate(len(samples)) == expected


def test_images_without_detections_need_no_candidates():
    samples = [*random_samples(), sample([[0, 0, 9, 9]], [0], [])]
    assert 0 <= evaluate(samples, max_per_image=3)['voc/mAP'] <= 1


def test_detections_without_candidates():
    one = sample([[0, 0, 9, 9]], [0], [(0, 0, 9, 9, 0.5, 0)])
    with pytest.raises(KeyError, match=r'max_per_class=100.*max_per_image=No'):
        evaluate([one], max_per_image=40)


def test_bad_number():
    with pytest.raises(ValueError, match='max_per_image is 0'):
        ClasswiseVOCMetric(max_per_image=0)
