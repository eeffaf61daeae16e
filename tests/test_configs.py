"""Every config: its form, its parts, and one step of its model."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import VISUALIZERS
from mmdet.testing import demo_mm_inputs, demo_mm_proposals
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

import mmxdistill
from mmxdistill.registry import (
    DATA_SAMPLERS,
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
)

# Components that mmengine keeps by name are built once per config.
pytestmark = pytest.mark.filterwarnings('ignore:.*has been created')

CONFIGS = Path(mmxdistill.__file__).parents[1] / 'configs'
METHODS = dict(
    supervision_transfer='st',
    fast_rcnn='fast_rcnn',
    late_fusion='fusion',
    region_detection='hypercolumn',
)
LEAVES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)
CAMERA = '{"fx": 100, "fy": 100, "cx": 48, "cy": 32}'


def load(name):
    return Config.fromfile(CONFIGS / name)


def bases(path):
    """The files that a config file names in ``_base_``."""
    return [
        (path.parent / base).resolve()
        for base in Config._get_base_files(str(path))
    ]


def simplify(node):
    """Without weights that training or a download makes; narrow fc6, fc7."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ('teacher_checkpoint', 'checkpoint'):
                node[key] = None
            elif (
                key == 'init_cfg'
                and isinstance(value, dict)
                and value.get('type') == 'Pretrained'
            ):
                node[key] = None
            elif key in ('fc_channels', 'fc7_channels'):
                node[key] = min(value, 64)
            else:
                simplify(value)
    elif isinstance(node, (list, tuple)):
        for child in node:
            simplify(child)
    return node


def datasets(cfg):
    """The single data sets of a config, by loader."""
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        yield part, dataset.get('dataset', dataset)


def is_fusion(name):
    """Late fusion, also of region detectors."""
    return name.startswith('late_fusion') or '_rgb-' in name


def max_iters(name):
    """A schedule's name in a config name -> iterations."""
    number, kilo = re.fullmatch(r'(\d+)(k?)', name).groups()
    return int(number) * (1000 if kilo else 1)


def test_there_are_configs_of_every_method():
    assert {name.split('/')[0] for name in LEAVES} == set(METHODS)


@pytest.mark.parametrize('name', LEAVES)
def test_form(name):
    path = CONFIGS / name
    # The first late fusion of a data set names two detectors.
    most = 20 if is_fusion(name) else 16
    assert len(path.read_text().splitlines()) <= most
    # A leaf inherits from _base_, or from one leaf that does.
    for base in bases(path):
        if '_base_' not in base.parts:
            assert all('_base_' in b.parts for b in bases(base))


@pytest.mark.parametrize('name', LEAVES)
def test_name_says_what_it_is(name):
    """{method}_{networks}_{modality}_{layer or start}_{schedule}_{data}."""
    cfg = load(name)
    folder, stem = name.removesuffix('.py').split('/')
    method = METHODS[folder]
    assert stem.startswith(f'{method}_')
    parts = stem.removeprefix(f'{method}_').split('_')
    inherited = [path.stem for path in all_bases(CONFIGS / name)]
    assert any(base.split('_')[0] == parts[-1] for base in inherited)
    used = {tuple(data.get('use', ())) for _, data in datasets(cfg)}
    if is_fusion(name):
        network, modalities, _ = parts
        assert list(cfg.model.streams) == modalities.split('-')
        for stream in cfg.model.streams.values():
            stem = Path(stream.model).stem
            own = re.sub('^(fast_rcnn|hypercolumn)_', '', stem).split('_')[0]
            assert network == own or own in network.split('-')
        return
    assert cfg.train_cfg.max_iters == max_iters(parts[-2])
    if folder == 'supervision_transfer':
        teacher, student, modality, layer, _, _ = parts
        assert cfg.model.modalities == dict(teacher='rgb', student=modality)
        assert layer in [p.student for p in cfg.model.transfer_points]
        networks = [cfg.model.teacher, cfg.model.student]
        found = [network.type.split('.')[1].lower() for network in networks]
        assert found == [n.removesuffix('-s') for n in (teacher, student)]
    else:
        network, modality = parts[:2]
        assert used == {(modality,)}
        assert list(cfg.model.data_preprocessor.modalities) == [modality]
        found = cfg.model.backbone.type.split('.')[1].lower()
        assert found == network.removesuffix('-s')


def all_bases(path):
    for base in bases(path):
        yield base
        yield from all_bases(base)


@pytest.mark.parametrize('name', LEAVES)
def test_checkpoints_come_from_other_configs(name):
    """A path in work_dirs is what a run of the config of that name leaves."""
    text = str(load(name).to_dict())
    found = re.findall(r"'(work_dirs/[^']*)'", text)
    stems = {Path(leaf).stem: leaf for leaf in LEAVES}
    for checkpoint in found:
        _, stem, file = checkpoint.split('/')
        cfg = load(stems[stem])
        assert file == f'iter_{cfg.train_cfg.max_iters}.pth'
    if '_st_' in name or is_fusion(name) or name.startswith('region'):
        assert found


