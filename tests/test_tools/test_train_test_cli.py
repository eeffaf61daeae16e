"""Command lines of tools/train.py and tools/test.py; no model is run."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import mmdet
import pytest

import mmxdistill
from mmxdistill.engine import fill_cache, run_config

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
CONFIG = """
default_hooks = dict(visualization=dict(type='DetVisualizationHook'))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
model = dict(depth=50)
"""


@pytest.fixture(params=['train', 'test'])
def tool(request, monkeypatch):
    return load(request.param, monkeypatch)


@pytest.fixture
def train(monkeypatch):
    return load('train', monkeypatch)


@pytest.fixture
def test(monkeypatch):
    return load('test', monkeypatch)


def load(name, monkeypatch):
    """Import a tool as Python does that runs it, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(TOOLS))
    for module in ('train', 'test'):
        monkeypatch.delitem(sys.modules, module, raising=False)
    module = importlib.import_module(name)
    assert Path(module.__file__) == TOOLS / f'{name}.py'
    monkeypatch.setitem(sys.modules, name, module)
    return module


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'st_squeezenet_hha.py'
    path.write_text(CONFIG)
    return str(path)


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / 'epoch_1.pth'
    path.touch()
    return str(path)


def configure(tool, *argv):
    return tool.configure(tool.parse_args(list(argv)))


def test_defaults_of_train(train, config):
    cfg = configure(train, config)
    assert cfg.work_dir == str(Path('work_dirs', 'st_squeezenet_hha'))
    assert cfg.launcher == 'none'
    assert cfg.optim_wrapper.type == 'OptimWrapper'
    assert not cfg.get('resume')


def test_shared_flags(tool, config, checkpoint):
    argv = [config] if tool.__name__ == 'train' else [config, checkpoint]
    cfg = configure(
        tool,
        *argv,
        '--work-dir',
        'runs/a',
        '--launcher',
        'slurm',
        '--local-rank',
        '1',
        '--cfg-options',
        'model.depth=18',
        'model.mean=[1,2]',
    )
    assert cfg.work_dir == 'runs/a'
    assert cfg.launcher == 'slurm'
    assert cfg.model == {'depth': 18, 'mean': [1, 2]}


def test_work_dir_of_the_config_stays(train, config):
    cfg = configure(train, config, '--cfg-options', 'work_dir=mine')
    assert cfg.work_dir == 'mine'


def test_amp(train, config):
    cfg = configure(train, config, '--amp')
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.optim_wrapper.loss_scale == 'dynamic'


def test_amp_keeps_its_hands_off_other_wrappers(train, config):
    wrapper = 'optim_wrapper.type=mmxdistill.CaffeOptimWrapper'
    with pytest.raises(ValueError, match='CaffeOptimWrapper'):
        configure(train, config, '--amp', '--cfg-options', wrapper)


def test_amp_keeps_the_precision_of_the_config(train, config):
    cfg = configure(
        train,
        config,
        '--amp',
        '--cfg-options',
        'optim_wrapper.type=AmpOptimWrapper',
        'optim_wrapper.dtype=bfloat16',
    )
    assert cfg.optim_wrapper.dtype == 'bfloat16'
    assert 'loss_scale' not in cfg.optim_wrapper


def test_auto_scale_lr(train, config):
    cfg = configure(
        train,
        config,
        '--auto-scale-lr',
        '--cfg-options',
        'auto_scale_lr.base_batch_size=16',
    )
    assert cfg.auto_scale_lr == {'base_batch_size': 16, 'enable': True}


def test_auto_scale_lr_without_base_batch_size(train, config):
    with pytest.raises(ValueError, match=r'add auto_scale_lr = dict\(base'):
        configure(train, config, '--auto-scale-lr')


