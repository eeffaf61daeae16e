"""Reads what mmengine's tests left, and says how it was made."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path

__all__ = [
    'Metrics',
    'explained_variance',
    'mean_of_known',
    'outcome',
    'provenance',
    'read_metrics',
    'read_precision',
]

_TEST_LOG = '*/*.json'  # <work dir>/<time>/<time>.json

Metrics = dict[str, float]


def read_metrics(work_dir: Path) -> Metrics:
    """Read the numbers of the newest test in a work dir.

    Args:
        work_dir (Path): ``--work-dir`` of ``tools/test.py``.

    Returns:
        dict[str, float]: As the evaluators name them.

    Raises:
        FileNotFoundError: There is no test in this folder.
    """
    # The names are times.
    logs = sorted(work_dir.glob(_TEST_LOG))
    if not logs:
        raise FileNotFoundError(
            f'{work_dir} has no {_TEST_LOG}: nothing was tested there'
        )
    return json.loads(logs[-1].read_text())


def read_precision(metrics: Metrics) -> Metrics:
    """Pick AP in per cent: per class, then the mean.

    Args:
        metrics (dict[str, float]): With those of ``mmxdistill.VOCAP``.

    Returns:
        dict[str, float]: Class or ``'mAP'`` -> AP.
    """
    found = {
        key.removeprefix('voc/').removeprefix('AP_'): 100 * value
        for key, value in metrics.items()
        if key.startswith('voc/')
    }
    mean = found.pop('mAP')
    return {**found, 'mAP': mean}


def mean_of_known(values: Iterable[float]) -> float:
    """Mean of the values that are not NaN; NaN if none is known."""
    known = [value for value in values if not math.isnan(value)]
    return statistics.mean(known) if known else math.nan


def explained_variance(metrics: Metrics) -> float:
    """Pick the explained variance of the first transfer point."""
    return next(v for k, v in metrics.items() if 'explained_variance' in k)


def outcome(work_dir: Path) -> str:
    """Tell the main number of a test; empty if nothing was tested."""
    try:
        metrics = read_metrics(work_dir)
    except FileNotFoundError:
        return ''
    if 'voc/mAP' in metrics:
        return f': mAP {100 * metrics["voc/mAP"]:.1f} %'
    if any('explained_variance' in key for key in metrics):
        return f': explained variance {explained_variance(metrics):.3f}'
    return ''


def provenance() -> str:
    """Say with what the numbers were made: day, commit and machine."""
    folder = str(Path(__file__).parent)
    git = ['git', '-C', folder, 'describe', '--always', '--dirty']
    try:
        found = subprocess.run(
            git, capture_output=True, text=True, check=False
        ).stdout.strip()
    except FileNotFoundError:  # no git
        found = ''
    cpu = platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file() and (
        model := re.search(r'model name\s*: (.*)', info.read_text())
    ):
        cpu = model[1]
    return (
        f'{date.today()}, commit {found or "unknown"}, '
        f'PyTorch {version("torch")}, {os.cpu_count()} cores of {cpu}'
    )
