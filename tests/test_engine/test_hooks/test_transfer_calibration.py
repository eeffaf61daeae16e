import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmxdistill.engine.hooks import TransferCalibrationHook
from mmxdistill.registry import MODELS

SCALE = 'transfer_points.0.scale.factor'
ENERGY = 'transfer_points.0.loss.energy'


class Pairs(Dataset):
    """Seven pairs, the later the brighter."""

    metainfo: dict = {}

    def get_data_info(self, index):
        return dict(width=96, height=64)

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
        out_features=('pool5',),
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


def calibrate(model, data, iteration=0, batch_size=3, **kwargs):
    runner = SimpleNamespace(
        model=model,
        iter=iteration,
        train_dataloader=DataLoader(
            data, batch_size, collate_fn=FUNCTIONS.get('pseudo_collate')
        ),
        logger=logging.getLogger(),
    )
    TransferCalibrationHook(**kwargs).before_train(runner)
    return model.transfer_points[0]


def features(model, data):
    """Feature of student and teacher of each pair, one at a time."""
    model.eval()
    pairs = []
    with torch.no_grad():
        for i in range(len(data)):
            image = data[i]['inputs'][None] - 9.0
            pairs.append(
                (
                    model.backbone(image[:, 3:])[0],
                    model.teacher(image[:, :3])[0],
                )
            )
    return pairs


def test_scale_and_energy_are_those_of_the_pairs():
    pairs = features(build(scale='auto'), Pairs())
    student, teacher = (
        torch.stack([pair[i].norm(dim=1) for pair in pairs]).mean()
        for i in range(2)
    )
    factor = student / teacher
    energy = torch.stack(
        [0.5 * (factor * t).square().sum() for _, t in pairs]
    ).mean()
    point = calibrate(build(scale='auto'), Pairs())
    torch.testing.assert_close(point.scale.factor, factor)
    torch.testing.assert_close(point.loss.energy, energy)
    # A student that gives zeros loses 1 on average.
    losses = [point.loss(0 * t, factor * t) for _, t in pairs]
    assert sum(losses) / len(losses) == pytest.approx(1)


def test_given_scale_is_kept():
    whole = calibrate(build(), Pairs())
    point = calibrate(build(scale=0.5), Pairs())
    assert point.scale.factor == 0.5
    torch.testing.assert_close(point.loss.energy, whole.loss.energy / 4)


def test_padding_does_not_count():
    class Padded(Pairs):
        """Half of each image is padding, of whatever was there."""

        def __getitem__(self, index):
            pair = super().__getitem__(index)
            pair['inputs'] = pair['inputs'][..., :48]
            pair['data_samples'].set_metainfo(dict(img_shape=(64, 48)))
            return pair

    # pool5 of 64 x 48 padded to 64 x 64 has a column whose centre is outside.
    padded = build()
    padded.data_preprocessor.pad_size_divisor = 32
    point = calibrate(padded, Padded())
    energies = []
    for i in range(7):
        image = Padded()[i]['inputs'][None, :3] - 9.0
        image = torch.nn.functional.pad(image, (0, 16))
        with torch.no_grad():
            feature = padded.teacher(image)[0][..., :1]
        energies.append(0.5 * feature.square().sum())
    torch.testing.assert_close(point.loss.energy, sum(energies) / 7)


def test_pairs_are_spread_over_the_data():
    data = Pairs()
    calibrate(build(), data, num_images=3)
    assert data.seen == [0, 3, 6]


def test_nothing_else_changes():
    model = build(scale='auto')
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    calibrate(model, Pairs())
    after = model.state_dict()
    changed = {k for k in after if not torch.equal(before[k], after[k])}
    assert changed == {SCALE, ENERGY}
    assert model.training and not model.teacher.training
    assert all(p.grad is None for p in model.parameters())


def test_resumed_values_are_not_measured_again():
    model = build(scale='auto')
    calibrate(model, Pairs())
    resumed = build(scale='auto')
    resumed.load_state_dict(model.state_dict())
    data = Pairs()
    calibrate(resumed, data, iteration=1)
    assert not data.seen
    # A checkpoint from before the calibration is measured.
    calibrate(build(scale='auto'), data, iteration=1)
    assert data.seen


@pytest.mark.parametrize('scale', [None, 0.5, 'auto'])
def test_values_of_another_transfer_are_measured_anew(scale):
    other = build(scale='auto')
    calibrate(other, Pairs())
    other.points[0].loss.energy.fill_(83.0)
    other.points[0].scale.factor.fill_(7.0)
    model = build(scale=scale)
    expected = calibrate(build(scale=scale), Pairs())
    model.load_state_dict(other.state_dict(), strict=False)  # load_from
    assert not model.points[0].needs_calibration
    point = calibrate(model, Pairs())
    assert point.loss.energy == expected.loss.energy
    assert point.scale.factor == expected.scale.factor


class Jittered(Pairs):
    """Augmented at random, as a pipeline does."""

    def __getitem__(self, index):
        pair = super().__getitem__(index)
        pair['inputs'] *= np.random.uniform(0.5, 2)
        return pair


def test_augmentation_depends_on_the_pair_alone():
    found = []
    for seed, batch_size in ((1, 1), (2, 3), (3, 7)):
        model = build(scale='auto')
        np.random.seed(seed)
        torch.manual_seed(seed)
        before = np.random.get_state()[2], torch.get_rng_state()
        point = calibrate(model, Jittered(), batch_size=batch_size)
        assert np.random.get_state()[2] == before[0]
        assert torch.equal(torch.get_rng_state(), before[1])
        found.append((float(point.scale.factor), float(point.loss.energy)))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert found[0] == pytest.approx(found[2], rel=1e-5)


def test_independent_of_the_number_of_workers(tmp_path):
    found = []
    for workers in (0, 2):
        runner = Runner(
            model=config(scale='auto'),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                batch_sampler=dict(type='AspectRatioBatchSampler'),
                batch_size=2,
                num_workers=workers,
                dataset=Jittered(),
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
    model = build(scale='auto')
    for parameter in model.backbone.conv5.parameters():
        torch.nn.init.zeros_(parameter)
    with pytest.raises(ValueError, match=r"student's.*'pool5'.*to a number"):
        calibrate(model, Pairs())
    # With a given scale it does not matter.
    model = build(scale=2.0)
    for parameter in model.backbone.conv5.parameters():
        torch.nn.init.zeros_(parameter)
    assert calibrate(model, Pairs()).loss.energy > 0
