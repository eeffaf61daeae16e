import copy

import pytest
import torch
from stock import (
    ONE_STAGE,
    OTHER_ONE_STAGE,
    assert_same,
    changed,
    config,
    fused,
    image,
    pair,
    samples,
)
from torch.testing import assert_close


@pytest.mark.parametrize('name', [*ONE_STAGE, *OTHER_ONE_STAGE])
def test_average_of_raw_outputs_decoded_once(name):
    model, batch = pair(name), samples(1)
    x = torch.cat([image(1), image(1, seed=1)], 1)
    with changed(model, weights=[1, 3]):
        outputs = model(x, batch, mode='tensor')
        found = model.predict(x, samples(1))
    a, b = (
        stream.bbox_head(stream.extract_feat(part))
        for stream, part in zip(
            model.streams.values(), x.split(3, 1), strict=True
        )
    )
    for i, (fused_maps, maps_a, maps_b) in enumerate(
        zip(outputs, a, b, strict=True)
    ):
        for maps in zip(fused_maps, maps_a, maps_b, strict=True):
            f, u, v = maps
            if name == 'tood' and i == 0:  # probabilities
                f, u, v = f.logit(), u.logit(), v.logit()
            assert not u.allclose(v)
            assert_close(f, 0.25 * u + 0.75 * v, rtol=1e-4, atol=1e-4)
    expected = copy.deepcopy(batch)
    head = model.streams['a'].bbox_head
    for sample, instances in zip(
        expected,
        head.predict_by_feat(
            *outputs,
            batch_img_metas=[s.metainfo for s in batch],
            rescale=True,
        ),
        strict=True,
    ):
        sample.pred_instances = instances
    assert_same(found, expected)


def test_box_weights():
    model, x = pair('fcos'), torch.cat([image(1), image(1, seed=1)], 1)
    with changed(model, weights=[1, 0], box_weights=[0, 1]):
        scores, boxes, centerness = model(x, samples(1), mode='tensor')
    a, b = (
        stream.bbox_head(stream.extract_feat(part))
        for stream, part in zip(
            model.streams.values(), x.split(3, 1), strict=True
        )
    )
    assert_close(scores[0], a[0][0])
    assert_close(boxes[0], b[1][0])
    assert_close(centerness[0], a[2][0])


def test_weights_that_yolov3_cannot_use():
    model = pair('yolov3')
    for weights in (dict(box_weights=[1, 2]), dict(weights=[[1, 2, 3], 1])):
        with pytest.raises(ValueError, match='YOLOV3Head.*one weight per str'):
            model.make_weights(**{'weights': None, **weights})


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('yolox', dict(num_classes=4), 'num_classes differs'),
        (
            'atss',
            dict(anchor_generator=dict(octave_base_scale=4)),
            r"priors.base_anchors differs: {'a': \[\[\[-32.*'b': \[\[\[-16",
        ),
        ('fcos', dict(strides=[4, 8, 16, 32, 64]), 'priors.strides differs'),
        (
            'retinanet',
            dict(bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2])),
            'bbox_coder.target_stds differs',
        ),
        ('retinanet', dict(bbox_coder=dict(target_stds=(1,) * 4)), None),
        ('gfl', dict(reg_max=8), 'reg_max differs'),
        (
            'retinanet',
            dict(loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False)),
            'use_sigmoid_cls|cls_out_channels differs',
        ),
    ],
)
def test_heads_that_cannot_be_averaged(name, change, message):
    cfg = config(name)
    other = config(name, bbox_head=change)
    if 'loss_cls' in change:
        other.bbox_head.loss_cls = change['loss_cls']
    if message is None:
        fused(dict(a=cfg, b=other))
        return
    with pytest.raises(ValueError, match=message):
        fused(dict(a=cfg, b=other))


def test_other_decoding():
    with pytest.raises(ValueError, match='differs'):
        fused(dict(a=config('retinanet'), b=config('atss')))


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        ('CenterNetHead', 'no fixed priors'),
        ('GARetinaHead', 'no fixed priors'),
        ('RTMDetInsHead', 'convolution kernels'),
    ],
)
def test_heads_that_do_not_score_the_same_boxes(head, message):
    from mmdet.models import dense_heads
    from mmdet.models.detectors import SingleStageDetector
    from torch import nn

    from mmxdistill.models.fusion import DenseFusion

    class Empty(getattr(dense_heads, head)):
        prior_generator = None if head == 'CenterNetHead' else object()

        def __init__(self):
            nn.Module.__init__(self)

    detector = SingleStageDetector.__new__(SingleStageDetector)
    nn.Module.__init__(detector)
    detector.bbox_head = Empty()
    assert message in DenseFusion.refusal(detector)
