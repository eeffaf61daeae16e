import copy

import numpy as np
import pytest
import torch
from golden import assert_close, leaf
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.structures import InstanceData
from nets import fast_rcnn, preprocessor

from mmxdistill.registry import MODELS


def build(rgb=None, hha=None, **kwargs):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            data_preprocessor=preprocessor('rgb', 'hha'),
            streams=dict(
                rgb=dict(model=rgb or fast_rcnn()),
                depth=dict(
                    model=hha or fast_rcnn('hha', 'hha'), modality='hha'
                ),
            ),
            **kwargs,
        )
    )
    model.init_weights()
    for stream in model.streams.values():  # scores that differ
        torch.nn.init.normal_(stream.roi_head.bbox_head.fc_cls.weight)
    return model


def samples(n=2):
    rng = np.random.default_rng(0)
    result = []
    for i in range(n):
        low = rng.uniform(0, 40, (9, 2))
        boxes = torch.tensor(
            np.concatenate([low, low + rng.uniform(10, 24, (9, 2))], 1),
            dtype=torch.float32,
        )
        sample = DetDataSample(
            metainfo=dict(
                img_path=f'{i}.jpg',
                img_shape=(64, 64),
                ori_shape=(128, 128),
                scale_factor=(0.5, 0.5),
            )
        )
        sample.proposals = InstanceData(bboxes=boxes)
        sample.gt_instances = InstanceData(
            bboxes=boxes[:2] + 1, labels=torch.tensor([0, 2])
        )
        sample.ignored_instances = InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
        )
        result.append(sample)
    return result


def outputs(stream, x, batch):
    rois = bbox2roi([s.proposals.bboxes for s in batch])
    return stream.roi_head._bbox_forward(stream.extract_feat(x), rois)


def test_streams_are_initialised_as_configured():
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            data_preprocessor=preprocessor('rgb'),
            streams=dict(rgb=dict(model=fast_rcnn())),
        )
    )
    model.init_weights()
    head = model.streams['rgb'].roi_head.bbox_head
    assert (head.fc6.bias == 1).all()
    assert head.fc_reg.weight.std() < 0.002


@pytest.mark.parametrize('weights', [None, [0.8, 0.2]])
def test_averages_before_softmax(weights):
    model = build(weights=weights).eval()
    x, batch = torch.randn(2, 6, 64, 64), samples()
    a = outputs(model.streams['rgb'], x[:, :3], batch)
    b = outputs(model.streams['depth'], x[:, 3:], batch)
    u, v = weights or (0.5, 0.5)
    scores, deltas = model(x, batch, mode='tensor')
    torch.testing.assert_close(scores, u * a['cls_score'] + v * b['cls_score'])
    torch.testing.assert_close(deltas, u * a['bbox_pred'] + v * b['bbox_pred'])


