import io
import pickle
import re
import socket
import warnings
from collections import OrderedDict
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer

from mmxdistill import compat

needs_weights_only = pytest.mark.skipif(
    torch.__version__ < (2, 6), reason='torch.load reads everything'
)


@pytest.fixture
def safe_globals():
    """Start from PyTorch's own list and put the present one back."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def save(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def message_hub():
    """What mmengine's runner saves besides the weights."""
    history = HistoryBuffer([1.0, 2.0, 6.0], [1, 1, 1])
    return {
        'meta': {'dataset_meta': {'palette': np.eye(3, dtype=np.uint8)}},
        'message_hub': {
            'log_scalars': OrderedDict({'train/loss': history}),
            'runtime_info': OrderedDict({'best_score': np.float64(0.5)}),
        },
    }


@needs_weights_only
def test_checkpoint_of_the_runner_loads(safe_globals):
    file = save(message_hub())
    with pytest.raises(pickle.UnpicklingError, match='not an allowed'):
        torch.load(file, weights_only=True)
    compat.allow_checkpoint_globals()
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert history.mean() == 3
    assert history.statistics('max') == 6
    assert loaded['message_hub']['runtime_info']['best_score'] == 0.5
    palette = loaded['meta']['dataset_meta']['palette']
    np.testing.assert_array_equal(palette, np.eye(3))


@needs_weights_only
@pytest.mark.parametrize('core', ['core', '_core'])
def test_arrays_of_numpy_1_and_2_load(safe_globals, core):
    compat.allow_checkpoint_globals()
    # As either NumPy writes it: the names of globals end with a newline, so
    # replacing them keeps the pickle valid.
    data = pickle.dumps(np.arange(3.0), protocol=2)
    data, replaced = re.subn(
        rb'numpy\._?core\.', f'numpy.{core}.'.encode(), data
    )
    assert replaced
    file = io.BytesIO(data)
    loaded = torch._weights_only_unpickler.load(file, encoding='latin1')
    np.testing.assert_array_equal(loaded, np.arange(3))


class Reference:
    """Pickles as ``getattr(owner, name)``."""

    def __init__(self, owner, name):
        self.call = (getattr, (owner, name))

    def __reduce__(self):
        return self.call


@needs_weights_only
@pytest.mark.parametrize(
    ('owner', 'name'),
    [(np.ndarray, 'tofile'), (HistoryBuffer, '__init__')],
)
def test_getattr_serves_statistics_only(safe_globals, owner, name):
    compat.allow_checkpoint_globals()
    file = save(Reference(owner, name))
    with pytest.raises(ValueError, match=f'refers to .*{name}'):
        torch.load(file, weights_only=True)


@needs_weights_only
@pytest.mark.parametrize(
    ('call', 'patches'),
    [
        ('torch.load(file)', True),
        ('torch.load(file, weights_only=False)', False),
    ],
)
def test_only_an_old_mmengine_is_patched(
    safe_globals, monkeypatch, tmp_path, call, patches
):
    loader = tmp_path / 'runner' / 'checkpoint.py'
    loader.parent.mkdir()
    loader.write_text(call)
    spec = ModuleSpec('mmengine', None, origin=str(tmp_path / '__init__.py'))
    monkeypatch.setattr(compat, 'find_spec', lambda name: spec)
    compat.patch_checkpoint_loading()
    assert bool(torch.serialization.get_safe_globals()) == patches


@pytest.mark.parametrize('missing', ['torch', 'mmengine', 'mmcv', 'mmdet'])
def test_missing_package_is_named(monkeypatch, missing):
    real = compat.find_spec

    def find_spec(name):
        return None if name == missing else real(name)

    monkeypatch.setattr(compat, 'find_spec', find_spec)
    with pytest.raises(ImportError, match=f'needs {missing},') as error:
        compat.check_stack()
    assert 'onedl-mmdetection' in str(error.value)
    assert 'mmdet==' in str(error.value)


def test_folder_of_that_name_is_no_package(monkeypatch):
    namespace = ModuleSpec('torch', None, is_package=True)
    monkeypatch.setattr(compat, 'find_spec', lambda name: namespace)
    with pytest.raises(ImportError, match='needs torch,'):
        compat.check_stack()


def test_mmcv_without_operators(monkeypatch, tmp_path):
    spec = ModuleSpec('mmcv', None, origin=str(tmp_path / '__init__.py'))
    monkeypatch.setattr(compat, 'find_spec', lambda name: spec)
    with pytest.raises(ImportError, match='lacks its compiled operators'):
        compat.check_stack()


@pytest.mark.parametrize('overwritten', [True, False])
def test_two_distributions_of_one_package(
    monkeypatch, tmp_path, recwarn, overwritten
):
    def install(name, version, site):
        folder = tmp_path / site / f'{name}-{version}.dist-info'
        folder.mkdir(parents=True)
        (folder / 'METADATA').write_text(f'Name: {name}\nVersion: {version}\n')

    install('mmdet', '3.3.0', 'first')
    install('onedl_mmdetection', '3.5.1', 'first' if overwritten else 'last')
    (tmp_path / 'first/mmcv').mkdir()
    (tmp_path / 'first/mmcv/_ext.py').touch()
    for site in ('first', 'last'):
        monkeypatch.syspath_prepend(tmp_path / site)

    def find_spec(name):
        origin = tmp_path / 'first' / name / '__init__.py'
        return ModuleSpec(name, None, origin=str(origin))

    monkeypatch.setattr(compat, 'find_spec', find_spec)
    compat.check_stack()
    expected = [
        'mmdet 3.3.0 and onedl-mmdetection 3.5.1 are both installed, but '
        'they overwrite each other. Run "pip uninstall mmdet '
        'onedl-mmdetection", then install one.'
    ]
    found = [str(w.message) for w in recwarn]
    assert found == (expected if overwritten else [])


def test_installed_stack_passes():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        compat.check_stack()


@pytest.fixture
def process_group(monkeypatch):
    """The environment that torchrun gives a run of one process."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for name, value in {
        'RANK': 0,
        'WORLD_SIZE': 1,
        'LOCAL_RANK': 0,
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': port,
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    yield
    compat.close_processes()
    assert not torch.distributed.is_initialized()


def test_cpu_processes_use_gloo(process_group, caplog):
    cfg = Config(
        {
            'launcher': 'pytorch',
            'env_cfg': {'dist_cfg': {'backend': 'nccl'}},
            'model_wrapper_cfg': {'find_unused_parameters': True},
        }
    )
    compat.prepare_cpu_processes(cfg)
    assert torch.distributed.get_backend() == 'gloo'
    assert 'gloo, not nccl' in caplog.text
    assert cfg.model_wrapper_cfg == {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': True,
        'device_ids': None,
    }


@pytest.mark.parametrize(
    ('launcher', 'gpu'), [('none', False), ('slurm', False), ('pytorch', True)]
)
def test_other_launches_are_left_alone(monkeypatch, launcher, gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    cfg = Config({'launcher': launcher})
    compat.prepare_cpu_processes(cfg)
    assert 'model_wrapper_cfg' not in cfg
    assert not torch.distributed.is_initialized()
