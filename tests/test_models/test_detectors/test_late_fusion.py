import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import assert_close, leaf
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from nets import fast_rcnn, preprocessor
from stock import assert_same

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


@pytest.mark.parametrize('weights', [None, [0.8, 0.2], [4, 1]])
def test_averages_before_softmax(weights):
    model = build(weights=weights).eval()
    x, batch = torch.randn(2, 6, 64, 64), samples()
    a = outputs(model.streams['rgb'], x[:, :3], batch)
    b = outputs(model.streams['depth'], x[:, 3:], batch)
    u, v = (0.8, 0.2) if weights else (0.5, 0.5)
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


def test_stream_that_is_a_file_has_its_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hook = 'default_hooks = dict(checkpoint=dict(by_epoch={}))\n'
    model = f'model = {fast_rcnn()!r}\n'
    iters = model + hook.format(False) + 'train_cfg = dict(max_iters=7)\n'
    epochs = model + hook.format(True) + 'train_cfg = dict(max_epochs=3)\n'

    def make(text, **kwargs):
        Path('net.py').write_text(text)
        return MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                data_preprocessor=preprocessor('rgb'),
                streams=dict(rgb=dict(model='net.py', **kwargs)),
            )
        )

    source = MODELS.build(fast_rcnn())
    for text, path in (
        (iters, 'work_dirs/net/iter_7.pth'),
        (epochs, 'work_dirs/net/epoch_3.pth'),
        (f"{iters}work_dir = 'a'\n", 'a/iter_7.pth'),
    ):
        with pytest.raises(FileNotFoundError, match=f"'{path}'"):
            make(text).predict(torch.zeros(1, 3, 64, 64), samples(1))
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state_dict=source.state_dict()), path)
        found = make(text).streams['rgb'].state_dict()
        torch.testing.assert_close(found, source.state_dict())
    # What is said counts: another file, or none.
    with pytest.raises(FileNotFoundError, match='b.pth'):
        make(iters, checkpoint='b.pth').check_loaded()
    free = make(iters, checkpoint=None)
    free.check_loaded()
    free.init_weights()
    assert (free.streams['rgb'].roi_head.bbox_head.fc6.bias == 1).all()
    with pytest.raises(ValueError, match=r"'rgb': 'net.py' has no train_cfg"):
        make(model)


def test_fused_checkpoint_needs_no_file_of_a_stream(tmp_path):
    """Neither to build the model, nor to load, test and train it."""
    source = build()
    path = str(tmp_path / 'fused.pth')
    torch.save(dict(state_dict=source.state_dict(), meta={}), path)
    cfg = dict(
        type='mmxdistill.LateFusionDetector',
        data_preprocessor=preprocessor('rgb', 'hha'),
        streams=dict(
            rgb=dict(model=fast_rcnn(), checkpoint='nowhere/rgb.pth'),
            hha=dict(model=fast_rcnn('hha', 'hha')),
        ),
    )
    state = {
        key.replace('depth', 'hha'): value
        for key, value in source.state_dict().items()
    }
    model = MODELS.build(cfg).eval()
    x = torch.randn(2, 6, 64, 64)
    for use in (model.predict, model.loss):
        with pytest.raises(
            FileNotFoundError, match="'nowhere/rgb.pth' of the stream 'rgb'"
        ):
            use(x, samples())
    # A file that lacks a part of the stream does not help.
    part = {k: v for k, v in state.items() if 'fc_reg' not in k}
    model.load_state_dict(part, strict=False)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        model.predict(x, samples())
    torch.save(dict(state_dict=state), path)
    model.init_weights()  # as before training
    load_checkpoint(model, path)
    expected = source.eval().predict(x, samples())
    assert_same(model.predict(x, samples()), expected)
    model.loss(x, samples())


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
    for key, value in (('absent', 'xy'), ('proposals', 'xy')):
        with pytest.raises(ValueError, match=f"{key}=.'xy'.: choose from"):
            build(**{key: value})
    with pytest.raises(ValueError, match='leaves no stream'):
        build(absent=['rgb', 'depth'])


