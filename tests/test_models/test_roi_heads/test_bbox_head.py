import numpy as np
import pytest
import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmxdistill.models.roi_heads.detections import select_detections
from mmxdistill.registry import MODELS

CAFFE = dict(type='mmxdistill.CaffeBBoxCoder')
CAFFE_TEST = dict(max_per_class=20, nms=dict(type='nms', iou_threshold=0.3))
MMDET_TEST = ConfigDict(
    score_thr=0.05, nms=dict(type='nms', iou_threshold=0.5), max_per_img=30
)
META = dict(
    img_path='a.jpg',
    img_shape=(150, 240),
    ori_shape=(100, 160),
    scale_factor=(1.5, 1.5),
)


def build(**kwargs):
    kwargs = {
        'num_classes': 5,
        'bbox_coder': dict(type='DeltaXYWHBBoxCoder'),
        **kwargs,
    }
    head = MODELS.build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=4,
            roi_feat_size=3,
            fc_channels=400,
            **kwargs,
        )
    )
    if head.with_reg:  # the default initialisation has an fc_reg
        head.init_weights()
    return head


def statistics(classes=5, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.normal(0, 0.1, (classes, 4))
    return means, rng.uniform(0.1, 0.3, (classes, 4))


def outputs(rois=40, classes=5, seed=0):
    """RoIs (R, 5) in the resized image, scores and deltas."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(rois, 2, generator=generator) * 100
    size = torch.rand(rois, 2, generator=generator) * 100
    boxes = torch.cat([torch.zeros(rois, 1), low, low + 5 + size], 1)
    scores = torch.randn(rois, classes + 1, generator=generator) * 3
    deltas = torch.randn(rois, classes * 4, generator=generator) * 0.2
    return boxes, scores, deltas


def predict(head, rois, scores, deltas, cfg, **kwargs):
    (found,) = head.predict_by_feat(
        rois=(rois,),
        cls_scores=(scores,),
        bbox_preds=(deltas,),
        batch_img_metas=[kwargs.pop('meta', META)],
        rcnn_test_cfg=cfg,
        **kwargs,
    )
    return found


def assert_same(found: InstanceData, expected: InstanceData, **kwargs):
    assert len(found) == len(expected) > 0
    for key in ('bboxes', 'scores', 'labels'):
        torch.testing.assert_close(found[key], expected[key], **kwargs)


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


@pytest.mark.golden
def test_golden_snapshot(caffe_golden):
    _, groups = caffe_golden('py_bbox_decode')
    cases = [case for case in groups if 'weight' in groups[case]]
    assert cases
    for case in cases:
        arrays = {k: torch.from_numpy(v) for k, v in groups[case].items()}
        classes, inputs = len(arrays['bias']) // 4 - 1, 5
        head = MODELS.build(
            dict(
                type='mmxdistill.FastRCNNBBoxHead',
                in_channels=inputs,
                roi_feat_size=1,
                fc_channels=arrays['weight'].shape[1],
                num_classes=classes,
                bbox_coder=CAFFE,
            )
        )
        ours = slice(4, None)  # Caffe has boxes of the background, too
        with torch.no_grad():
            head.fc_reg.weight.copy_(arrays['weight'][ours])
            head.fc_reg.bias.copy_(arrays['bias'][ours])
        head.set_box_statistics(
            arrays['means'][ours].view(-1, 4), arrays['stds'][ours].view(-1, 4)
        )
        weight, bias = head.unnormalized_regression()
        assert torch.equal(weight, arrays['weight_saved'][ours])
        assert torch.equal(bias, arrays['bias_saved'][ours])
        # Training goes on with the others.
        assert torch.equal(head.fc_reg.weight, arrays['weight'][ours])


def test_folded_weights_predict_what_the_head_predicts():
    head = build(bbox_coder=CAFFE).eval()
    torch.nn.init.normal_(head.fc_reg.weight, std=0.05)
    torch.nn.init.normal_(head.fc_reg.bias)
    identity = head.unnormalized_regression()
    assert torch.equal(identity[0], head.fc_reg.weight)
    assert identity[0].data_ptr() != head.fc_reg.weight.data_ptr()
    rois, scores, _ = outputs()
    x = torch.randn(len(rois), 4, 3, 3)
    other = build(bbox_coder=CAFFE).eval()
    other.load_state_dict(head.state_dict())
    head.set_box_statistics(*statistics())
    assert other.state_dict().keys() == head.state_dict().keys()
    weight, bias = head.unnormalized_regression()
    other.fc_reg.weight.data, other.fc_reg.bias.data = weight, bias
    for cfg in (CAFFE_TEST, MMDET_TEST):
        assert_same(
            predict(head, rois, scores, head(x)[1], cfg, rescale=True),
            predict(other, rois, scores, other(x)[1], cfg, rescale=True),
            rtol=1e-5,
            atol=1e-3,
        )


def sampled():
    """Three positives and two negatives."""
    rois, _, _ = outputs(5)
    truth = rois[:2, 1:] + torch.tensor([3.0, -2.0, 8.0, 1.0])
    assigned = AssignResult(
        num_gts=2,
        gt_inds=torch.tensor([2, 1, 2, 0, 0]),
        max_overlaps=torch.ones(5),
        labels=torch.tensor([1, 4, 1, -1, -1]),
    )
    return SamplingResult(
        pos_inds=torch.arange(3),
        neg_inds=torch.tensor([3, 4]),
        priors=rois[:, 1:],
        gt_bboxes=truth,
        assign_result=assigned,
        gt_flags=torch.zeros(5, dtype=torch.uint8),
    )


@pytest.mark.parametrize('coder', [CAFFE, dict(type='DeltaXYWHBBoxCoder')])
def test_targets_are_normalised_per_class_and_coordinate(coder):
    head, result = build(bbox_coder=coder), sampled()
    cfg = ConfigDict(pos_weight=-1)
    raw = head.get_targets([result, result], cfg)
    means, stds = statistics()
    head.set_box_statistics(means, torch.tensor(stds))
    labels, label_weights, targets, weights = head.get_targets(
        [result, result], cfg
    )
    for found, expected in zip(
        (labels, label_weights, weights), (*raw[:2], raw[3]), strict=True
    ):
        assert torch.equal(found, expected)
    assert labels.tolist() == [1, 4, 1, 5, 5] * 2
    classes = labels[labels < 5].numpy()
    expected = (raw[2][labels < 5].numpy() - means[classes]) / stds[classes]
    np.testing.assert_allclose(targets[labels < 5], expected, rtol=1e-6)
    assert not targets[labels == 5].any()
    assert targets.dtype == torch.float32


def test_no_positives():
    head, result = build(), sampled()
    head.set_box_statistics(*statistics())
    result.pos_priors = result.pos_priors[:0]
    result.pos_gt_bboxes = result.pos_gt_bboxes[:0]
    result.pos_gt_labels = result.pos_gt_labels[:0]
    targets = head.get_targets([result], ConfigDict(pos_weight=-1))[2]
    assert targets.shape == (2, 4) and not targets.any()


def test_class_whose_targets_are_all_equal():
    head, result = build(bbox_coder=CAFFE), sampled()
    means, stds = statistics()
    stds[1] = 0
    head.set_box_statistics(means, stds)
    labels, _, targets, _ = head.get_targets(
        [result], ConfigDict(pos_weight=-1)
    )
    assert not targets[labels == 1].any()
    assert targets.isfinite().all() and targets[labels == 4].any()


@pytest.mark.parametrize('coder', [CAFFE, dict(type='DeltaXYWHBBoxCoder')])
def test_usual_settings_are_exactly_those_of_mmdet(coder):
    head = build(bbox_coder=coder)
    for cfg in (MMDET_TEST, None):
        for rescale in (True, False):
            arguments = dict(
                rois=(outputs()[0],),
                cls_scores=(outputs()[1],),
                bbox_preds=(outputs()[2],),
                batch_img_metas=[META],
                rcnn_test_cfg=cfg,
                rescale=rescale,
            )
            (ours,) = head.predict_by_feat(**arguments)
            (theirs,) = BBoxHead.predict_by_feat(head, **arguments)
            (stock,) = _stock(coder).predict_by_feat(**arguments)
            for found in (theirs, stock):
                assert ours.keys() == found.keys()
                for key in ours.keys():
                    assert torch.equal(ours[key], found[key])


def _stock(coder):
    return MODELS.build(
        dict(
            type='mmdet.BBoxHead',
            in_channels=4,
            roi_feat_size=3,
            num_classes=5,
            bbox_coder=coder,
        )
    )


@pytest.mark.parametrize('coder', [CAFFE, dict(type='DeltaXYWHBBoxCoder')])
def test_caffe_detections_are_made_in_the_original_image(coder):
    head = build(bbox_coder=coder)
    rois, scores, deltas = outputs()
    found = predict(head, rois, scores, deltas, CAFFE_TEST, rescale=True)
    boxes = head.bbox_coder.decode(
        rois[:, 1:] / 1.5, deltas, max_shape=META['ori_shape']
    )
    expected = select_detections(
        boxes.view(-1, 5, 4), scores.softmax(1)[:, :5], CAFFE_TEST
    )
    assert_same(found, expected, rtol=1e-6, atol=1e-4)
    edge = 99 if coder is CAFFE else 100
    assert found.bboxes[:, 3].max() == edge
    resized = predict(head, rois, scores, deltas, CAFFE_TEST)
    torch.testing.assert_close(resized.bboxes, found.bboxes * 1.5)
    assert torch.equal(resized.scores, found.scores)


def test_statistics_in_detections():
    head = build(bbox_coder=CAFFE)
    rois, scores, deltas = outputs()
    plain = predict(head, rois, scores, deltas, CAFFE_TEST, rescale=True)
    means, stds = statistics()
    normalised = (deltas.double().view(-1, 5, 4) - torch.tensor(means)) / (
        torch.tensor(stds)
    )
    head.set_box_statistics(means, stds)
    found = predict(
        head,
        rois,
        scores,
        normalised.float().flatten(1),
        CAFFE_TEST,
        rescale=True,
    )
    assert_same(found, plain, rtol=1e-6, atol=1e-3)


def test_class_agnostic_regression():
    head = build(bbox_coder=CAFFE, reg_class_agnostic=True)
    rois, scores, deltas = outputs()
    found = predict(
        head, rois, scores, deltas[:, :4], CAFFE_TEST, rescale=True
    )
    same = predict(
        build(bbox_coder=CAFFE),
        rois,
        scores,
        deltas[:, :4].repeat(1, 5),
        CAFFE_TEST,
        rescale=True,
    )
    assert_same(found, same)
    assert head.unnormalized_regression()[0].shape == (4, 400)


def test_half_precision_detections():
    head = build(bbox_coder=CAFFE)
    rois, scores, deltas = outputs()
    found = predict(
        head, rois, scores.half(), deltas.half(), CAFFE_TEST, rescale=True
    )
    expected = predict(
        head,
        rois,
        scores.half().float(),
        deltas.half().float(),
        CAFFE_TEST,
        rescale=True,
    )
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    assert_same(found, expected)


@pytest.mark.parametrize('key', ['ori_shape', 'scale_factor'])
def test_missing_meta_information(key):
    meta = {k: v for k, v in META.items() if k != key}
    with pytest.raises(KeyError, match=rf'a\.jpg.* has no {key}.*meta_keys'):
        predict(build(), *outputs(), CAFFE_TEST, meta=meta)


@pytest.mark.parametrize(
    ('kwargs', 'means', 'stds', 'message'),
    [
        ({}, np.zeros((4, 4)), np.ones((5, 4)), r'means are \(4, 4\).*5 clas'),
        ({}, np.zeros((5, 4)), np.ones(20), r'stds are \(20,\).*\(5, 4\)'),
        ({}, np.full((5, 4), np.nan), np.ones((5, 4)), 'means.*finite'),
        ({}, np.zeros((5, 4)), -np.ones((5, 4)), 'stds.*not negative'),
        (
            dict(reg_class_agnostic=True),
            np.zeros((5, 4)),
            np.ones((5, 4)),
            'reg_class_agnostic=False',
        ),
        (
            dict(with_reg=False),
            np.zeros((5, 4)),
            np.ones((5, 4)),
            'with_reg=True',
        ),
        (
            dict(reg_decoded_bbox=True),
            np.zeros((5, 4)),
            np.ones((5, 4)),
            'reg_decoded_bbox=True',
        ),
    ],
)
def test_bad_statistics(kwargs, means, stds, message):
    head = build(**kwargs)
    with pytest.raises(ValueError, match=message):
        head.set_box_statistics(means, stds)
    # Nothing is set half.
    assert not head.bbox_means.any() and (head.bbox_stds == 1).all()
