"""Fixtures and settings for all tests."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before NumPy and PyTorch start their thread pools, also in sub-processes:
# the tensors of the tests are too small to share among threads.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

torch.set_num_threads(1)
cv2.setNumThreads(0)

# A shell starts background commands with Ctrl-C ignored, and tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