@pytest.mark.parametrize(
    'stream',
    [
        # It would start from random weights, or read another modality.
        dict(model=fast_rcnn(), checkpiont='rgb.pth'),
        dict(model=fast_rcnn(), modalty='rgb'),
        dict(checkpoint='rgb.pth'),
        'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
    ],
)
def test_misspelled_keys_of_a_stream(stream):
    with pytest.raises(ValueError, match=r"stream 'rgb' must be dict\(model="):
        MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                data_preprocessor=preprocessor('rgb'),
                streams=dict(rgb=stream),
            )
        )


def named(*classes, **model):
    """A detector's experiment config, whose data set names the classes."""
    dataset = dict(type='CocoDataset', metainfo=dict(classes=classes))
    return dict(
        model=fast_rcnn('hha', 'hha', **model),
        val_dataloader=dict(
            dataset=dict(type='RepeatDataset', dataset=dataset)
        ),
    )


def test_classes_of_other_names_or_order(tmp_path):
    build(rgb=named('bed', 'box', 'cup'), hha=named('bed', 'box', 'cup'))
    with pytest.raises(ValueError, match="'rgb': .'bed', 'box', .*'depth'"):
        build(rgb=named('bed', 'box', 'cup'), hha=named('box', 'bed', 'cup'))
    # What the checkpoint was trained for is what counts.
    path = str(tmp_path / 'hha.pth')
    state = MODELS.build(fast_rcnn('hha', 'hha')).state_dict()
    meta = dict(dataset_meta=dict(classes=('box', 'bed', 'cup')))
    torch.save(dict(state_dict=state, meta=meta), path)
    with pytest.raises(ValueError, match='their classes differ'):
        MODELS.build(
            dict(
                type='mmxdistill.LateFusionDetector',
                data_preprocessor=preprocessor('rgb', 'hha'),
                streams=dict(
                    rgb=dict(model=named('bed', 'box', 'cup')),
                    hha=dict(
                        model=named('bed', 'box', 'cup'), checkpoint=path
                    ),
                ),
            )
        )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(mean=[100.0, 100, 99]),
            "'hha' is normalised.*config of 'depth'",
        ),
        (dict(bgr_to_rgb=True), 'bgr_to_rgb=True'),
        (dict(pad_size_divisor=48), 'pad_size_divisor=96'),
        (dict(pad_value=1), 'pad_value=1'),
    ],
)
def test_other_normalisation(change, message):
    given = dict(mean=[100.0] * 3, std=[1.0] * 3)
    cfg = fast_rcnn('hha', 'hha')
    cfg.data_preprocessor = dict(type='DetDataPreprocessor', **given)
    build(hha=cfg)
    cfg.data_preprocessor.update(change)
    with pytest.raises(ValueError, match=message):
        build(hha=cfg)


def test_statistics_of_a_stream():
    cfg = fast_rcnn('hha', 'hha')
    cfg.data_preprocessor = dict(
        type='DetDataPreprocessor', mean=[1, 2, 3], std=[4, 5, 6]
    )
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            data_preprocessor=dict(
                preprocessor('rgb'),
                modalities=dict(rgb=dict(mean=[0.0] * 3), hha='depth'),
            ),
            streams=dict(depth=dict(model=cfg, modality='hha')),
        )
    )
    assert model.data_preprocessor.mean.flatten()[3:].tolist() == [1, 2, 3]
    assert model.data_preprocessor.std.flatten()[3:].tolist() == [4, 5, 6]


def test_no_proposals_at_all():
    model = build()
    batch = samples()
    del batch[0].proposals
    with pytest.raises(ValueError, match=r'0\.jpg.*proposal_file'):
        model.predict(torch.randn(2, 6, 64, 64), batch)