def test_resume_from_the_work_dir(train, config, tmp_path):
    argv = [config, '--resume', '--work-dir', str(tmp_path)]
    argv += ['--cfg-options', 'load_from=start.pth']
    # Stopped before the first checkpoint, or while its name was written.
    for name in (None, ''):
        if name is not None:
            (tmp_path / 'last_checkpoint').write_text(name)
        cfg = configure(train, *argv)
        assert (cfg.resume, cfg.load_from) == (False, 'start.pth')
    (tmp_path / 'last_checkpoint').write_text('iter_2.pth')
    cfg = configure(train, *argv)
    assert (cfg.resume, cfg.load_from) == (True, None)


@pytest.mark.parametrize('url', [False, True])
def test_resume_from_a_checkpoint(train, config, checkpoint, url):
    name = 'https://host/a.pth' if url else checkpoint
    cfg = configure(train, config, '--resume', name)
    assert cfg.resume is True
    assert cfg.load_from == name


def test_flags_of_test(test, config, checkpoint):
    cfg = configure(test, config, checkpoint, '--show-dir', 'vis')
    assert cfg.load_from == checkpoint
    hook = cfg.default_hooks.visualization
    assert (hook.draw, hook.test_out_dir) == (True, 'vis')
    args = test.parse_args([config, checkpoint, '--out', 'a.pkl'])
    assert args.out == 'a.pkl'


def test_show(test, config, checkpoint):
    argv = [config, checkpoint, '--show', '--wait-time', '0.5']
    hook = configure(test, *argv).default_hooks.visualization
    assert (hook.draw, hook.show, hook.wait_time) == (True, True, 0.5)
    assert 'test_out_dir' not in hook


@pytest.mark.parametrize('name', ['train', 'test'])
def test_flags_are_those_of_mmdet(name, monkeypatch, config, capsys):
    """Of the installed one; it takes as long as to read a file."""
    tools = Path(mmdet.__file__).parent / '.mim' / 'tools'
    if not tools.is_dir():  # an editable installation
        tools = Path(mmdet.__file__).parents[1] / 'tools'
    theirs = re.findall(r"'(--[a-z-]+)'", (tools / f'{name}.py').read_text())
    with pytest.raises(SystemExit):
        load(name, monkeypatch).parse_args(['--help'])
    ours = capsys.readouterr().out
    assert len(theirs) > 5
    hidden = {'--local-rank', '--fuse-conv-bn'}
    assert [f for f in set(theirs) - hidden if f not in ours] == []


NEW_STYLE = """
from mmengine.config import read_base
from mmengine.optim import {wrapper}
from torch.optim import SGD

with read_base():
    from .base import *

optim_wrapper = dict(type={wrapper}, optimizer=dict(type=SGD, lr=0.1))
"""


@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'AmpOptimWrapper'])
def test_amp_of_a_new_style_config(train, tmp_path, wrapper):
    (tmp_path / 'base.py').write_text('model = dict()\n')
    path = tmp_path / 'config.py'
    path.write_text(NEW_STYLE.format(wrapper=wrapper))
    cfg = configure(train, str(path), '--amp')
    kind = cfg.optim_wrapper.type
    assert getattr(kind, '__name__', kind) == 'AmpOptimWrapper'
    assert ('loss_scale' in cfg.optim_wrapper) == (wrapper == 'OptimWrapper')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x = y\n', "NameError: name 'y' is not defined"),
        ("_base_ = 'none.py'\n", 'none.py'),
        ('x = (\n', 'SyntaxError'),
    ],
)
def test_config_that_cannot_be_read(train, config, text, message):
    Path(config).write_text(text)
    with pytest.raises(ValueError) as error:
        configure(train, config)
    assert str(error.value).startswith(f'{config}: ')
    assert message in str(error.value)


def test_option_without_value(train, config, capsys):
    with pytest.raises(SystemExit):
        train.parse_args([config, '--cfg-options', 'a=1', 'b'])
    assert "'b' is no KEY=VALUE" in capsys.readouterr().err


def test_checkpoint_may_follow_the_options(test, config, checkpoint):
    args = test.parse_args([config, '--work-dir', 'w', checkpoint])
    assert (args.checkpoint, args.work_dir) == (checkpoint, 'w')


