import copy

import numpy as np
import pytest
import torch
from mmdet.models.roi_heads import StandardRoIHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from nets import fast_rcnn

from mmxdistill.models.roi_heads.duplicates import unique_rois
from mmxdistill.registry import MODELS

CAFFE_TEST = dict(max_per_class=50, nms=dict(type='nms', iou_threshold=0.3))


def config(kind='mmxdistill.DedupRoIHead', stride=16, **kwargs):
    cfg = copy.deepcopy(fast_rcnn())
    head = cfg.roi_head
    head.type = kind
    head.bbox_roi_extractor.featmap_strides = [stride]
    head.bbox_head.bbox_coder = dict(type='mmxdistill.CaffeBBoxCoder')
    head.update(train_cfg=cfg.train_cfg.rcnn, test_cfg=cfg.test_cfg.rcnn)
    head.update(kwargs)
    return head


def build(**kwargs):
    torch.manual_seed(0)
    head = MODELS.build(config(**kwargs))
    head.init_weights()
    # Scores and boxes that differ between RoIs.
    torch.nn.init.normal_(head.bbox_head.fc_cls.weight)
    torch.nn.init.normal_(head.bbox_head.fc_reg.weight, std=0.1)
    torch.nn.init.normal_(head.bbox_head.fc6.weight, std=0.5)
    torch.nn.init.normal_(head.bbox_head.fc7.weight, std=0.5)
    return head.eval()


def some_proposals(images=2, n=60):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 150, (images, n, 2))
    boxes = np.concatenate([low, low + rng.uniform(9, 90, low.shape)], -1)
    # Every other one is a near copy.
    boxes[:, 1::2] = boxes[:, ::2] + rng.uniform(-1, 1, (images, n // 2, 4))
    return [
        InstanceData(bboxes=torch.tensor(b, dtype=torch.float32))
        for b in boxes
    ]


def metas(images=2):
    return [
        dict(
            img_shape=(240, 240), ori_shape=(120, 120), scale_factor=(2.0, 2.0)
        )
    ] * images


def spy(head, monkeypatch):
    """Record what the network sees and what is decoded."""
    seen = {}
    forward, predict = head._bbox_forward, head.bbox_head.predict_by_feat

    def record_forward(x, rois):
        seen['network'] = rois
        return forward(x, rois)

    def record_predict(**kwargs):
        seen.update(kwargs)
        return predict(**kwargs)

    monkeypatch.setattr(head, '_bbox_forward', record_forward)
    monkeypatch.setattr(head.bbox_head, 'predict_by_feat', record_predict)
    return seen


@pytest.mark.golden
def test_golden_duplicates(caffe_golden, monkeypatch):
    meta, groups = caffe_golden('py_dedup')
    cases = [case for case in groups if 'inv_index' in groups[case]]
    assert cases
    for case in cases:
        rois = torch.from_numpy(groups[case]['rois'])
        inverse = groups[case]['inv_index']
        representative = groups[case]['index'][inverse]
        assert (rois[:, 0] == 0).all()  # one image
        assert len(set(representative)) < len(rois)
        head = build(stride=round(1 / meta[case]['dedup']))
        seen = spy(head, monkeypatch)
        cells = 1 + int(rois.max() * meta[case]['dedup'])
        features = (torch.randn(1, 8, cells, cells),)
        head.predict_bbox(
            features,
            metas(1),
            [InstanceData(bboxes=rois[:, 1:])],
            ConfigDict(CAFFE_TEST),
        )
        assert len(seen['network']) == len(groups[case]['index'])
        assert torch.equal(seen['rois'][0], rois[representative])
        # As if all RoIs had been scored.
        alone = StandardRoIHead._bbox_forward(head, features, rois)
        for found, expected in (
            (seen['cls_scores'][0], alone['cls_score'][representative]),
            (seen['bbox_preds'][0], alone['bbox_pred'][representative]),
        ):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
        assert not torch.equal(seen['rois'][0], rois)


@pytest.mark.golden
def test_golden_rounds_half_to_even(caffe_golden):
    _, groups = caffe_golden('py_dedup')
    cases = [case for case in groups if 'rounded' in groups[case]]
    assert cases
    for case in cases:
        rois = torch.from_numpy(groups[case]['rois'])
        rounded = torch.from_numpy(groups[case]['rounded'])
        # Whole cells round to themselves, whatever the rule.
        exact = torch.cat([rounded[:, :1], rounded[:, 1:] * 16], 1)
        _, inverse = unique_rois(
            torch.cat([exact, rois]), build().dedup_stride
        )
        whole, found = inverse.chunk(2)
        assert torch.equal(found, whole)
        away = torch.cat([rois[:, :1], (rois[:, 1:] / 16 + 0.5).floor()], 1)
        assert not torch.equal(away, rounded)


def test_duplicates_get_the_box_of_their_representative(monkeypatch):
    head, proposals = build(), some_proposals()
    features = (torch.randn(2, 8, 15, 15),)
    seen = spy(head, monkeypatch)
    results = head.predict_bbox(
        features, metas(), proposals, ConfigDict(CAFFE_TEST), rescale=True
    )
    assert len(seen['network']) < sum(map(len, proposals))
    # The same as a head without it, given the representatives.
    for i, found in enumerate(seen['rois']):
        assert (found[:, 0] == i).all()
        proposals[i].bboxes = found[:, 1:]
    monkeypatch.undo()
    plain = build(deduplicate=False)
    plain.load_state_dict(head.state_dict())
    expected = plain.predict_bbox(
        features, metas(), proposals, ConfigDict(CAFFE_TEST), rescale=True
    )
    for ours, theirs in zip(results, expected, strict=True):
        assert len(ours) == len(theirs) > 0
        for key in ('bboxes', 'scores', 'labels'):
            torch.testing.assert_close(
                ours[key], theirs[key], rtol=1e-5, atol=1e-3
            )


def test_switched_off_it_is_the_head_of_mmdet():
    head = build(deduplicate=False)
    stock = build(kind='StandardRoIHead')
    stock.load_state_dict(head.state_dict())
    features = (torch.randn(2, 8, 15, 15),)
    for ours, theirs in zip(
        *(
            h.predict_bbox(features, metas(), some_proposals(), h.test_cfg)
            for h in (head, stock)
        ),
        strict=True,
    ):
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(ours[key], theirs[key])


def test_images_without_proposals():
    head = build()
    features = (torch.randn(2, 8, 15, 15),)
    none = InstanceData(bboxes=torch.zeros(0, 4))
    some = some_proposals(1)[0]
    for cfg in (ConfigDict(CAFFE_TEST), head.test_cfg):
        for proposals in ([none, none], [none, some]):
            results = head.predict_bbox(features, metas(), proposals, cfg)
            assert [len(found) > 0 for found in results] == [
                len(p) > 0 for p in proposals
            ]
            assert results[0].bboxes.shape == (0, 4)


def test_several_levels():
    cfg = config()
    cfg.bbox_roi_extractor.featmap_strides = [8, 16]
    with pytest.raises(ValueError, match=r'\[8, 16\].*deduplicate=False'):
        MODELS.build(cfg)
    assert MODELS.build({**cfg, 'deduplicate': False}).dedup_stride is None


def test_bad_settings_are_found_when_the_head_is_built():
    with pytest.raises(ValueError, match='score_thr.*_delete_'):
        build(test_cfg=dict(CAFFE_TEST, score_thr=0.05))
