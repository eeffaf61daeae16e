"""``--tta``: what the mirror image of a test is; no model is run."""

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn

from mmxdistill.engine import run_config
from mmxdistill.engine.run_config import add_flipped_views

TEXT = """
default_scope = 'mmdet'
model = dict(test_cfg=dict(rcnn=dict(
    nms=dict(type='nms', iou_threshold=0.3), max_per_img=40)))
flip = dict(type={flip!r}, prob=0.5)
resize = dict(type='Resize', scale=(20, 10), keep_ratio=True)
move = dict(type='mmxdistill.FastProposalBroadcaster')
pack = dict(type='PackDetInputs')
train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(
    pipeline=[dict(transforms=[flip, {companion}resize], **move), pack])))
test_dataloader = dict(dataset=dict(pipeline=[
    {load}
    {moved}
    pack,
]))
"""
LOAD = "dict(type='LoadProposals'),"
MOVED = 'dict(transforms=[resize], **move),'


def read(flip='RandomFlip', companion='', load=LOAD, moved=MOVED):
    text = TEXT.format(flip=flip, companion=companion, load=load, moved=moved)
    return Config.fromstring(text, '.py')


def views_of(cfg, **sample):
    image = np.arange(5 * 10 * 3, dtype=np.uint8).reshape(5, 10, 3)
    sample = dict(
        img=image,
        img_shape=(5, 10),
        ori_shape=(5, 10),
        proposals=np.float32([[1, 1, 4, 3]]),
        proposals_scores=np.float32([1]),
        **sample,
    )
    steps = cfg.test_dataloader.dataset.pipeline
    steps = [step for step in steps if step['type'] != 'LoadProposals']
    assert len(steps) == 1
    out = Compose(steps)(sample)
    return out['inputs'], out['data_samples']


def test_proposals_follow_the_image():
    cfg = read()
    add_flipped_views(cfg)
    (plain, mirrored), samples = views_of(cfg)
    # Bilinear resizing is symmetric.
    np.testing.assert_allclose(
        plain.numpy(), mirrored.numpy()[..., ::-1], atol=1
    )
    boxes = [sample.proposals.bboxes.tolist() for sample in samples]
    assert boxes == [[[2, 2, 8, 6]], [[12, 2, 18, 6]]]
    assert [sample.flip for sample in samples] == [False, True]
    assert cfg.model.type == 'DetTTAModel'
    assert cfg.model.tta_cfg.nms.iou_threshold == 0.3
    assert cfg.model.tta_cfg.max_per_img == 40
    assert 'rcnn' in cfg.model.module.test_cfg


def test_scores_that_merged_views_lack_are_not_needed(caplog):
    cfg = read()
    cfg.test_evaluator = dict(type='mmxdistill.ClasswiseVOCMetric')
    add_flipped_views(cfg)
    assert cfg.test_evaluator.max_per_image is None
    assert 'at most 40 detections of an image' in caplog.text


def test_flow_is_turned_round():
    cfg = read(companion="dict(type='mmxdistill.FlipFlow'),")
    add_flipped_views(cfg)
    (plain, mirrored), _ = views_of(cfg)
    turned = 256 - mirrored.numpy()[0, :, ::-1].astype(int)
    np.testing.assert_allclose(plain.numpy()[0], turned, atol=1)


def test_boxes_of_caffe():
    cfg = read('mmxdistill.CaffeRandomFlip')
    add_flipped_views(cfg)
    _, samples = views_of(cfg)
    assert samples[1].proposals.bboxes.tolist() == [[10, 2, 16, 6]]
    assert cfg.model.type == 'mmxdistill.CaffeTTAModel'


def test_without_proposals_objects_stay_those_of_the_original():
    load = "dict(type='LoadImageFromFile'),"
    cfg = read(load=load, moved="resize, dict(type='LoadAnnotations'),")
    add_flipped_views(cfg)
    _, augment = cfg.test_dataloader.dataset.pipeline
    first, *rest = augment['transforms']
    assert [view['prob'] for view in first] == [0, 1]
    assert [step['type'] for (step,) in rest] == [
        'Resize',
        'LoadAnnotations',
        'PackDetInputs',
    ]


def test_own_pipeline_and_model_are_used():
    cfg = read()
    cfg.tta_pipeline = [dict(type='Mine')]
    cfg.tta_model = dict(type='MyTTA')
    add_flipped_views(cfg)
    assert cfg.test_dataloader.dataset.pipeline == [dict(type='Mine')]
    assert cfg.model.type == 'MyTTA'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(flip='Resize'), 'mirrors its images in 0 ways'),
        (dict(moved='resize,'), 'proposals .* are not moved'),
    ],
)
def test_not_clear_how_to_mirror(changes, message):
    with pytest.raises(ValueError, match=f'--tta: .*{message}'):
        add_flipped_views(read(**changes))


@pytest.mark.parametrize(
    ('loop', 'error'),
    [
        ('val', ValueError('2 of 9 samples cannot be loaded')),
        ('val', FileNotFoundError("'a.json' does not exist")),
        ('train', ValueError('num_classes=3')),
    ],
)
def test_data_of_validation_are_met_before_training(monkeypatch, loop, error):
    class Stub:
        def __init__(self, cfg):
            self.model = nn.Linear(1, 1)

        def __getattr__(self, name):
            if name == f'{loop}_loop':
                raise error

    monkeypatch.setattr(Runner, 'from_cfg', Stub)
    cfg = Config(dict(load_from=__file__))
    with pytest.raises(run_config.ConfigError, match=str(error)):
        run_config.build_runner(cfg, 'train')
    if loop == 'val':
        run_config.build_runner(cfg, 'test')