@pytest.mark.golden
def test_golden_eltwise_sum(caffe_golden, monkeypatch):
    """The averaging, on streams that answer what Caffe's layer was given."""
    meta, groups = caffe_golden('layer_elementwise')
    cases = [case for case in meta if 'coeff' in meta[case]]
    assert any('b' in groups[case] for case in cases)
    for case in cases:
        arrays, coeff = groups[case], meta[case]['coeff']
        names = [f's{i}' for i in range(len(coeff))]
        model = MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                data_preprocessor=preprocessor(*names),
                streams={name: dict(model=fast_rcnn(name)) for name in names},
                weights=coeff,
            )
        )
        inputs = {k: leaf(v) for k, v in arrays.items() if len(k) == 1}
        # One input for all streams: the same blob several times.
        answers = list(inputs.values()) * (len(coeff) // len(inputs))
        for stream, answer in zip(
            model.streams.values(), answers, strict=True
        ):
            found = dict(cls_score=answer, bbox_pred=3 * answer)
            monkeypatch.setattr(
                stream.roi_head, '_bbox_forward', lambda *_, f=found: f
            )
        x = torch.zeros(1, 3 * len(coeff), 64, 64)
        scores, deltas = model(x, samples(1), mode='tensor')
        assert_close(scores, arrays['top'], case)
        assert_close(deltas, 3 * arrays['top'], case)
        scores.backward(torch.tensor(arrays['top_diff']))
        for name, value in inputs.items():
            assert_close(value.grad, arrays[f'{name}_diff'], case)


def test_equal_streams_give_the_single_detector():
    model = build(hha=fast_rcnn('hha', 'rgb')).eval()
    single = model.streams['rgb']
    model.streams['depth'].load_state_dict(single.state_dict())
    x = torch.randn(2, 3, 64, 64)
    fused = model.predict(torch.cat([x, x], 1), samples())
    alone = single.predict(x, samples())
    for f, a in zip(fused, alone, strict=True):
        assert len(a.pred_instances) > 0
        for key in ('bboxes', 'scores', 'labels'):
            torch.testing.assert_close(
                f.pred_instances[key], a.pred_instances[key]
            )


CAFFE_TEST = dict(
    rcnn=dict(max_per_class=20, nms=dict(type='nms', iou_threshold=0.3))
)


def caffe_style(modality='rgb', stride=16):
    """Fast R-CNN whose head scores duplicates once."""
    cfg = fast_rcnn(
        modality, bbox_coder=dict(type='mmxdistill.CaffeBBoxCoder')
    )
    cfg.roi_head.type = 'mmxdistill.DedupRoIHead'
    cfg.roi_head.bbox_roi_extractor.featmap_strides = [stride]
    cfg.test_cfg = CAFFE_TEST
    return cfg


def test_caffe_detections_of_equal_streams(monkeypatch):
    model = build(rgb=caffe_style(), hha=caffe_style('hha')).eval()
    single = model.streams['rgb']
    model.streams['depth'].load_state_dict(single.state_dict())
    batch = samples()
    for sample in batch:  # near copies
        boxes = sample.proposals.bboxes
        sample.proposals = InstanceData(
            bboxes=torch.cat([boxes, boxes + 0.01])
        )
    counts = []
    for stream in model.streams.values():
        forward = stream.roi_head._bbox_forward

        def count(x, rois, forward=forward):
            counts.append(len(rois))
            return forward(x, rois)

        monkeypatch.setattr(stream.roi_head, '_bbox_forward', count)
    x = torch.randn(2, 3, 64, 64)
    fused = model.predict(torch.cat([x, x], 1), copy.deepcopy(batch))
    assert len(set(counts)) == 1 and 0 < counts[0] <= 18
    alone = single.predict(x, copy.deepcopy(batch))
    for f, a in zip(fused, alone, strict=True):
        assert len(f.pred_instances) > 0
        for key in ('bboxes', 'scores', 'labels', 'candidate_scores'):
            torch.testing.assert_close(
                f.pred_instances[key], a.pred_instances[key]
            )


def test_regressions_normalised_in_different_ways():
    model = build(hha=fast_rcnn('hha', 'rgb')).eval()
    x, batch = torch.randn(2, 6, 64, 64), samples()
    heads = [s.roi_head.bbox_head for s in model.streams.values()]
    means, stds = torch.zeros(3, 4), torch.full((3, 4), 0.1)
    heads[0].set_box_statistics(means, stds)
    with pytest.raises(ValueError, match="'rgb' and 'depth' are normalised"):
        model.predict(x, batch)
    heads[1].set_box_statistics(means, stds)
    model.predict(x, batch)


def test_joint_training_halves_the_losses():
    model = build()
    x, batch = torch.randn(2, 6, 64, 64), samples()
    before = copy.deepcopy(batch)
    model.eval()  # no dropout; the sampler takes everything
    torch.manual_seed(1)
    losses = model.loss(x, batch)
    assert set(losses) == {
        f'{s}.{k}'
        for s in ('rgb', 'depth')
        for k in ('loss_cls', 'loss_bbox', 'acc')
    }
    torch.manual_seed(1)
    alone = model.streams['rgb'].loss(x[:, :3], copy.deepcopy(before))
    torch.testing.assert_close(losses['rgb.loss_cls'], alone['loss_cls'] / 2)
    torch.testing.assert_close(losses['rgb.acc'], alone['acc'])
    # The samples are as they were.
    torch.testing.assert_close(
        batch[0].proposals.bboxes, before[0].proposals.bboxes
    )
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_streams_load_their_checkpoints(tmp_path):
    source = MODELS.build(fast_rcnn())
    source.init_weights()
    path = str(tmp_path / 'rgb.pth')
    torch.save(dict(state_dict=source.state_dict()), path)
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            data_preprocessor=preprocessor('rgb'),
            streams=dict(rgb=dict(model=fast_rcnn(), checkpoint=path)),
        )
    )
    torch.testing.assert_close(
        model.streams['rgb'].roi_head.bbox_head.fc6.weight,
        source.roi_head.bbox_head.fc6.weight,
    )
    model.init_weights()  # leaves what was loaded
    torch.testing.assert_close(
        model.streams['rgb'].roi_head.bbox_head.fc6.weight,
        source.roi_head.bbox_head.fc6.weight,
    )
    torch.save(dict(state_dict={}), path)
    with pytest.raises(ValueError, match="stream 'rgb'.*missing"):
        MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                data_preprocessor=preprocessor('rgb'),
                streams=dict(rgb=dict(model=fast_rcnn(), checkpoint=path)),
            )
        )


