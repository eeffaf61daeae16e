import copy
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.dataset import BaseDataset
from mmengine.hooks import EMAHook

from mmxdistill.engine.hooks import BoxTargetNormalizationHook
from mmxdistill.registry import MODELS


@MMDET_DATASETS.register_module()
class RoIsInMemory(BaseDataset):
    """Images given by ``gt_boxes``, ``gt_classes`` (from 1), ``proposals``."""

    def __init__(self, images, classes, prob=None):
        self.images = images
        pipeline = [dict(type='LoadProposals')]
        if prob is not None:
            flip = dict(type='mmxdistill.CaffeRandomFlip', prob=prob)
            pipeline.append(flip)
        names = tuple(f'class {i}' for i in range(classes))
        super().__init__(metainfo=dict(classes=names), pipeline=pipeline)

    def load_data_list(self):
        return [
            dict(
                img_path='',
                proposals=dict(bboxes=image['proposals']),
                instances=[
                    dict(bbox=box, bbox_label=label - 1, ignore_flag=0)
                    for box, label in zip(
                        image['gt_boxes'].tolist(),
                        image['gt_classes'].tolist(),
                        strict=True,
                    )
                ],
            )
            for image in self.images
        ]


def head(classes, width=7):
    """A model that is a head only."""
    model = torch.nn.Module()
    model.box = MODELS.build(
        dict(
            type='mmxdistill.FastRCNNBBoxHead',
            in_channels=2,
            roi_feat_size=2,
            fc_channels=width,
            num_classes=classes,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        )
    )
    return model


class Log(logging.Handler):
    def __init__(self):
        super().__init__()
        self.text = ''

    def emit(self, record):
        self.text += f'{record.levelname} {record.getMessage()}\n'


def fake_runner(model, dataset=None, resume=False):
    logger = logging.Logger('hook')
    logger.addHandler(log := Log())
    return SimpleNamespace(
        model=model,
        hooks=[],
        logger=logger,
        log=log,
        _resume=resume,
        train_dataloader=SimpleNamespace(dataset=dataset),
    )


@pytest.fixture
def golden(caffe_golden):
    meta, groups = caffe_golden('py_roidb_targets')
    number = meta['stats']['num_images']
    images = [groups[f'image{i}'] for i in range(number)]
    statistics = {
        key: value.reshape(-1, 4)[1:]  # Caffe has a row for the background
        for key, value in groups['stats'].items()
    }
    return images, meta['stats']['num_classes'] - 1, statistics


def data(images, classes, *probabilities):
    """Data sets of the same images, flipped with these probabilities."""
    parts = [
        dict(type='RoIsInMemory', images=images, classes=classes, prob=p)
        for p in probabilities
    ]
    if len(parts) == 1:
        return MMDET_DATASETS.build(parts[0])
    return MMDET_DATASETS.build(dict(type='ConcatDataset', datasets=parts))


@pytest.mark.golden
@pytest.mark.parametrize('probabilities', [(0.5,), (0.0, 1.0)])
def test_caffes_statistics(golden, probabilities):
    images, classes, expected = golden
    runner = fake_runner(head(classes), data(images, classes, *probabilities))
    BoxTargetNormalizationHook().before_train(runner)
    means, stds = runner.model.box.bbox_means, runner.model.box.bbox_stds
    known = expected['stds'] > 1e-6
    assert known.any()
    for found, name in ((means, 'means'), (stds, 'stds')):
        np.testing.assert_allclose(
            found.numpy()[known], expected[name][known], rtol=0, atol=5e-8
        )
    assert (means.numpy()[~known] == 0).all()
    assert (stds.numpy()[~known] == 1).all()
    for i, row in enumerate(known):
        assert f'| class {i} ' in runner.log.text
        warned = f"'class {i}'" in runner.log.text
        assert warned == (not row.all())


