import pytest
import torch
from mmdet.structures.bbox import bbox2roi
from nets import fast_rcnn
from stock import assert_same, config, fused, image, pair, samples
from torch.testing import assert_close

from mmxdistill.registry import MODELS


def test_masks_are_averaged_as_probabilities():
    model = pair('mask_rcnn')
    x, batch = torch.cat([image(1), image(1, seed=1)], 1), samples(1)
    found = model.predict(x, batch, rescale=False)[0].pred_instances
    assert len(found) > 0 and 0 < found.masks.float().mean() < 1
    rois = bbox2roi([found.bboxes])
    feats = model.extract_feat(x)
    heads = {n: s.roi_head for n, s in model.streams.items()}
    a, b = (
        head._mask_forward(feats[name], rois)['mask_preds'].sigmoid()
        for name, head in heads.items()
    )
    expected = heads['a'].mask_head.predict_by_feat(
        mask_preds=[(a + b) / 2],
        results_list=[found.clone()],
        batch_img_metas=[batch[0].metainfo],
        rcnn_test_cfg=model.test_cfg['rcnn'],
        activate_map=True,
    )[0]
    assert found.masks.equal(expected.masks)


def test_no_proposals_no_masks():
    model = pair('mask_rcnn')
    batch = samples(2, proposals=True)
    for sample in batch:
        sample.proposals = sample.proposals[:0]
    x = torch.cat([image(), image(seed=1)], 1)
    found = model.predict(x, batch)
    assert [len(s.pred_instances) for s in found] == [0, 0]
    assert found[0].pred_instances.masks.shape == (0, 128, 128)


def test_streams_with_box_statistics():
    """Deltas are averaged in pixels, whatever each was trained with."""
    model = fused(dict(rgb=fast_rcnn('rgb'), hha=fast_rcnn('hha')))
    x, batch = torch.cat([image(), image(seed=1)], 1), samples(2, True)
    heads = [s.roi_head.bbox_head for s in model.streams.values()]
    means = torch.rand(3, 4) * 0.1
    heads[0].set_box_statistics(means, means + 0.1)
    found = model.predict(x, batch)
    weight, bias = heads[0].unnormalized_regression()
    folded = fused(dict(rgb=fast_rcnn('rgb'), hha=fast_rcnn('hha')))
    layer = folded.streams['rgb'].roi_head.bbox_head.fc_reg
    layer.weight.data, layer.bias.data = weight, bias
    assert_same(found, folded.predict(x, samples(2, True)), exact=False)
    assert heads[0]._normalized  # as it was


def dedup(stride=16):
    cfg = fast_rcnn()
    cfg.roi_head.type = 'mmxdistill.DedupRoIHead'
    cfg.roi_head.bbox_roi_extractor.featmap_strides = [stride]
    return cfg


def test_only_some_streams_score_duplicates_once():
    """Then every RoI is scored."""
    x = torch.cat([image(), image(seed=1)], 1)
    plain = fused(dict(a=fast_rcnn(), b=fast_rcnn()))
    expected = plain.predict(x, samples(2, True))
    for streams in (
        dict(a=dedup(), b=fast_rcnn()),
        dict(a=fast_rcnn(), b=dedup()),
    ):
        model = fused(streams)
        assert_same(model.predict(x, samples(2, True)), expected)
    # Alone it does what it does.
    model = fused(dict(a=dedup(), b=fast_rcnn()), absent=['b'])
    alone = model.streams['a'].predict(x[:, :3], samples(2, True))
    assert_same(model.predict(x, samples(2, True)), alone)


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('mask_rcnn', dict(mask_head=None), 'with_mask differs'),
        (
            'mask_rcnn',
            dict(mask_head=dict(class_agnostic=True)),
            'mask_head.class_agnostic differs',
        ),
        (
            'mask_rcnn',
            dict(mask_head=dict(upsample_cfg=dict(type=None))),
            r"size of the masks differs: {'a': \[28, 28\], 'b': \[14, 14\]}",
        ),
        (
            'faster_rcnn',
            dict(bbox_head=dict(with_reg=False)),
            'with_reg differs',
        ),
        (
            'cascade_mask_rcnn',
            dict(bbox_head=[{}, {}, dict(reg_class_agnostic=False)]),
            r'bbox_head\[2\].reg_class_agnostic differs',
        ),
    ],
)
def test_heads_that_cannot_be_averaged(name, change, message):
    with pytest.raises(ValueError, match=message):
        fused(dict(a=config(name), b=config(name, roi_head=change)))


def test_test_code_of_its_own():
    """A head that does more than StandardRoIHead would lose it."""
    cfg = config('faster_rcnn')

    @MODELS.register_module(name='TestedAnotherWay', force=True)
    class Head(MODELS.get('StandardRoIHead')):
        def predict_bbox(self, *args, **kwargs):
            return super().predict_bbox(*args, **kwargs)

    cfg.roi_head.type = 'mmxdistill.TestedAnotherWay'
    message = r"'a' \(FasterRCNN\) cannot be fused: its test code is its own "
    with pytest.raises(ValueError, match=rf'{message}\(Head.predict_bbox\)'):
        fused(dict(a=cfg))
    MODELS.module_dict.pop('TestedAnotherWay')


def test_deltas_and_scores_are_means():
    model = pair('faster_rcnn')
    x, batch = torch.cat([image(), image(seed=1)], 1), samples(2, True)
    scores, deltas = model(x, batch, mode='tensor')
    rois = bbox2roi([s.proposals.bboxes for s in batch])
    feats = model.extract_feat(x)
    a, b = (
        stream.roi_head._bbox_forward(feats[name], rois)
        for name, stream in model.streams.items()
    )
    assert_close(scores, (a['cls_score'] + b['cls_score']) / 2)
    assert_close(deltas, (a['bbox_pred'] + b['bbox_pred']) / 2)
