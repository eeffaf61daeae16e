"""The benchmark scripts run and print tables of finite ratios."""

import importlib
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from warm_python import warm_python

BENCHMARKS = Path(__file__).resolve().parents[2] / 'tools' / 'benchmarks'
# Script -> argument lists that make it short.
RUNS = {
    'data_path': [
        '--pairs 1 --rounds 1 --room 64 48 --scale 40 --proposals 9',
    ],
    'flow': [
        '--size 40 56 --seconds 0.001 --methods dis farneback',
    ],
    'fused_inference': [
        '--detectors faster_rcnn yolox --size 64 64 --proposals 5 --rounds 1',
    ],
    'hha': [
        '--size 40 56 --batch 2 --rounds 1',
    ],
    'many_pairs': [
        '--pairs 5 --files 2 --size 64 48 --samples 60 --shards 3',
    ],
    'optimizer_step': [
        '--net caffenet --divide 64 --rounds 1',
        '--net vgg16 --divide 64 --rounds 2 --steps 2',
    ],
    'roi_pool': [
        '--rois 3 --channels 2 --map 8 9 --seconds 0.001',
    ],
    'teacher_cache': [
        '--pair caffenet-caffenet --size 60 64 --batch 1 --batches 2 '
        '--rounds 2 --dtypes int8',
    ],
    'transfer_step': [
        '--size 60 64 --batch 1 --rounds 1',
        '--pairs squeezenet-squeezenet --dtype bf16 --size 60 64 --rounds 2',
        '--pairs vgg16-caffenet --size 64 30 --batch 1 --rounds 1',
    ],
}


def ratios(output: str) -> list[float]:
    """Numbers right-aligned below each column headed 'x'."""
    ends: list[int] = []
    found = []
    for line in output.splitlines():
        heads = [match.end() for match in re.finditer(r'(?<=\s)x\b', line)]
        if heads and not re.search(r'\d x \d', line):
            ends = heads
        elif not line.strip():
            ends = []
        elif 'OneDL' in line:  # the maintained mmdet says this when imported
            continue
        elif ends:
            found += [float(line[:end].split()[-1]) for end in ends]
    return found


def test_every_benchmark_is_run() -> None:
    others = {'cost_growth', 'gpu_parts'}  # see below
    assert {*RUNS, *others} == {path.stem for path in BENCHMARKS.glob('*.py')}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('script', 'arguments'),
    [(script, run) for script, runs in RUNS.items() for run in runs],
)
def test_prints_finite_ratios(script: str, arguments: str) -> None:
    result = subprocess.run(
        [
            sys.executable if script == 'hha' else warm_python(),
            str(BENCHMARKS / f'{script}.py'),
            *arguments.split(),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = ratios(result.stdout)
    assert len(found) > 1, result.stdout
    assert all(math.isfinite(ratio) for ratio in found), result.stdout


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_gpu_report_goes_on_after_parts_that_fail(tmp_path):
    report = tmp_path / 'report.md'
    result = subprocess.run(
        ['bash', str(BENCHMARKS / 'gpu_report.sh'), '--small', str(report)],
        env={**os.environ, 'PYTHON': 'false'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stdout == report.read_text()
    for part in ('parity', 'transfer', 'hha', 'loader', 'run'):
        assert re.search(
            rf'^\| {part} \| whole part, \d+ s \| failed \(1\)',
            result.stdout,
            re.M,
        )


def test_gpu_parts(script):
    parts = script('gpu_parts')
    rows = list(parts.hha(True))
    assert all('ms/frame' in measured for _, measured, _ in rows)
    for case in parts.SMALL_CASES:
        measured, share = parts.step('caffenet-caffenet', case, True)
        assert 'images/s' in measured
        assert bool(share) == (parts.DEVICE == 'cuda')
    row = parts.guarded('case', lambda: 1 / 0)
    assert row[0] == 'case' and row[1].startswith('failed: ')


@pytest.mark.slow
@pytest.mark.parametrize('part', ['loader', 'run'])
def test_gpu_parts_of_whole_tools(script, part, monkeypatch):
    monkeypatch.setattr(sys, 'executable', warm_python())
    rows = list(script('gpu_parts').PARTS[part](True))
    assert rows and not any('failed' in row[1] for row in rows), rows


def test_cost_growth_writes_a_table_and_a_plot(script, tmp_path, monkeypatch):
    growth = script('cost_growth')
    # What was imported must not be forked into a test.
    curves = [c for c in growth.CURVES if c.name == 'HHA']
    monkeypatch.setattr(growth, 'CURVES', curves)
    table = tmp_path / 'growth.md'
    growth.write(table, growth.points(small=True))
    text = table.read_text()
    assert re.findall(r'\| HHA \| width of the image \| (\d+) ', text) == [
        '64',
        '96',
    ]
    assert '(growth.svg)' in text
    assert '<svg' in (tmp_path / 'growth.svg').read_text()


@pytest.mark.parametrize('name', ['transfer', 'detector', 'fusion'])
def test_cost_growth_of_a_step(script, name, monkeypatch):
    growth = script('cost_growth')
    getattr(growth, name)(dict(transfer=64, detector=8, fusion=2)[name])()


def test_cost_growth_of_checks(script, tmp_path, monkeypatch):
    growth = script('cost_growth')
    monkeypatch.setattr(growth.tempfile, 'tempdir', str(tmp_path))
    monkeypatch.setattr(growth.checks, 'available_cpus', None)
    monkeypatch.setenv('MMXDISTILL_CACHE', '')
    growth.parallel(3)()
    growth.remembered(3)()
