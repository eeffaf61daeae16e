import numpy as np
import pytest
import torch
from mmcv.ops import nms
from mmdet.models.task_modules.coders import BaseBBoxCoder
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmxdistill.evaluation.metrics import voc
from mmxdistill.models.roi_heads.detections import (
    check_test_cfg,
    select_detections,
)
from mmxdistill.registry import MODELS


class GivenBoxes(BaseBBoxCoder):
    """The "regression" is the boxes themselves."""

    def encode(self, bboxes, gt_bboxes):
        return gt_bboxes

    def decode(self, bboxes, bboxes_pred, max_shape=None):
        return bboxes_pred


class GivenScores(nn.Module):
    """The "scores before softmax" are the scores themselves."""

    custom_cls_channels = True

    def get_cls_channels(self, num_classes):
        return num_classes + 1

    def get_activation(self, cls_score):
        return cls_score


def settings(max_per_class=100, threshold=0.3):
    return dict(
        max_per_class=max_per_class,
        nms=dict(type='nms', iou_threshold=threshold),
    )


def build(num_classes):
    """A head whose detections are made of given boxes and scores."""
    return MODELS.build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=1,
            roi_feat_size=1,
            fc_channels=2,
            num_classes=num_classes,
            bbox_coder=dict(type=GivenBoxes),
            loss_cls=dict(type=GivenScores),
        )
    )


def detect(boxes, scores, cfg):
    """Detections of one image: boxes (R, classes * 4), scores (R, classes)."""
    scores = torch.as_tensor(scores)
    background = torch.zeros(len(scores), 1)
    (found,) = build(scores.shape[1]).predict_by_feat(
        rois=(torch.zeros(len(scores), 5),),
        cls_scores=(torch.cat([scores, background], 1),),
        bbox_preds=(torch.as_tensor(boxes),),
        batch_img_metas=[dict(ori_shape=(9, 9), scale_factor=(1.0, 1.0))],
        rcnn_test_cfg=cfg,
        rescale=True,
    )
    return found


def rows(found: InstanceData, label: int) -> np.ndarray:
    part = found[found.labels == label]
    return torch.cat([part.bboxes, part.scores[:, None]], 1).numpy()


@pytest.mark.golden
def test_golden_nms(caffe_golden):
    meta, groups = caffe_golden('py_nms')
    assert meta
    ties = 0
    for case, arrays in groups.items():
        dets, keep = arrays['dets'], arrays['keep']
        found = detect(
            dets[:, :4], dets[:, 4:], settings(999, meta[case]['thresh'])
        )
        assert np.array_equal(rows(found, 0), dets[keep]), case
        ties += len(keep) < len(arrays['keep_python_version'])
    assert ties  # some IoU is exactly the threshold


@pytest.mark.golden
def test_golden_detections_and_average_precision(caffe_golden, monkeypatch):
    meta, groups = caffe_golden('py_test_net')
    cfg = meta['eval']
    names = tuple(f'cls{c}' for c in range(1, cfg['num_classes']))
    images = [groups[f'image{i}'] for i in range(cfg['num_images'])]
    seen = {}

    def spy(detections, annotations, **kwargs):
        seen['detections'] = detections
        mean, seen['classes'] = eval_map(detections, annotations, **kwargs)
        return mean, seen['classes']

    eval_map = voc.eval_map
    monkeypatch.setattr(voc, 'eval_map', spy)

    def evaluate(threshold, order):
        evaluator = Evaluator(
            dict(
                type='mmxdistill.ClasswiseVOCMetric',
                iou_thr=cfg['overlap'],
                max_per_image=cfg['max_per_set_f'],
            )
        )
        evaluator.dataset_meta = dict(classes=names)
        for i in order:
            arrays = images[i]
            proposals = arrays['roi_gt_classes'] == 0
            sample = DetDataSample(
                gt_instances=InstanceData(
                    bboxes=torch.tensor(arrays['gt_boxes'].astype(np.float32)),
                    labels=torch.tensor(arrays['gt_classes'] - 1),
                ),
                ignored_instances=InstanceData(
                    bboxes=torch.zeros(0, 4), labels=torch.zeros(0)
                ),
                # Class 0 is the background.
                pred_instances=detect(
                    arrays['boxes'][proposals, 4:],
                    arrays['scores'][proposals, 1:],
                    settings(cfg['max_per_image'], threshold),
                ),
            )
            evaluator.process([sample])
        metrics = evaluator.evaluate(len(images))
        for position, i in enumerate(order):
            for c, name in enumerate(names):
                # 1.5: no NMS
                stage = 'before_nms' if threshold > 1 else 'after_nms'
                expected = groups[stage][f'{name}_img{i}']
                found = seen['detections'][position][c]
                assert np.array_equal(found, expected), (stage, i, name)
        return metrics

    evaluate(1.5, range(len(images)))
    for order in (range(len(images)), reversed(range(len(images)))):
        metrics = evaluate(cfg['nms'], list(order))
        truth = np.concatenate([arrays['gt_classes'] for arrays in images])
        expected = {}
        for c, name in enumerate(names):
            if c + 1 not in truth:
                continue  # AP is not defined
            ap, found = groups['eval']['ap'][c], seen['classes'][c]
            expected[name] = ap
            assert abs(metrics[f'voc/AP_{name}'] - ap) <= 1e-6, name
            for key, ours in (('prec', 'precision'), ('rec', 'recall')):
                wanted = groups['eval'][f'{key}_{name}']
                assert found[ours].shape == wanted.shape, (name, key)
                assert np.abs(found[ours] - wanted).max() <= 1e-6, (name, key)
        mean = np.mean(list(expected.values()))
        assert abs(metrics['voc/mAP'] - mean) <= 1e-6