def test_no_checkpoint_only_if_streams_bring_theirs(test, config):
    for model, fits in (
        ('dict()', False),
        ("dict(streams=dict(a=dict(checkpoint='x'), b=dict()))", False),
        ("dict(streams=dict(a=dict(model='x', checkpoint=None)))", False),
        ('dict(streams=dict(a=dict(model=dict())))', False),
        ("dict(streams=dict(a=dict(model='x')))", True),
        ("dict(streams=dict(a=dict(checkpoint='x')))", True),
    ):
        Path(config).write_text(f'model = {model}\n')
        if fits:
            assert configure(test, config).load_from is None
        else:
            with pytest.raises(ValueError, match='give a checkpoint'):
                configure(test, config)


def test_show_dir_without_hook(test, config, checkpoint):
    Path(config).write_text('model = dict()\n')
    with pytest.raises(ValueError, match='no default_hooks'):
        configure(test, config, checkpoint, '--show-dir', 'vis')


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['missing.pth'], "no checkpoint 'missing.pth'"),
        (['{checkpoint}', '--out', 'a.json'], "'a.json' does not end with"),
    ],
)
def test_bad_arguments_of_test(
    test, config, checkpoint, argv, message, capsys
):
    argv = [arg.format(checkpoint=checkpoint) for arg in argv]
    with pytest.raises(SystemExit):
        test.parse_args([config, *argv])
    assert message in capsys.readouterr().err


def test_missing_checkpoint_to_resume(train, config, capsys):
    with pytest.raises(SystemExit):
        train.parse_args([config, '--resume', 'missing.pth'])
    assert "no checkpoint 'missing.pth'" in capsys.readouterr().err


def test_config_of_the_package(train, tmp_path, monkeypatch, capsys):
    shipped = tmp_path / 'repo' / 'configs' / 'fast_rcnn' / 'vgg_hha.py'
    shipped.parent.mkdir(parents=True)
    shipped.write_text(CONFIG)
    package = tmp_path / 'repo' / 'mmxdistill' / '__init__.py'
    monkeypatch.setattr(mmxdistill, '__file__', str(package))
    monkeypatch.chdir(tmp_path)
    args = train.parse_args(['configs/fast_rcnn/vgg_hha.py'])
    assert args.config == str(shipped)
    with pytest.raises(SystemExit):
        train.parse_args(['configs/fast_rcnn/vgg_hah.py'])
    error = capsys.readouterr().err
    assert "No config 'fast_rcnn/vgg_hah.py'" in error
    assert 'Close names: fast_rcnn/vgg_hha.py' in error


def test_runs_from_anywhere_and_helps_before_it_imports(tmp_path):
    """The stack takes ten seconds and more to import."""
    out = subprocess.run(
        [sys.executable, '-X', 'importtime', TOOLS / 'test.py', '--help'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    for flag in ('--work-dir', '--out', '--show-dir', '--cfg-options'):
        assert flag in out.stdout
    for name in ('torch', 'mmengine', 'mmdet', 'numpy'):
        assert not re.search(rf'\| +{name}$', out.stderr, re.M)


@pytest.mark.parametrize('complete', [True, False])
def test_cache_teacher_says_what_is_there(
    monkeypatch, config, capsys, complete
):
    tool = load('cache_teacher', monkeypatch)
    seen = []
    hint = None if complete else 'nothing more is added'
    filled = fill_cache.Filled(1200, ['a', 'b'], 7, 2_500_000, complete, hint)
    monkeypatch.setattr(
        run_config, 'build_runner', lambda cfg, loop: seen.append((cfg, loop))
    )
    monkeypatch.setattr(fill_cache, 'fill_cache', lambda runner: filled)
    path = 'model.teacher_cache.path=features'
    args = tool.parse_args([config, '--cfg-options', path])
    assert tool.run(args) == int(not complete)
    ((cfg, loop),) = seen
    assert (cfg.model.teacher_cache.path, loop) == ('features', 'train')
    out = capsys.readouterr().out
    assert '1,200 images, 2 of each (a; b): 7 computed, 2.5 MB' in out
    assert ('nothing more is added' in out) == (not complete)
