"""Fixtures and settings for all tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before NumPy and PyTorch start their thread pools, also in sub-processes:
# the tensors of the tests are too small to share among threads.
os.environ.setdefault('OMP_NUM_THREADS', '1')
# Nothing is remembered from test to test.
os.environ['MMXDISTILL_CACHE'] = ''

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

# Helpers beside this file are imported by name.
sys.path.insert(0, str(Path(__file__).parent))

torch.set_num_threads(1)
cv2.setNumThreads(0)

# A shell starts background commands with Ctrl-C ignored, and tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--only-gpu-skips',
        action='store_true',
        help='fail if a test is skipped for another reason than that there '
        'is no GPU',
    )


def pytest_terminal_summary(
    terminalreporter: Any, config: pytest.Config
) -> None:
    if not config.getoption('only_gpu_skips'):
        return
    skipped = terminalreporter.stats.get('skipped', [])
    others = [r for r in skipped if 'GPU' not in str(r.longrepr)]
    if others:
        terminalreporter.section('skipped, but not for lack of a GPU')
        for report in others:
            terminalreporter.line(f'{report.nodeid}: {report.longrepr[2]}')


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin('terminalreporter')
    if not session.config.getoption('only_gpu_skips') or reporter is None:
        return
    skipped = reporter.stats.get('skipped', [])
    if any('GPU' not in str(report.longrepr) for report in skipped):
        session.exitstatus = exitstatus or pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the real data; skips the test where there is none."""
    folder = os.environ.get('MMXDISTILL_DATA')
    if not folder:
        pytest.skip('MMXDISTILL_DATA names no folder with real data')
    if not Path(folder).is_dir():
        pytest.fail(f'MMXDISTILL_DATA={folder} is not a folder')
    return Path(folder)


Golden = tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]


@pytest.fixture(scope='session')
def caffe_golden(data_root: Path) -> Callable[[str], Golden]:
    """Reader of the numbers that Caffe made.

    ``meta, groups = caffe_golden('layer_lrn')``: the settings (``meta_json``)
    and, for each array ``group/name``, ``groups['group']['name']`` (the group
    of an array without one is '').
    """

    def read(name: str) -> Golden:
        file = data_root / 'caffe_golden' / f'{name}.npz'
        groups: dict[str, dict[str, np.ndarray]] = {}
        meta: dict[str, Any] = {}
        with np.load(file, allow_pickle=False) as arrays:
            for key, array in arrays.items():
                group, slash, rest = key.partition('/')
                if key == 'meta_json':
                    meta = json.loads(str(array))
                elif slash:
                    groups.setdefault(group, {})[rest] = array
                else:
                    groups.setdefault('', {})[key] = array
        return meta, groups

    return read


@pytest.fixture(scope='session', autouse=True)
def quiet_logging() -> None:
    """Keep mmengine's registry and runner messages out of the reports."""
    MMLogger.get_current_instance().setLevel('ERROR')


@pytest.fixture(scope='session', autouse=True)
def default_scope() -> None:
    """Resolve bare names as every config does."""
    DefaultScope.get_instance('tests', scope_name='mmdet')


@pytest.fixture(scope='session')
def installed(tmp_path_factory):
    """A copy of this checkout, and where a wheel of it is installed."""
    pytest.importorskip('wheel')
    root = Path(__file__).resolve().parents[1]
    source = tmp_path_factory.mktemp('source')
    ignore = shutil.ignore_patterns('__pycache__')
    for name in ('mmxdistill', 'configs', 'tools'):
        shutil.copytree(root / name, source / name, ignore=ignore)
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md'):
        shutil.copy(root / name, source)
    for name in ('LICENSE', 'model-index.yml'):
        shutil.copy(root / name, source)
    (source / 'configs' / 'late_fusion' / 'probe.py').write_text('x = 1\n')
    folder = tmp_path_factory.mktemp('site')
    build = [sys.executable, 'setup.py', '--quiet', 'bdist_wheel']
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (source / 'dist').glob('*.whl')
    install = [
        *(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps'),
        *('--no-index', '--no-compile', '--target', folder, wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    return source, folder
