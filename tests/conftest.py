"""Fixtures and settings for all tests."""

import os
from pathlib import Path

# Before NumPy and PyTorch start their thread pools, also in sub-processes:
# the tensors of the tests are too small to share among threads.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

torch.set_num_threads(1)
cv2.setNumThreads(0)


@pytest.fixture(scope='session')
def data_root() -> Path:
    """Folder of the real data; skips the test where there is none."""
    folder = os.environ.get('MMXDISTILL_DATA')
    if not folder:
        pytest.skip('MMXDISTILL_DATA names no folder with real data')
    if not Path(folder).is_dir():
        pytest.fail(f'MMXDISTILL_DATA={folder} is not a folder')
    return Path(folder)


@pytest.fixture(scope='session', autouse=True)
def quiet_logging() -> None:
    """Keep mmengine's registry and runner messages out of the reports."""
    MMLogger.get_current_instance().setLevel('ERROR')


@pytest.fixture(scope='session', autouse=True)
def default_scope() -> None:
    """Resolve bare names as every config does."""
    DefaultScope.get_instance('tests', scope_name='mmdet')
