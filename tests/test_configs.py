"""Every config: its form, its name and its parts."""

import re
from pathlib import Path

import pytest
from mmengine.config import Config

import mmxdistill
from mmxdistill.converters.nyud2 import CLASSES, COCO_TO_NYUD2
from mmxdistill.models.features import FeatureExtractor
from mmxdistill.models.networks import build_network, resolve_network
from mmxdistill.studies.configs import load_config as load
from mmxdistill.studies.model_index import collect_models, index_files

CONFIGS = Path(mmxdistill.__file__).parents[1] / 'configs'
METHODS = dict(
    supervision_transfer='st',
    fast_rcnn='fast_rcnn',
    late_fusion='fusion',
    region_detection='hypercolumn',
    yolox='yolox',
    zero_shot='zero-shot',
)
LEAVES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob('*.py')
    if '_base_' not in path.parts
)


def bases(path):
    """The files that a config file names in ``_base_``."""
    return [
        (path.parent / base).resolve()
        for base in Config._get_base_files(str(path))
    ]


def datasets(cfg):
    """The single data sets of a config, by loader."""
    for part in ('train', 'val', 'test'):
        dataset = cfg[f'{part}_dataloader'].dataset
        inner = dataset.get('dataset', dataset)
        for single in inner.get('datasets', [inner]):
            yield part, single


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
    lines = path.read_text().splitlines()
    code = [line for line in lines if line and not line.startswith('#')]
    assert len(code) <= (14 if is_fusion(name) else 15)
    # A leaf inherits from _base_, or from a leaf that does.
    for base in all_bases(path):
        if '_base_' not in base.parts:
            assert base.parent == path.parent


@pytest.mark.parametrize('name', LEAVES)
def test_name_says_what_it_is(name):
    """{method}_{networks}_{modality}_{layer or start}_{schedule}_{data}."""
    cfg = load(name)
    folder, stem = name.removesuffix('.py').split('/')
    method = METHODS[folder]
    assert stem.startswith(f'{method}_')
    parts = stem.removeprefix(f'{method}_').split('_')
    data, _, trainval = parts[-1].partition('-')
    inherited = [path.stem for path in all_bases(CONFIGS / name)]
    assert any(base.split('_')[0] == data for base in inherited)
    splits = {p: d.get('ann_file', '') for p, d in datasets(cfg)}
    assert ('trainval' in splits['train']) == bool(trainval)
    if data == 'nyud2':
        held_out = 'test' if trainval else 'val'
        assert splits['val'] == f'annotations_{held_out}.json'
    if is_fusion(name):
        network, modalities = parts[:2]
        assert list(cfg.model.streams) == modalities.split('-')
        one = re.search('-s|yolox', network)
        networks = [network] if one else network.split('-')
        if 'zero-shot' in parts:  # the streams are what those leaves test
            for modality, stream in cfg.model.streams.items():
                leaf = f'zero-shot_{network}_{modality}_{parts[-1]}.py'
                assert stream.model == load(f'zero_shot/{leaf}').model
            return
        stems = [Path(s.model).stem for s in cfg.model.streams.values()]
        heads = '^(fast_rcnn|hypercolumn|yolox)_'
        found = {re.sub(heads, '', stem).split('_')[0] for stem in stems}
        assert found == set(networks)
        if parts[2] == 'fitted':
            assert 'mmxdistill.FusionWeightsHook' in str(cfg.custom_hooks)
        elif len(parts) > 3:  # how the second stream began
            assert f'_{parts[2]}_' in cfg.model.streams.hha.model
        return
    if folder != 'zero_shot':  # which is not trained
        assert cfg.train_cfg.max_iters == max_iters(parts[-2])
    used = {tuple(data.get('use', ())) for _, data in datasets(cfg)}
    if folder == 'supervision_transfer':
        teacher, student, modality, layer, _, _ = parts
        both = layer.endswith('-both')  # a second teacher sees the modality
        roles = (
            dict(visible='rgb', itself=modality)
            if both
            else dict(teacher='rgb')
        )
        assert cfg.model.modalities == dict(**roles, student=modality)
        known = list(cfg.model.data_preprocessor.modalities)
        assert known == ['rgb', modality]
        points = [(p.teacher, p.student) for p in cfg.model.transfer_points]
        layers = re.sub('-(sigmoid|both)$', '', layer).split('-')
        if layers == ['neck']:  # all that the head reads
            layers = [f'neck[{level}]' for level in range(3)]
        prefixes = [f'{role}.' for role in roles] if both else ['']
        assert points == [(p + n, n) for p in prefixes for n in layers]
        loss = str(cfg.model.transfer_points[0].get('loss'))
        assert ('Sigmoid' in loss) == layer.endswith('-sigmoid')
        given = cfg.model.teacher.values() if both else [cfg.model.teacher]
        networks = [next(iter(given)), cfg.model.student]
        wanted = [re.sub('-(imagenet|coco|objects)$', '', teacher), student]
        assert list(map(network_name, networks)) == wanted
        trained = "'work_dirs/" in repr([cfg.model.teacher_checkpoint])
        converted = re.search('imagenet|squeezenet|yolox', teacher) is not None
        assert trained != converted
    elif folder == 'zero_shot':
        network, modality = parts[:2]
        assert used == {(modality,)}
        assert network_name(cfg.model.detector) == network
        assert list(cfg.model.classes) == list(cfg.classes)
    else:
        network, modality = parts[:2]
        assert used == ({()} if data == 'coco' else {(modality,)})
        assert list(cfg.model.data_preprocessor.modalities) == [modality]
        assert network_name(cfg.model) == network
        frozen = cfg.model.backbone.get('frozen_stages', -1)
        fixed = 'frozen' in stem or folder == 'region_detection'
        assert frozen == (5 if fixed else 1 if data == 'coco' else -1)