def test_detectors_with_fpn_and_rpn():
    """Any two-stage detector is a stream; an RPN proposes if nothing does."""

    def faster(modality):
        return dict(
            type='FasterRCNN',
            data_preprocessor=preprocessor(modality),
            backbone=dict(type='ResNet', depth=18, base_channels=4),
            neck=dict(
                type='FPN',
                in_channels=[4, 8, 16, 32],
                out_channels=8,
                num_outs=4,
            ),
            rpn_head=dict(
                type='RPNHead',
                in_channels=8,
                feat_channels=8,
                anchor_generator=dict(
                    type='AnchorGenerator',
                    scales=[8],
                    ratios=[1.0],
                    strides=[4, 8, 16, 32],
                ),
            ),
            roi_head=dict(
                type='StandardRoIHead',
                bbox_roi_extractor=dict(
                    type='SingleRoIExtractor',
                    roi_layer=dict(type='RoIAlign', output_size=7),
                    out_channels=8,
                    featmap_strides=[4, 8, 16, 32],
                ),
                bbox_head=dict(
                    type='Shared2FCBBoxHead',
                    in_channels=8,
                    fc_out_channels=16,
                    num_classes=3,
                    bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
                ),
            ),
            train_cfg=None,
            test_cfg=dict(
                rpn=dict(
                    nms_pre=50,
                    max_per_img=20,
                    nms=dict(type='nms', iou_threshold=0.7),
                    min_bbox_size=0,
                ),
                rcnn=dict(
                    score_thr=0.0,
                    nms=dict(type='nms', iou_threshold=0.5),
                    max_per_img=10,
                ),
            ),
        )

    model = build(rgb=faster('rgb'), hha=faster('hha')).eval()
    batch = samples(1)
    del batch[0].proposals
    result = model.predict(torch.randn(1, 6, 64, 64), batch)
    assert len(result[0].pred_instances) == 10


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(hha=fast_rcnn('hha', num_classes=4)), 'num_classes differs'),
        (
            dict(
                hha=fast_rcnn(
                    'hha',
                    bbox_coder=dict(
                        type='DeltaXYWHBBoxCoder', target_stds=[0.1] * 4
                    ),
                )
            ),
            'target_stds differs',
        ),
        (
            dict(hha=fast_rcnn('hha', reg_class_agnostic=True)),
            'reg_class_agnostic differs',
        ),
        (
            dict(
                hha=fast_rcnn(
                    'hha', bbox_coder=dict(type='mmxdistill.CaffeBBoxCoder')
                )
            ),
            'bbox_coder.type differs',
        ),
        (
            dict(rgb=caffe_style(), hha=caffe_style('hha', stride=8)),
            'stride of duplicate RoIs differs',
        ),
        (
            dict(test_cfg=dict(rcnn=dict(CAFFE_TEST['rcnn'], score_thr=0.1))),
            'max_per_class and .*score_thr',
        ),
        (dict(weights=[1.0]), 'one per stream'),
    ],
)
def test_streams_that_cannot_be_averaged(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_other_bad_configs():
    base = dict(type='mmxdistill.LateFusionDetector')
    stream = dict(model=fast_rcnn(), modality='thermal')
    with pytest.raises(ValueError, match="'rgb' reads modality 'thermal'"):
        MODELS.build(
            dict(
                **base,
                data_preprocessor=preprocessor('rgb'),
                streams=dict(rgb=stream),
            )
        )
    retina = dict(
        type='RetinaNet',
        backbone=dict(type='ResNet', depth=18, base_channels=4),
        neck=None,
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=8,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
    )
    with pytest.raises(ValueError, match='StandardRoIHead'):
        MODELS.build(
            dict(
                **base,
                data_preprocessor=preprocessor('rgb'),
                streams=dict(rgb=dict(model=retina)),
            )
        )


def test_no_proposals_at_all():
    model = build()
    batch = samples()
    del batch[0].proposals
    with pytest.raises(ValueError, match=r'0\.jpg.*proposal_file'):
        model.predict(torch.randn(2, 6, 64, 64), batch)