@pytest.mark.parametrize('name', LEAVES)
def test_everything_can_be_built(name, tmp_path, monkeypatch):
    """Data sets with pipelines, samplers, hooks, metrics, optimizer."""
    monkeypatch.chdir(tmp_path)
    cfg = load(name)
    camera = Path('data/synthetic_rgbd/camera.json')
    camera.parent.mkdir(parents=True)
    camera.write_text(CAMERA)
    for part, data in datasets(cfg):
        dataset = DATASETS.build(dict(**data, lazy_init=True))
        steps = [type(t).__name__ for t in dataset.pipeline.transforms]
        assert steps[0] == 'LoadModalities'
        assert steps[-1] == 'PackDetInputs'
        loader = cfg[f'{part}_dataloader']
        sampler = dict(loader.sampler, dataset=range(3), seed=0)
        if 'Infinite' not in sampler['type']:
            del sampler['seed']
        if 'Epoch' in sampler['type']:  # wants real boxes
            assert sampler['batch_size'] == loader.batch_size
        elif 'Uniform' in sampler['type']:  # wants real boxes, too
            kind = 'mmxdistill.ClassUniformDataset'
            assert loader.dataset.type == kind
        else:
            DATA_SAMPLERS.build(sampler)
    VISUALIZERS.build(dict(cfg.visualizer, save_dir=str(tmp_path)))
    for hook in [*cfg.default_hooks.values(), *cfg.custom_hooks]:
        HOOKS.build(hook)
    for part in ('val', 'test'):
        METRICS.build(cfg[f'{part}_evaluator'])
    layer = torch.nn.Linear(2, 2)
    optimizer = build_optim_wrapper(layer, cfg.optim_wrapper)
    PARAM_SCHEDULERS.build(dict(cfg.param_scheduler, optimizer=optimizer))
    assert max(cfg.param_scheduler.milestones) < cfg.train_cfg.max_iters
    # A run that is killed while it writes a checkpoint has another.
    assert cfg.default_hooks.checkpoint.max_keep_ckpts != 1
    hooks = [hook.type for hook in cfg.custom_hooks]
    assert 'mmxdistill.IterationSeedHook' in hooks
    transfer = cfg.model.type == 'mmxdistill.SupervisionTransfer'
    assert transfer == ('mmxdistill.TransferCalibrationHook' in hooks)
    assert transfer == (cfg.val_evaluator.type == 'mmxdistill.TransferMetric')


def batch(model, num_classes):
    """Two small random images, with boxes and proposals."""
    channels = len(model.data_preprocessor.mean)
    shape = (channels, 96, 128)
    data = demo_mm_inputs(2, shape, num_classes=num_classes, with_mask=True)
    proposals = demo_mm_proposals([shape] * 2, 20)
    for sample, boxes in zip(data['data_samples'], proposals, strict=True):
        sample.proposals = boxes
    return model.data_preprocessor(data)


@pytest.mark.parametrize('name', LEAVES)
def test_model_trains_and_predicts(name):
    cfg = load(name)
    model = MODELS.build(simplify(cfg.model))
    for point in getattr(model, 'points', ()):
        point.scale.calibrate(1.0, 1.0)
        point.loss.calibrate(1.0)
    data = next(datasets(cfg))[1]
    metainfo = data.get('metainfo', DATASETS.get(data['type']).METAINFO)
    num_classes = len(metainfo.get('classes', 'none'))

    losses = model(**batch(model, num_classes), mode='loss')
    total, _ = model.parse_losses(losses)
    assert torch.isfinite(total) and total > 0
    total.backward()
    lazy = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad != (parameter.grad is not None)
    ]
    assert not lazy

    model.eval()
    with torch.no_grad():
        samples = model(**batch(model, num_classes), mode='predict')
    assert len(samples) == 2
    if hasattr(model, 'points'):
        assert set(samples[0].transfer_stats) == {p.name for p in model.points}
    else:
        for sample in samples:
            assert len(sample.pred_instances) > 0
            assert (sample.pred_instances.labels < num_classes).all()


def test_config_elsewhere_inherits_one_of_ours(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    leaf = next(n for n in LEAVES if n.startswith('supervision_transfer'))
    path = tmp_path / 'mine.py'
    path.write_text(
        f"_base_ = [__import__('mmxdistill').config_path('{leaf}')]\n"
        'train_cfg = dict(max_iters=7)\n'
    )
    mine, ours = Config.fromfile(path), load(leaf)
    assert mine.train_cfg.max_iters == 7
    assert mine.model == ours.model
    assert mine.train_dataloader == ours.train_dataloader


def test_real_data_is_where_the_environment_says(monkeypatch):
    real = [name for name in LEAVES if not name.endswith('_synthetic.py')]
    names = {name.rpartition('_')[2]: name for name in real}.values()
    assert len(names) >= 2
    for folder in (None, '/somewhere'):
        if folder is None:
            monkeypatch.delenv('MMXDISTILL_DATA', raising=False)
        else:
            monkeypatch.setenv('MMXDISTILL_DATA', folder)
        for name in names:
            for _, data in datasets(load(name)):
                assert data.data_root.startswith(f'{folder or "data"}/')
