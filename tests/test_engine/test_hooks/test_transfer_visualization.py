import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmxdistill.engine.hooks import TransferVisualizationHook
from mmxdistill.engine.hooks.transfer_statistics import TransferStatistics
from mmxdistill.engine.hooks.transfer_visualization import draw_maps

POINT = 'pool5'
NUMBERS = {
    f'transfer_train/{name}_{POINT}'
    for name in (
        *('explained_variance', 'dead_student', 'dead_adapted'),
        *('student_norm', 'adapted_norm', 'teacher_norm'),
    )
}


class Pairs(Dataset):
    """Pairs whose augmentation draws random numbers."""

    metainfo: dict = {}

    def get_data_info(self, index):
        return dict(width=96, height=64)

    def __len__(self):
        return 8

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        image = torch.rand(6, 64, 96, generator=generator) * 200
        image += torch.rand(1) + np.random.rand()
        sample = DetDataSample(metainfo=dict(img_shape=(64, 80)))
        return dict(inputs=image, data_samples=sample)


def train(work_dir, hook, iters=6, **settings):
    net = dict(
        type='mmxdistill.CaffeNet',
        channels=(4, 4, 6, 6, 4),
        out_features=(POINT,),
        init_cfg=dict(type='Kaiming', layer='Conv2d'),
    )
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=Pairs(),
        sampler=dict(type='InfiniteSampler', shuffle=False),
    )
    name = f'{work_dir.name}-{torch.rand(1).item()}'
    runner = Runner(
        model=dict(
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
                dict(teacher=POINT, student=POINT, adaptation={}, scale='auto')
            ],
        ),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=False, max_iters=iters),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[
            dict(type='mmxdistill.TransferCalibrationHook', num_images=4),
            *hook,
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4),
            logger=dict(type='LoggerHook', interval=2),
        ),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0),
        default_scope='mmdet',
        experiment_name=name,
        **settings,
    )
    runner.train()
    return runner


def watch(**settings):
    return [
        dict(
            type='mmxdistill.TransferVisualizationHook',
            **dict(dict(interval=2, image_interval=3), **settings),
        )
    ]


def backends(*kinds):
    return dict(
        type='Visualizer', vis_backends=[dict(type=kind) for kind in kinds]
    )


def test_tensorboard(tmp_path):
    """Clean tags at the right steps, also of a run that is resumed."""
    pytest.importorskip('tensorboard')
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    kinds = backends('TensorboardVisBackend')
    train(tmp_path, watch(), 4, visualizer=kinds)
    train(tmp_path, watch(), 8, visualizer=kinds, resume=True)
    steps, images = {}, {}
    for folder in sorted(tmp_path.glob('*/vis_data')):
        events = EventAccumulator(str(folder)).Reload()
        tags = events.Tags()
        for tag in tags['scalars']:
            found = [one.step for one in events.Scalars(tag)]
            steps.setdefault(tag, []).extend(found)
        for tag in tags['images']:
            found = [one.step for one in events.Images(tag)]
            images.setdefault(tag, []).extend(found)
    assert NUMBERS < steps.keys()
    assert {tuple(steps[tag]) for tag in NUMBERS} == {(2, 4, 6, 8)}
    assert steps['loss'] == [2, 4, 6, 8]
    assert images == {f'maps_{POINT}_{i}': [0, 3, 6] for i in range(2)}


def test_local_files_and_nothing_else_changes(tmp_path):
    torch.manual_seed(0)
    runs = [
        train(tmp_path / name, hook, visualizer=backends('LocalVisBackend'))
        for name, hook in (('without', []), ('with', watch()))
    ]
    without, with_ = (run.model.state_dict() for run in runs)
    for key, value in without.items():
        torch.testing.assert_close(with_[key], value, rtol=0, atol=0)
    assert runs[1].model.watcher is None
    logs = [
        [json.loads(line) for line in path.read_text().splitlines()]
        for name in ('without', 'with')
        for path in (tmp_path / name).glob('*/vis_data/scalars.json')
    ]
    numbers = [row for row in logs[1] if 'loss' not in row]
    assert [row['step'] for row in numbers] == [2, 4, 6]
    assert numbers[0].keys() == NUMBERS | {'step'}
    losses = [[r['loss'] for r in log if 'loss' in r] for log in logs]
    assert losses[0] == losses[1]
    # What the teacher's scale was measured for.
    first = {
        k.removeprefix('transfer_train/'): v for k, v in numbers[0].items()
    }
    assert first['teacher_norm_pool5'] == pytest.approx(
        first['student_norm_pool5'], rel=0.5
    )
    assert first['explained_variance_pool5'] < 1
    files = {p.name for p in tmp_path.glob('with/*/vis_data/vis_image/*')}
    assert files == {
        f'maps_{POINT}_{i}_{step}.png' for i in (0, 1) for step in (0, 3, 6)
    }


