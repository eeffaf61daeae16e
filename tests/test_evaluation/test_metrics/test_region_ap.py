import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData
from pycocotools import mask as coco_mask

from mmxdistill.evaluation.average_precision import precision_recall
from mmxdistill.evaluation.metrics.region_ap import region_overlaps
from mmxdistill.registry import METRICS


def build(classes, **kwargs):
    metric = METRICS.build(dict(type='mmxdistill.RegionAPMetric', **kwargs))
    metric.dataset_meta = dict(classes=classes)
    return metric


def sample(masks, scores, labels, gt_masks, gt_labels):
    gt_masks = np.asarray(gt_masks, np.uint8)
    both = DetDataSample(metainfo=dict(img_path='a.png'))
    both.pred_instances = InstanceData(
        masks=torch.as_tensor(masks),
        scores=torch.as_tensor(scores),
        labels=torch.as_tensor(labels),
    )
    both.gt_instances = InstanceData(
        masks=BitmapMasks(gt_masks, *gt_masks.shape[1:]),
        labels=torch.as_tensor(gt_labels),
    )
    return both.to_dict()  # as mmengine's evaluator hands it over


def columns(*spans, width=20):
    """Masks of four rows with 1 in columns [start, stop)."""
    masks = np.zeros((len(spans), 4, width), bool)
    for mask, (start, stop) in zip(masks, spans, strict=True):
        mask[:, start:stop] = True
    return masks


@pytest.mark.golden
def test_golden_region_ap(caffe_golden):
    meta, groups = caffe_golden('py_sds')
    expected = groups['eval']
    superpixels = expected['superpixels'].astype(int) - 1
    images = [groups[f'eval{i}'] for i in range(meta['eval']['num_images'])]
    names = [k.removeprefix('ap_') for k in expected if k.startswith('ap_')]
    assert names
    for name in names:
        category, percent = name.removeprefix('cat').split('_ov')
        metric = build(
            [f'class {i}' for i in range(1 + int(category))],
            iou_thrs=[int(percent) / 100],
        )
        for arrays in images:
            regions = arrays['regions'].T[:, superpixels]
            truth = np.arange(1, 1 + len(arrays['gt_categories']))
            truth = arrays['inst'] == truth[:, None, None]
            np.testing.assert_array_equal(
                region_overlaps(regions, truth).T, arrays['overlaps']
            )
            # All regions are detections of this category.
            labels = np.full(len(regions), int(category))
            metric.process(
                None,
                [
                    sample(
                        regions,
                        arrays['scores'],
                        labels,
                        truth,
                        arrays['gt_categories'],
                    )
                ],
            )
        scores, _, correct, gt_labels = (
            np.hstack(parts) for parts in zip(*metric.results, strict=True)
        )
        curve = precision_recall(
            scores, correct[0], (gt_labels == int(category)).sum()
        )
        for values, kind in zip(curve, ('prec', 'rec'), strict=True):
            np.testing.assert_array_equal(values, expected[f'{kind}_{name}'])
        found = metric.evaluate(len(images))
        key = f'region/APr_{int(percent)}_class {category}'
        assert found[key] == pytest.approx(
            float(expected[f'ap_{name}']), abs=1e-6, nan_ok=True
        ), name


def test_classes_and_thresholds():
    metric = build(('a', 'b', 'c'))
    metric.process(
        None,
        [
            sample(
                columns((0, 6), (0, 10), (10, 20), (0, 10)),
                [0.9, 0.5, 0.8, 0.7],
                [0, 0, 1, 1],
                columns((0, 10), (10, 20)),
                [0, 1],
            ),
            # Nothing found: one more 'a' missed.
            sample(columns(), [], [], columns((0, 10)), [0]),
            # Nothing there: a false 'a' with the lowest score.
            sample(columns((0, 5)), [0.1], [0], columns(), []),
        ],
    )
    found = metric.evaluate(3)
    # a: IoU 0.6 is right at 0.5 and wrong at 0.7, where the second is right.
    assert found['region/APr_50_a'] == pytest.approx(1 / 2)
    assert found['region/APr_70_a'] == pytest.approx(1 / 4)
    assert found['region/APr_50_b'] == found['region/APr_70_b'] == 1
    assert np.isnan(found['region/APr_50_c'])
    assert found['region/mAPr_50'] == pytest.approx((1 / 2 + 1) / 2)
    assert found['region/mAPr_70'] == pytest.approx((1 / 4 + 1) / 2)


def test_overlaps():
    found = region_overlaps(
        torch.as_tensor(columns((0, 10), (5, 15), (0, 0))),
        columns((0, 10), (0, 20), (3, 3)),
    )
    assert found.tolist() == [[1, 0.5, 0], [1 / 3, 0.5, 0], [0, 0, 0]]
    assert region_overlaps(columns(), columns((0, 1))).shape == (0, 1)


def polygons(masks):
    """Rectangles from ``columns`` as polygons."""
    found = []
    for mask in masks:
        on = np.flatnonzero(mask.any(0))
        left, right = on[0], on[-1] + 1
        found.append([np.array([left, 0, right, 0, right, 4, left, 4.0])])
    return PolygonMasks(found, *masks.shape[1:])