def test_zero_shot_detectors_have_the_classes_of_both_data_sets():
    for path in (CONFIGS / 'zero_shot').glob('*_nyud2-trainval.py'):
        mapped = load(path.relative_to(CONFIGS).as_posix()).model.classes
        assert {old: new for new, old in mapped.items()} == COCO_TO_NYUD2
        assert list(mapped) == [c for c in CLASSES if c in mapped]


def network_name(network):
    """Name of a backbone, or of that of a detector, in config names."""
    if isinstance(network, str):
        network = load(network).model
    if network.type == 'YOLOX':
        widths = {0.25: 'nano', 0.5: 's'}
        return f'yolox-{widths[network.backbone.widen_factor]}'
    network = network.get('backbone', network)
    name = network.type.split('.')[1].lower()
    full = dict(caffenet=96, vgg16=64).get(name)
    small = network.get('channels', (full,))[0] != full
    return f'{name}-s' if small else name


def all_bases(path):
    for base in bases(path):
        yield base
        yield from all_bases(base)


@pytest.mark.parametrize('name', LEAVES)
def test_checkpoints_come_from_other_configs(name):
    """A path in work_dirs is what a run of the config of that name leaves."""
    cfg = load(name)
    found = re.findall(r"'(work_dirs/[^']*)'", str(cfg.to_dict()))
    for modality, stream in cfg.model.get('streams', {}).items():
        # The config alone says which weights, of what is trained.
        given = stream.get('checkpoint', 'checkpoints/')
        assert given.startswith('checkpoints/')
        assert {**stream, 'checkpoint': given} == dict(
            model=cfg[modality], checkpoint=given
        )
        if isinstance(stream.model, str) and 'checkpoint' not in stream:
            found.append(resolve_network(stream.model).checkpoint)
    stems = {Path(leaf).stem: leaf for leaf in LEAVES}
    for checkpoint in found:
        _, stem, file = checkpoint.split('/')
        cfg = load(stems[stem])
        assert file == f'iter_{cfg.train_cfg.max_iters}.pth'
    if (
        '_st_' in name
        or is_fusion(name)
        or name.startswith(('region', 'zero'))
    ):
        assert found


@pytest.mark.parametrize(
    'path',
    sorted((CONFIGS / '_base_/schedules').glob('*.py')),
    ids=lambda path: path.stem,
)
def test_no_schedule_decides_the_evaluator(path):
    assert not [k for k in Config.fromfile(path) if 'evaluator' in k]