def test_weights_and_biases(tmp_path, monkeypatch):
    """By the functions of wandb that mmengine's backend calls."""
    logged = []
    fake = SimpleNamespace(
        init=lambda **_: None,
        log=lambda content, **_: logged.append(content),
        Image=lambda image: ('image', image.shape, image.dtype),
        config=SimpleNamespace(update=lambda *a, **k: None),
        run=SimpleNamespace(log_code=lambda **_: None),
        join=lambda: None,
        finish=lambda: None,
    )
    monkeypatch.setitem(sys.modules, 'wandb', fake)
    train(
        tmp_path, watch(num_pairs=1), 3, visualizer=backends('WandbVisBackend')
    )
    tags = [tag for row in logged for tag in row]
    assert NUMBERS < set(tags)
    (first, *_) = (row for row in logged if f'maps_{POINT}_0' in row)
    kind, shape, dtype = first[f'maps_{POINT}_0']
    assert (kind, shape[2], dtype) == ('image', 3, np.uint8)


def test_statistics():
    rng = torch.Generator().manual_seed(0)
    student = torch.rand(2, 3, 5, 4, generator=rng)
    student[:, 1] = 0
    teacher = torch.rand(2, 4, 5, 4, generator=rng)
    adapted = teacher + 0.1 * torch.rand(2, 4, 5, 4, generator=rng)
    adapted[:, 2] = 0.5
    adapted[0, 2, 4] = 7  # of the padding
    valid = torch.ones(2, 1, 5, 4, dtype=torch.bool)
    valid[0, :, 4:] = False
    found = TransferStatistics(
        student, adapted, teacher, valid, valid
    ).reduce()
    cells = valid[:, 0]
    wanted = teacher.movedim(1, -1)[cells].double()
    made = adapted.movedim(1, -1)[cells].double()
    error = (made - wanted).square().sum()
    variance = (wanted - wanted.mean(0)).square().sum()
    assert found['explained_variance'] == pytest.approx(
        float(1 - error / variance)
    )
    assert found['teacher_norm'] == pytest.approx(
        float(wanted.norm(dim=1).mean())
    )
    assert found['dead_student'] == pytest.approx(1 / 3)
    assert found['dead_adapted'] == pytest.approx(1 / 4)
    # Per RoI; of a single one nothing varies.
    rows = TransferStatistics(made, made, wanted).reduce()
    assert rows['explained_variance'] == pytest.approx(
        found['explained_variance']
    )
    one = TransferStatistics(made[:1], made[:1], wanted[:1]).reduce()
    assert one.keys() == {'student_norm', 'adapted_norm', 'teacher_norm'}


def test_statistics_of_several_processes(monkeypatch):
    """Those of the parts put together are those of the whole."""
    rng = torch.Generator().manual_seed(0)
    student, adapted, teacher = (
        torch.rand(12, channels, generator=rng) for channels in (3, 4, 4)
    )
    student[:, 0] = 2
    student[:6, 1] = 1  # alive in the other part only
    whole = TransferStatistics(student, adapted, teacher).reduce()
    other = TransferStatistics(student[6:], adapted[6:], teacher[6:])
    values = iter([other._sums, other._total, *other._ranges])

    def all_reduce(data, op='sum'):
        theirs = next(values)
        data.copy_(data + theirs if op == 'sum' else data.maximum(theirs))

    monkeypatch.setattr(
        'mmxdistill.engine.hooks.transfer_statistics.all_reduce', all_reduce
    )
    part = TransferStatistics(student[:6], adapted[:6], teacher[:6]).reduce()
    assert part == pytest.approx(whole)
    assert part['dead_student'] == pytest.approx(1 / 3)


def test_maps_have_one_scale():
    picture = np.full((64, 128, 3), 200, np.uint8)
    teacher = np.zeros((3, 2, 4))
    teacher[1, 0] = 4  # varies most
    student = teacher / 2
    drawn = draw_maps([picture, picture], [teacher, student], 1)
    height, width = 2 * (18 + 128 + 2), 3 * (256 + 2)
    assert drawn.shape == (height, width, 3)
    # The highest value of the teacher is yellow; the student's is half of it.
    top, bottom = drawn[18 + 10, -100], drawn[148 + 18 + 10, -100]
    assert top[0] > 200 and top[2] < 60
    assert bottom[0] < 100 and bottom[2] > 100
    assert drawn[40, 20].tolist() == [200] * 3


@pytest.mark.parametrize(
    'wrong', [dict(interval=0), dict(image_interval=-1), dict(num_pairs=-1)]
)
def test_wrong_settings(wrong):
    with pytest.raises(ValueError, match='must be at least 1'):
        TransferVisualizationHook(**wrong)


def test_other_models():
    runner = SimpleNamespace(model=torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match='remove the hook'):
        TransferVisualizationHook().before_train(runner)
