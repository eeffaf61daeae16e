import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

import mmxdistill
from mmxdistill import version

ROOT = Path(mmxdistill.__file__).parents[1]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with three configs, seen by ``config_path``."""
    for name in ('_base_/runtime.py', 'fast_rcnn/a_hha.py', 'zero_shot/b.py'):
        path = tmp_path / 'configs' / name
        path.parent.mkdir(parents=True)
        path.write_text('x = 1\n')
    package = tmp_path / 'mmxdistill' / '__init__.py'
    monkeypatch.setattr(mmxdistill, '__file__', str(package))
    return tmp_path


def test_version():
    assert mmxdistill.__version__ == version.__version__


def test_import_is_light():
    # In a fresh interpreter: a config imports the package for config_path.
    code = (
        'import sys, mmxdistill; '
        "heavy = ('cv2', 'mmcv', 'mmdet', 'mmengine', 'numpy', 'torch'); "
        'print([m for m in heavy if m in sys.modules])'
    )
    out = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == '[]'


def test_config_path_in_checkout(checkout):
    path = mmxdistill.config_path('fast_rcnn/a_hha.py')
    assert path == str(checkout / 'configs' / 'fast_rcnn' / 'a_hha.py')


def test_config_path_prefers_the_wheel(checkout):
    path = checkout / 'mmxdistill' / '.mim' / 'configs' / 'c.py'
    path.parent.mkdir(parents=True)
    path.touch()
    assert mmxdistill.config_path('c.py') == str(path)


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('fast_rcnn/a_hhaa.py', 'Close names: fast_rcnn/a_hha.py'),
        ('elsewhere/b.py', 'Close names: zero_shot/b.py'),
        ('#', 'Its folders: _base_, fast_rcnn, zero_shot.'),
    ],
)
def test_config_path_names_close_configs(checkout, name, hint):
    with pytest.raises(FileNotFoundError, match=hint) as error:
        mmxdistill.config_path(name)
    assert name in str(error.value)
    assert str(checkout / 'configs') in str(error.value)


def test_config_path_without_configs(tmp_path, monkeypatch):
    monkeypatch.setattr(mmxdistill, '__file__', str(tmp_path / 'p' / 'i.py'))
    with pytest.raises(FileNotFoundError, match='install mmxdistill again'):
        mmxdistill.config_path('a.py')


def test_config_inherits_an_installed_one(checkout):
    user = checkout / 'user.py'
    user.write_text(
        "_base_ = [__import__('mmxdistill').config_path('_base_/runtime.py'),"
        " 'mmdet::_base_/default_runtime.py']\ny = 2\n"
    )
    cfg = Config.fromfile(user)
    assert (cfg.x, cfg.y, cfg.default_scope) == (1, 2, 'mmdet')


def test_only_what_needs_the_stack_is_refused_without(monkeypatch):
    monkeypatch.setattr(sys, 'meta_path', [*sys.meta_path])
    monkeypatch.setattr('mmxdistill.compat.find_spec', lambda name: None)
    importlib.reload(mmxdistill)
    for name in ('models', 'models.x', 'registry'):
        with pytest.raises(ImportError, match='mmxdistill needs torch'):
            sys.meta_path[0].find_spec(f'mmxdistill.{name}')
    for name in ('mmxdistill.encodings', 'mmxdistill', 'modelspkg'):
        assert sys.meta_path[0].find_spec(name) is None