def run_lengths(masks, kind):
    found = coco_mask.encode(
        np.asfortranarray(masks.transpose(1, 2, 0), np.uint8)
    )
    for mask, region in zip(masks, found, strict=True):
        if kind == 'str':
            region['counts'] = region['counts'].decode()
        elif kind == 'list':
            flat = np.concatenate([[False], mask.ravel('F'), [False]])
            edges = np.flatnonzero(np.diff(flat.astype(int)))
            edges = np.concatenate([[0], edges, [mask.size]])
            region['counts'] = np.diff(edges).tolist()
    return found


MASKS = {
    'bool': torch.as_tensor,
    'ndarray': lambda masks: masks,
    '0 and 255': lambda masks: torch.as_tensor(masks * np.uint8(255)),
    'several numbers': lambda masks: masks * np.arange(1, 21),
    'floats': lambda masks: torch.as_tensor(masks, dtype=torch.float16),
    'probabilities': lambda masks: torch.where(
        torch.as_tensor(masks), 0.5, 0.49
    ),
    'bfloat16': lambda masks: torch.as_tensor(masks, dtype=torch.bfloat16),
    'list': list,
    'bitmaps': lambda masks: BitmapMasks(
        masks.astype(np.uint8), *masks.shape[1:]
    ),
    'polygons': polygons,
    'run lengths': lambda masks: run_lengths(masks, 'bytes'),
    'run lengths as text': lambda masks: run_lengths(masks, 'str'),
    'run lengths uncompressed': lambda masks: run_lengths(masks, 'list'),
}


@pytest.mark.parametrize('kind', MASKS)
@pytest.mark.parametrize('part', ['pred_instances', 'gt_instances'])
def test_masks_of_any_kind(kind, part):
    metric = build(('a',))
    both = sample(
        columns((0, 6), (10, 20)),
        [0.9, 0.5],
        [0, 0],
        columns((0, 10), (10, 20)),
        [0, 0],
    )
    spans = ((0, 6), (10, 20)) if part[0] == 'p' else ((0, 10), (10, 20))
    both[part]['masks'] = MASKS[kind](columns(*spans))
    metric.process(None, [both])
    found = metric.evaluate(1)
    assert found['region/APr_50_a'] == 1
    assert found['region/APr_70_a'] == pytest.approx(1 / 4)


def test_threshold_of_probabilities():
    metric = build(('a',), mask_thr=0.4)
    soft = torch.where(torch.as_tensor(columns((0, 10))), 0.4, 0.3)
    metric.process(None, [sample(soft, [1.0], [0], columns((0, 10)), [0])])
    assert metric.evaluate(1)['region/APr_70_a'] == 1
    for wrong in (soft * 10, soft - 1, soft * torch.nan):
        with pytest.raises(ValueError, match=r"'a\.png': floating-point"):
            metric.process(
                None, [sample(wrong, [1.0], [0], columns((0, 10)), [0])]
            )


def test_ignored_regions_count_neither_way():
    metric = build(('a', 'b'))
    both = sample(
        columns((0, 10), (10, 20), (10, 14), (10, 20)),
        [0.5, 0.9, 0.8, 0.7],
        [0, 0, 0, 1],
        columns((0, 10)),
        [0],
    )
    ignored = columns((10, 20)).astype(np.uint8)
    both['ignored_instances'] = dict(
        masks=BitmapMasks(ignored, *ignored.shape[1:]), labels=torch.zeros(1)
    )
    metric.process(None, [both])
    found = metric.evaluate(1)
    # The second belongs to the ignored region; the third overlaps it too
    # little and is wrong; the fourth is of another class.
    assert found['region/APr_50_a'] == pytest.approx(1 / 2)
    assert np.isnan(found['region/APr_50_b'])
    # Without masks, nothing is ignored.
    both['ignored_instances'] = dict(labels=torch.zeros(0))
    metric.process(None, [both])
    assert metric.evaluate(1)['region/APr_50_a'] == pytest.approx(1 / 3)


def test_labels_are_numbers_of_classes():
    metric = build(('a',))
    truth = columns((0, 10))
    metric.process(None, [sample(truth, [1.0], [0.0], truth, [0.0])])
    assert metric.evaluate(1)['region/APr_50_a'] == 1
    for labels, gt_labels, name in (
        ([0.5], [0], 'pred_instances'),
        ([0], [0.5], 'gt_instances'),
    ):
        with pytest.raises(ValueError, match=f"the {name} of 'a.png'.*label"):
            metric.process(
                None, [sample(truth, [1.0], labels, truth, gt_labels)]
            )
    odd = sample(truth, [1.0], [0], truth, [0])
    odd['gt_instances']['labels'] = torch.zeros(2)
    with pytest.raises(ValueError, match='2 labels but 1 masks'):
        metric.process(None, [odd])


def test_bad_input():
    with pytest.raises(ValueError, match='iou_thrs'):
        build((), iou_thrs=(50,))
    with pytest.raises(ValueError, match='equal in per cent'):
        build((), iou_thrs=(0.5, 0.504))
    metric = build(('a',))
    other = columns((0, 1), width=9)
    with pytest.raises(ValueError, match=r'\(4, 9\).*\(4, 20\)'):
        metric.process(None, [sample(other, [0.5], [0], columns((0, 1)), [0])])
    broken = sample(other, [0.5], [0], other, [0])
    del broken['pred_instances']['masks']
    with pytest.raises(KeyError, match=r"pred_instances of 'a\.png'"):
        metric.process(None, [broken])
