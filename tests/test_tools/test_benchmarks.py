"""The benchmark scripts run and print tables of finite ratios."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert set(RUNS) == {path.stem for path in BENCHMARKS.glob('*.py')}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('script', 'arguments'),
    [(script, run) for script, runs in RUNS.items() for run in runs],
)
def test_prints_finite_ratios(script: str, arguments: str) -> None:
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / f'{script}.py'), *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = ratios(result.stdout)
    assert len(found) > 1, result.stdout
    assert all(math.isfinite(ratio) for ratio in found), result.stdout
