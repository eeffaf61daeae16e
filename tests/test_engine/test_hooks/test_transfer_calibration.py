import logging
from types import SimpleNamespace

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmxdistill.engine.hooks import TransferCalibrationHook
from mmxdistill.registry import MODELS

SCALE = 'transfer_points.0.scale.factor'
ENERGY = 'transfer_points.0.loss.energy'


class Pairs(Dataset):
    """Seven pairs, the later the brighter."""

    metainfo: dict = {}

    def __init__(self, length=7):
        self.length = length
        self.seen = []

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        self.seen.append(index)
        generator = torch.Generator().manual_seed(int(index))
        image = torch.rand(6, 64, 96, generator=generator) * 20 * (index + 1)
        return dict(inputs=image, data_samples=DetDataSample())


def config(**point):
    net = dict(
        type='mmxdistill.CaffeNet',
        channels=(8, 8, 12, 12, 8),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
    )
    return dict(
        type='mmxdistill.SupervisionTransfer',
        data_preprocessor=dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities={m: dict(mean=[9.0] * 3) for m in ('rgb', 'hha')},
        ),
        teacher=net,
        teacher_checkpoint=None,
        student=dict(**net, geometry='hha'),
        modalities=dict(teacher='rgb', student='hha'),
        transfer_points=[
            {
                **dict(
                    teacher='pool5',
                    student='pool5',
                    adaptation=dict(
                        type='mmxdistill.AdaptationNeck',
                        in_channels=8,
                        out_channels=8,
                    ),
                ),
                **point,
            }
        ],
    )


def build(**point):
    torch.manual_seed(0)
    model = MODELS.build(config(**point))
    model.init_weights()
    return model


def calibrate(model, data, **kwargs):
    runner = SimpleNamespace(
        model=model,
        train_dataloader=SimpleNamespace(dataset=data),
        logger=logging.getLogger(),
    )
    TransferCalibrationHook(**kwargs).before_train(runner)
    return model.transfer_points[0]


def features(model, data):
    """Student and teacher feature of each pair, one at a time."""
    model.eval()
    pairs = []
    with torch.no_grad():
        for i in range(len(data)):
            image = data[i]['inputs'][None] - 9.0
            student = model.backbone(image[:, 3:])[0]
            student = model.transfer_points[0].adaptation(student)
            pairs.append((student, model.teacher(image[:, :3])[0]))
    return pairs


@pytest.mark.parametrize('target', [None, 20.0])
def test_scale_and_energy_are_those_of_the_pairs(target):
    scale = dict(scale=None, target_norm=target)
    pairs = features(build(scale=scale), Pairs())
    student, teacher = (
        torch.stack([pair[i].norm(dim=1) for pair in pairs]).mean()
        for i in range(2)
    )
    factor = (target or student) / teacher
    energy = torch.stack(
        [0.5 * (factor * t).square().sum() for _, t in pairs]
    ).mean()
    point = calibrate(build(scale=scale), Pairs())
    torch.testing.assert_close(point.scale.factor, factor)
    torch.testing.assert_close(point.loss.energy, energy)
    # A student that gives zeros loses 1 on average.
    losses = [point.loss(0 * t, factor * t) for _, t in pairs]
    assert sum(losses) / len(losses) == pytest.approx(1)


def test_given_scale_is_kept():
    whole = calibrate(build(), Pairs())
    point = calibrate(build(scale=dict(scale=0.5)), Pairs())
    assert point.scale.factor == 0.5
    torch.testing.assert_close(point.loss.energy, whole.loss.energy / 4)


def test_pairs_are_spread_over_the_data():
    data = Pairs()
    calibrate(build(), data, num_images=3)
    assert data.seen == [0, 3, 6]


def test_nothing_else_changes():
    model = build(scale=dict(scale=None))
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    calibrate(model, Pairs())
    after = model.state_dict()
    changed = {k for k in after if not torch.equal(before[k], after[k])}
    assert changed == {SCALE, ENERGY}
    assert model.training and not model.teacher.training
    assert all(p.grad is None for p in model.parameters())


def test_loaded_values_are_not_measured_again():
    model = build(scale=dict(scale=None))
    calibrate(model, Pairs())
    resumed = build(scale=dict(scale=None))
    resumed.load_state_dict(model.state_dict())
    data = Pairs()
    calibrate(resumed, data)
    assert not data.seen
    # A checkpoint from before the calibration is measured.
    calibrate(build(scale=dict(scale=None)), data)
    assert data.seen


def test_independent_of_the_number_of_workers(tmp_path):
    found = []
    for workers in (0, 2):
        runner = Runner(
            model=config(scale=dict(scale=None)),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                batch_size=2,
                num_workers=workers,
                dataset=Pairs(),
                sampler=dict(type='InfiniteSampler'),
                collate_fn=FUNCTIONS.get('pseudo_collate'),
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
            custom_hooks=[
                dict(type='mmxdistill.TransferCalibrationHook', num_images=4)
            ],
            default_hooks=dict(checkpoint=None),
            default_scope='mmdet',
            randomness=dict(seed=1),
            experiment_name=f'workers_{workers}',
            log_level='ERROR',
        )
        runner.train()
        state = runner.model.state_dict()
        found.append((float(state[SCALE]), float(state[ENERGY])))
    assert found[0] == found[1]
    assert min(found[0]) > 0


def test_other_models_are_refused():
    model = MODELS.build(dict(type='mmxdistill.CaffeNet'))
    with pytest.raises(TypeError, match=r'a CaffeNet: remove the hook'):
        calibrate(model, Pairs())


@pytest.mark.parametrize('value', [0.0, float('nan')])
def test_teacher_that_says_nothing(value):
    model = build()
    for parameter in model.teacher.conv5.parameters():
        parameter.fill_(value)
    message = rf"teacher's feature 'pool5'.*{value:g} on 7 images.*weights"
    with pytest.raises(ValueError, match=message):
        calibrate(model, Pairs())


def test_student_that_gives_no_norm():
    model = build(scale=dict(scale=None))
    torch.nn.init.zeros_(model.transfer_points[0].adaptation.conv.weight)
    torch.nn.init.zeros_(model.transfer_points[0].adaptation.conv.bias)
    with pytest.raises(ValueError, match=r"student's.*'pool5'.*target_norm="):
        calibrate(model, Pairs())
    # With a given norm, or a given scale, it does not matter.
    point = model.transfer_points[0]
    point.scale.target_norm = 3.0
    assert calibrate(model, Pairs()).scale.factor > 0