@pytest.mark.golden
def test_caffes_snapshot(caffe_golden):
    case = caffe_golden('py_bbox_decode')[1]['snapshot']
    rows = slice(4, None)  # without the background
    classes = len(case['bias']) // 4 - 1
    model = head(classes, case['weight'].shape[1])
    regression = model.box.fc_reg
    regression.weight.data = torch.from_numpy(case['weight'][rows])
    regression.bias.data = torch.from_numpy(case['bias'][rows])
    model.box.set_box_statistics(
        *(case[k][rows].reshape(-1, 4) for k in ('means', 'stds'))
    )
    runner = fake_runner(model)
    checkpoint = dict(state_dict=model.state_dict())
    BoxTargetNormalizationHook().before_save_checkpoint(runner, checkpoint)
    for key in ('weight', 'bias'):
        saved = checkpoint['state_dict'][f'box.fc_reg.{key}'].numpy()
        expected = case[f'{key}_saved'][rows]
        np.testing.assert_allclose(saved, expected, 1e-7, 1.2e-8)
        # The model itself goes on with the weights that it trains.
        live = getattr(regression, key).detach().numpy()
        np.testing.assert_array_equal(live, case[key][rows])


def image(*proposals, label=1):
    return dict(
        gt_boxes=np.array([[10, 10, 29, 29]]),
        gt_classes=np.array([label]),
        proposals=np.array(proposals, float).reshape(-1, 4),
    )


NEAR = ([12, 10, 29, 29], [10, 10, 29, 24], [10, 13, 25, 29])


def test_unflipped_data_have_a_mean_shift():
    sets = [data([image(*NEAR)], 1, p) for p in (None, 1.0)]
    shifts = []
    for dataset in sets:
        runner = fake_runner(head(1), dataset)
        BoxTargetNormalizationHook().before_train(runner)
        shifts.append(runner.model.box.bbox_means[0])
        assert 'WARNING' not in runner.log.text
    assert shifts[0][0] == -shifts[1][0] != 0
    assert torch.equal(shifts[0][1:], shifts[1][1:])


def test_class_without_examples():
    runner = fake_runner(head(3), data([image(*NEAR, label=2)], 3, 0.5))
    BoxTargetNormalizationHook().before_train(runner)
    assert "WARNING The box-regression targets of ['class 0', 'class 2']" in (
        runner.log.text
    )
    assert torch.equal(
        runner.model.box.bbox_stds[::2], torch.ones(2, 4).double()
    )


def test_every_stream_gets_the_statistics():
    model = torch.nn.ModuleDict(dict(rgb=head(1), hha=head(1)))
    runner = fake_runner(model, data([image(*NEAR)], 1, 0.5))
    hook = BoxTargetNormalizationHook()
    hook.before_train(runner)
    stds = [model[name].box.bbox_stds for name in ('rgb', 'hha')]
    assert torch.equal(*stds) and (stds[0] != 1).all()
    checkpoint = dict(state_dict=model.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    assert set(checkpoint['box_normalization']) == {'rgb.box', 'hha.box'}


def test_bad_models():
    hook = BoxTargetNormalizationHook()
    dataset = data([image(*NEAR)], 1, 0.5)
    with pytest.raises(TypeError, match='the Linear has none: remove'):
        hook.before_train(fake_runner(torch.nn.Linear(1, 1), dataset))
    with pytest.raises(ValueError, match=r"1 classes.*\{'box': 4\}"):
        hook.before_train(fake_runner(head(4), dataset))
    runner = fake_runner(head(1), dataset)
    runner.hooks.append(EMAHook())
    with pytest.raises(ValueError, match='EMAHook.*remove one'):
        hook.before_train(runner)


def test_resume_of_another_run():
    runner = fake_runner(head(1), resume=True)
    checkpoint = dict(state_dict=runner.model.state_dict())
    with pytest.raises(KeyError, match=r"heads \[\], the model \['box'\]"):
        BoxTargetNormalizationHook().after_load_checkpoint(runner, checkpoint)


def test_plain_weights_are_loaded_as_they_are():
    runner = fake_runner(head(1), data([image(*NEAR)], 1, 0.5))
    hook = BoxTargetNormalizationHook()
    hook.before_train(runner)
    checkpoint = dict(state_dict=runner.model.state_dict())
    hook.before_save_checkpoint(runner, checkpoint)
    before = copy.deepcopy(checkpoint['state_dict'])
    BoxTargetNormalizationHook().after_load_checkpoint(
        fake_runner(head(1)), checkpoint
    )
    for key, value in before.items():
        assert torch.equal(checkpoint['state_dict'][key], value)
