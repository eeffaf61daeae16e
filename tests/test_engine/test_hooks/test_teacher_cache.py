"""A whole training with the cache, filled ahead or on the way."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner

from mmxdistill.engine.fill_cache import fill_cache
from mmxdistill.engine.run_config import ConfigError

NET = dict(
    type='mmxdistill.CaffeNet',
    channels=(8, 8, 12, 12, 8),
    out_features=('pool5',),
    init_cfg=dict(type='Kaiming', layer='Conv2d'),
)
META = (
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
FLIP = dict(type='RandomFlip', prob=0.5)
RESIZE = dict(type='Resize', scale=(64, 64), keep_ratio=True)
SCALES = dict(
    type='RandomChoiceResize', scales=[(64, 64), (80, 96)], keep_ratio=True
)


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ('rgb', 'hha'):
        (tmp_path / folder).mkdir()
        for number in range(5):
            pixels = rng.integers(0, 256, (48, 64, 3), np.uint8)
            cv2.imwrite(str(tmp_path / f'{folder}/{number}.png'), pixels)
    return tmp_path


def runner_of(root, cache, steps=(FLIP, RESIZE), iters=6, **kwargs):
    torch.manual_seed(0)
    statistics = {m: dict(mean=[100.0] * 3) for m in ('rgb', 'hha')}
    modalities = {
        name: dict(
            path=f'{name}/{{stem}}.png',
            pipeline=[dict(type='LoadImageFromFile')],
        )
        for name in ('rgb', 'hha')
    }
    return Runner(
        model=dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities=statistics,
                pad_size_divisor=32,
            ),
            teacher=NET,
            teacher_checkpoint=None,
            student=dict(**NET, geometry='hha'),
            modalities=dict(teacher='rgb', student='hha'),
            transfer_points=[
                dict(teacher='pool5', student='pool5', adaptation=dict())
            ],
            teacher_cache=None
            if cache is None
            else dict(path=str(root / 'store'), **cache),
        ),
        work_dir=str(root / 'run'),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=dict(
                type='mmxdistill.PairedDataset',
                data_root=str(root),
                modalities=modalities,
                check_pairs=False,
                pipeline=[
                    *steps,
                    dict(type='PackDetInputs', meta_keys=META),
                ],
            ),
            sampler=dict(type='mmxdistill.ResumableInfiniteSampler'),
            collate_fn=FUNCTIONS.get('pseudo_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[
            dict(type='mmxdistill.TransferCalibrationHook', num_images=4),
            dict(type='mmxdistill.TeacherCacheHook'),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3)
        ),
        default_scope='mmdet',
        randomness=dict(seed=1),
        experiment_name=f'{root.name}_{np.random.default_rng().integers(1e9)}',
        log_level='ERROR',
        **kwargs,
    )


def train(*args, **kwargs):
    runner = runner_of(*args, **kwargs)
    before = torch.cat([p.flatten() for p in runner.model.parameters()])
    runner.train()
    after = torch.cat([p.flatten() for p in runner.model.parameters()])
    return runner, (after - before).detach()


def test_training_is_that_without_it(root):
    # More draws than there are images.
    _, exact = train(root, None, iters=8)
    first, rounded = train(root, dict(), iters=8)
    cache = first.model.teacher_cache
    assert 0 < cache.found < cache.seen == 16
    assert (rounded - exact).norm() < 5e-3 * exact.norm()
    assert exact.norm() > 0
    # What was filled on the way gives the same weights again, resumed too.
    again, same = train(root, dict(), iters=8)
    cache = again.model.teacher_cache
    assert cache.found == cache.seen == 16
    assert torch.equal(same, rounded)
    checkpoint = str(root / 'run/iter_3.pth')
    resumed = runner_of(
        root, dict(), iters=8, load_from=checkpoint, resume=True
    )
    resumed.train()
    assert resumed.model.teacher_cache.seen == 10
    for one, other in zip(
        resumed.model.parameters(), again.model.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_filled_ahead(root):
    filled = fill_cache(runner_of(root, dict(), (FLIP, SCALES)))
    assert filled.images == 5
    assert filled.ways == [
        'scale (64, 64)',
        'scale (80, 96)',
        'horizontal flip, scale (64, 64)',
        'horizontal flip, scale (80, 96)',
    ]
    assert filled.added == 20
    assert filled.complete
    # Batches of two sizes are padded to the larger.
    assert 'BatchFixedSizePad", size=(96, 96)' in filled.hint
    again = fill_cache(runner_of(root, dict(dtype='float16'), (FLIP, SCALES)))
    assert again.added == 0
    # RandomChoiceResize is another way of loading than Resize.
    filled = fill_cache(runner_of(root, dict(stale='replace')))
    assert filled.added == 10
    assert filled.hint is None
    runner, _ = train(root, dict())
    cache = runner.model.teacher_cache
    assert cache.found == cache.seen == 12


def test_too_large(root):
    with pytest.raises(ValueError, match='about .* GB for all images, but'):
        fill_cache(runner_of(root, dict(max_gb=1e-6)))


def test_what_does_not_come_again(root):
    crop = dict(type='RandomCrop', crop_size=(32, 32))
    with pytest.raises(ConfigError, match='^teacher_cache: RandomCrop may'):
        runner_of(root, dict(), (crop,)).train()


def test_cache_that_cannot_be_made(root):
    (root / 'store').touch()
    with pytest.raises(ConfigError, match='store'):
        runner_of(root, dict()).train()