@pytest.mark.parametrize('name', LEAVES)
def test_parts_fit(name):
    cfg = load(name)
    for part, data in datasets(cfg):
        assert data.pipeline[-1].type == 'PackDetInputs'
        loader = cfg[f'{part}_dataloader']
        assert loader.batch_size == loader.sampler.get(
            'batch_size', loader.batch_size
        )
    assert cfg.test_evaluator == cfg.val_evaluator
    milestones = cfg.param_scheduler.milestones
    assert max(milestones, default=0) < cfg.train_cfg.max_iters
    # A run that is killed while it writes a checkpoint has another.
    assert cfg.default_hooks.checkpoint.max_keep_ckpts != 1
    hooks = [hook.type for hook in cfg.custom_hooks]
    same = cfg.test_dataloader == cfg.val_dataloader
    if 'mmxdistill.FusionWeightsHook' in hooks:  # never trained
        assert not same
        return
    # Or a training never looks at either.
    assert same == ('val_begin' not in cfg.train_cfg)
    assert 'mmxdistill.IterationSeedHook' in hooks
    transfer = cfg.model.type == 'mmxdistill.SupervisionTransfer'
    assert transfer == ('mmxdistill.TransferCalibrationHook' in hooks)
    assert transfer == (cfg.val_evaluator.type == 'mmxdistill.TransferMetric')


@pytest.mark.parametrize('name', LEAVES)
def test_geometry(name):
    """Networks of the same architecture have the same padding.

    VGG16 teaches the other geometry, in which HHA detectors are, too.
    """
    cfg = load(name)
    if cfg.model.type != 'mmxdistill.SupervisionTransfer':
        return
    networks = [cfg.model.teacher, cfg.model.student]
    geometries = [
        (load(n).model.backbone if isinstance(n, str) else n).get('geometry')
        for n in networks
    ]
    if 'vgg16' in name:
        assert geometries in ([None, 'hha'], [None, None])
    elif '_pool5' in name and name.endswith('_synthetic.py'):
        assert geometries == ['rgb', 'hha']
    else:
        assert geometries[0] == geometries[1] != 'hha'


def test_transfer_points_of_table_4():
    """Channels of the small networks, and cells of a 64 x 96 image."""
    points = dict(
        pool1=(32, (9, 13)),
        pool2=(64, (5, 7)),
        conv3=(96, (5, 7)),
        conv4=(96, (5, 7)),
        pool5=(64, (2, 3)),
        fc6=(256, ()),
        fc7=(256, ()),
    )
    names = [*points, 'conv3-fc7']
    for name in names:
        stem = f'st_caffenet-s_caffenet-s_hha_{name}_2k_synthetic'
        cfg = load(f'supervision_transfer/{stem}.py').model
        chosen = [point.teacher for point in cfg.transfer_points]
        assert chosen == [point.student for point in cfg.transfer_points]
        assert '-'.join(chosen) == name
        for role in ('teacher', 'student'):
            network = build_network(cfg[role])
            infos = FeatureExtractor(network, chosen, role, 3).infos
            found = {
                key: (info.channels, info.grids.get((64, 96), ()))
                for key, info in infos.items()
            }
            assert found == {key: points[key] for key in chosen}


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
    assert len(names) >= 5
    for folder in (None, '/somewhere'):
        if folder is None:
            monkeypatch.delenv('MMXDISTILL_DATA', raising=False)
        else:
            monkeypatch.setenv('MMXDISTILL_DATA', folder)
        for name in names:
            cfg = Config.fromfile(CONFIGS / name)
            for _, data in datasets(cfg):
                # What a converter has made is in the working directory.
                made = 'data' if 'people' in name else folder
                files = f'{data.data_root}{data.get("ann_file", "")}'
                assert files.startswith((f'{folder or "data"}/', f'{made}/'))


def test_model_index_is_up_to_date():
    root = CONFIGS.parent
    stale = {
        name
        for name, text in index_files(collect_models(root)).items()
        if not (root / name).is_file()
        or (root / name).read_text('utf-8') != text
    }
    assert not stale, f'run python tools/dev/model_index.py: {stale}'