def overlapping(n: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(n, classes, 2, generator=generator) * 60
    size = torch.rand(n, classes, 2, generator=generator) * 40
    boxes = torch.cat([low, low + size], -1)
    return boxes, torch.rand(n, classes, generator=generator)


def test_nms_commutes_with_a_score_threshold():
    boxes, scores = overlapping(80, 1, 0)
    cut = 0.4
    cfg = settings(80, 0.2)
    first = rows(select_detections(boxes, scores, cfg), 0)
    kept = scores[:, 0] > cut
    then = rows(select_detections(boxes[kept], scores[kept], cfg), 0)
    assert 0 < len(then) < len(first)
    assert np.array_equal(first[first[:, 4] > cut], then)


def test_best_of_every_class_and_no_limit_over_classes():
    boxes, scores = overlapping(60, 7, 1)
    found = select_detections(boxes, scores, settings(20, 1.5))
    assert len(found) == 7 * 20
    assert (found.scores.diff() <= 0).all()
    for c in range(7):
        best, order = scores[:, c].sort(descending=True)
        ours = rows(found, c)
        assert np.array_equal(ours[:, 4], best[:20].numpy())
        assert np.array_equal(ours[:, :4], boxes[order[:20], c].numpy())
        candidates = found.candidate_scores[:, c]
        assert torch.equal(candidates, best[:20])


def test_one_class_is_mmcv_nms_with_offset():
    boxes, scores = overlapping(60, 1, 2)
    found = select_detections(boxes, scores, settings(60, 0.3))
    dets, _ = nms(boxes[:, 0], scores[:, 0], 0.3, offset=1)
    assert np.array_equal(rows(found, 0), dets.numpy())
    other, _ = nms(boxes[:, 0], scores[:, 0], 0.3)
    assert len(other) != len(dets)


def test_suppresses_at_the_threshold():
    # 20 of 60 pixels: 1/3, which float32 rounds up and 0.3 does not.
    boxes = torch.tensor([[0.0, 0.0, 9.0, 3.0], [5.0, 0.0, 14.0, 3.0]])
    scores = torch.tensor([[0.9], [0.8]])
    for threshold, left in ((1 / 3, 1), (0.3333334, 2), (0.33333, 1)):
        cfg = settings(9, threshold)
        assert len(select_detections(boxes[:, None], scores, cfg)) == left


def test_no_rois():
    found = detect(torch.zeros(0, 12), torch.zeros(0, 3), settings())
    assert len(found) == 0
    assert found.bboxes.shape == (0, 4)
    assert found.candidate_scores.shape == (0, 3)


def test_candidate_scores_travel_with_the_sample():
    boxes, scores = overlapping(30, 2, 3)
    found = detect(boxes.flatten(1), scores, settings(10))
    sample = DetDataSample(
        metainfo=dict(img_shape=(120, 120)), pred_instances=found
    )
    for moved in (sample, sample.cpu(), sample.clone(), sample.detach()):
        result = moved.to_dict()['pred_instances']
        assert result['candidate_scores'].shape == (10, 2)
    # ... also through a selection, and drawing does not mind them.
    few = found[found.scores > 0.8]
    assert torch.equal(few.candidate_scores, found.candidate_scores)
    image = np.zeros((120, 120, 3), np.uint8)
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('a', 'b'), palette=None)
    visualizer.add_datasample('', image, sample, draw_gt=False)
    assert visualizer.get_image().any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_cuda_gives_the_same():
    boxes, scores = overlapping(300, 5, 4)
    here = select_detections(boxes, scores, settings(50))
    there = select_detections(boxes.cuda(), scores.cuda(), settings(50))
    assert there.bboxes.is_cuda and there.labels.is_cuda
    for key in ('bboxes', 'scores', 'labels', 'candidate_scores'):
        assert torch.equal(there[key].cpu(), here[key])


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(settings(), score_thr=0.05), r"\['score_thr'\].*_delete_"),
        (dict(settings(), max_per_img=9), r"\['max_per_img'\]"),
        (settings(0), 'max_per_class is 0'),
        (settings('all'), "max_per_class is 'all'"),
        (dict(max_per_class=9), 'nms is {}'),
        (
            dict(max_per_class=9, nms=dict(type='soft_nms', iou_threshold=1)),
            'soft_nms',
        ),
        (dict(max_per_class=9, nms=dict(type='nms')), "nms is {'type'"),
    ],
)
def test_bad_settings(cfg, message):
    with pytest.raises(ValueError, match=message):
        check_test_cfg(cfg)


def test_settings_of_mmdet_are_left_alone():
    check_test_cfg(None)
    check_test_cfg(dict(score_thr=0.05, nms=None, max_per_img=9))
