r"""Measure how time and memory grow, write a table and a plot.

Each point runs in a process of its own, forked when everything is imported:
CPU time of a call (the fastest of a few, after one to warm up), and how far
the memory of the process rose meanwhile. Checks of pairs are timed once, with
their worker processes, by the wall clock.

    python tools/benchmarks/cost_growth.py docs/results/cost_growth.md
    python tools/benchmarks/cost_growth.py --small cost_growth.md

The plot is beside the table, an SVG file of the same name.
"""

import argparse
import copy
import multiprocessing
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before NumPy is imported

import cv2
import fused_inference
import numpy as np
import torch
import transfer_step
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmxdistill import config_path
from mmxdistill.atomic import atomic_write
from mmxdistill.datasets import checks
from mmxdistill.encodings import encode_hha
from mmxdistill.registry import DATASETS, MODELS
from mmxdistill.synthetic import render_scene

DETECTOR = 'fast_rcnn/fast_rcnn_caffenet-s_hha_random_300_synthetic.py'
Call = Callable[[], object]


class Curve(NamedTuple):
    """How a cost is measured.

    Attributes:
        name: What costs.
        grows_with: What the values are.
        prepare: Makes the call to measure of a value.
        values: To measure at.
        small: Values of a test.
        turns: Calls; the fastest counts. 0: one, by the wall clock.
    """

    name: str
    grows_with: str
    prepare: Callable[[int], Call]
    values: Sequence[int]
    small: Sequence[int]
    turns: int = 3


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('table', type=Path, help='Markdown file to write')
    parser.add_argument('--small', action='store_true', help='a few seconds')
    return parser.parse_args()


def transfer(side: int) -> Call:
    """A step of CaffeNet -> CaffeNet on two images."""
    model = transfer_step.build_model('caffenet-caffenet', 'cpu')
    options = argparse.Namespace(size=(side, side), batch=2)
    _, inputs, samples = transfer_step.prepare(model, options)
    autocast = torch.autocast('cpu', torch.bfloat16, enabled=False)
    return transfer_step.model_step(model, inputs, samples, autocast)


def detector(proposals: int) -> Call:
    """A training step of Fast R-CNN on two images of 224x160."""
    model = MODELS.build(Config.fromfile(config_path(DETECTOR)).model)
    optimizer = transfer_step.sgd(model.parameters())
    samples = []
    for _ in range(2):
        sample = fused_inference.make_sample(160, 224, proposals, 'cpu')
        sample.proposals.scores = torch.ones(proposals)
        sample.proposals.set_metainfo(dict(scale_factor=(1.0, 1.0)))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[20.0, 20, 90, 100], [100, 30, 200, 140]]),
            labels=torch.tensor([0, 1]),
        )
        samples.append(sample)
    inputs = torch.randn(2, 3, 160, 224)

    def step() -> None:
        losses = model.loss(inputs, copy.deepcopy(samples))
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def fusion(streams: int) -> Call:
    """Inference of K fused YOLOX-s on 96x96 pixels."""
    model = fused_inference.build('yolox', streams, 'cpu')
    sample = fused_inference.make_sample(96, 96, 1, 'cpu')
    x = torch.randn(1, 3 * streams, 96, 96)

    def predict() -> None:
        with torch.no_grad():
            model.predict(x, [copy.copy(sample)])

    return predict


def hha(width: int) -> Call:
    """HHA of a generated room, 4:3."""
    frame = render_scene(0, (width, width * 3 // 4), 1)
    return lambda: encode_hha(frame.depth, frame.camera)


def pairs_of(number: int) -> Any:
    """A data set of pairs of 96x72 pixels, hard links of one."""
    folder = Path(tempfile.mkdtemp())
    image = np.random.default_rng(0).integers(0, 256, (72, 96, 3), np.uint8)
    for name in 'ab':
        (folder / name).mkdir()
        cv2.imwrite(str(folder / f'{name}.png'), image)
        for index in range(number):
            os.link(folder / f'{name}.png', folder / name / f'{index}.png')
    load = [dict(type='LoadImageFromFile')]
    return DATASETS.build(
        dict(
            type='mmxdistill.PairedDataset',
            data_root=str(folder),
            modalities={
                n: dict(path=n + '/{stem}.png', pipeline=load) for n in 'ab'
            },
            check_pairs=False,
        )
    )


def pair_check(pairs: int, jobs: int = 1) -> Call:
    """The first check of pairs."""
    dataset = pairs_of(pairs)
    checks.available_cpus = lambda: jobs
    return lambda: checks.check_samples(dataset)


def parallel(pairs: int) -> Call:
    """The same with two processes."""
    return pair_check(pairs, 2)


def remembered(pairs: int) -> Call:
    """The check at the next start."""
    os.environ['MMXDISTILL_CACHE'] = tempfile.mkdtemp()
    check = pair_check(pairs)
    check()
    return check


PAIRS = (500, 2000, 8000)
CURVES = [
    Curve(
        'transfer step', 'side of the image', transfer, (64, 128, 256), (64,)
    ),
    Curve('detector step', 'proposals', detector, (64, 256, 1024), (8, 32)),
    Curve('fused inference', 'streams', fusion, (2, 3, 4), (2,)),
    Curve('HHA', 'width of the image', hha, (160, 320, 640), (64, 96)),
    Curve('pair check, 1 process', 'pairs', pair_check, PAIRS, (3, 5), 0),
    Curve('pair check, 2 processes', 'pairs', parallel, PAIRS, (3,), 0),
    Curve('pair check, next start', 'pairs', remembered, PAIRS, (3,), 0),
]


def memory() -> float:
    """Most memory so far, MB, of this process or a worker."""
    kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1e3


def measure(curve: Curve, value: int, answers: Any) -> None:
    """Run in a process of its own: milliseconds and MB."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    call = curve.prepare(value)
    before = memory()
    clock = time.process_time if curve.turns else time.perf_counter
    if curve.turns:
        call()
    spent = []
    for _ in range(max(curve.turns, 1)):
        start = clock()
        call()
        spent.append(clock() - start)
    answers.put((1e3 * min(spent), memory() - before))


def points(small: bool) -> list[tuple[Curve, int, float, float]]:
    """Measure all curves."""
    found = []
    context = multiprocessing.get_context('fork')
    for curve in CURVES:
        for value in curve.small if small else curve.values:
            answers = context.SimpleQueue()
            child = context.Process(
                target=measure, args=(curve, value, answers)
            )
            child.start()
            child.join()
            if child.exitcode:
                raise RuntimeError(f'{curve.name} at {value} failed')
            found.append((curve, value, *answers.get()))
            print(curve.name, *found[-1][1:], flush=True)
    return found


def write(table: Path, found: list[tuple[Curve, int, float, float]]) -> None:
    """Write the table and the plot."""
    from matplotlib.figure import Figure

    commit = subprocess.run(
        ['git', '-C', str(ROOT), 'rev-parse', '--short', 'HEAD'],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    lines = [
        '# How costs grow',
        '',
        'What takes longer, and by how much, when images, proposals, streams',
        'or pairs grow; measured by',
        '',
        '```bash',
        'python tools/benchmarks/cost_growth.py docs/results/cost_growth.md',
        '```',
        '',
        f'Commit {commit or "unknown"}, {os.cpu_count()} cores '
        f'({platform.machine()}), PyTorch {torch.__version__}, one thread.',
        'CPU time of a call and rise of the memory meanwhile; checks of pairs',
        'by the wall clock.',
        '',
        f'![Time of each part]({table.stem}.svg)',
        '',
        '| what | grows with | value | ms | MB |',
        '| --- | --- | --- | --- | --- |',
    ]
    lines += [
        f'| {curve.name} | {curve.grows_with} | {value} '
        f'| {ms:.1f} | {mb:.0f} |'
        for curve, value, ms, mb in found
    ]
    figure = Figure(figsize=(8, 4.2), layout='constrained')
    grid = figure.subplots(2, -(-len(CURVES) // 2), squeeze=False)
    for axes, curve in zip_longest(grid.flat, CURVES):
        if curve is None:
            axes.axis('off')
            continue
        rows = np.array([row[1:3] for row in found if row[0] is curve])
        axes.plot(rows[:, 0], rows[:, 1], 'o-', markersize=4)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=8)
        axes.set_title(curve.name, fontsize=9)
        axes.set_xlabel(curve.grows_with, fontsize=9)
    figure.supylabel('ms', fontsize=9)
    with atomic_write(table.with_suffix('.svg')) as file:
        figure.savefig(file, format='svg', metadata=dict(Date=None))
    with atomic_write(table) as file:
        file.write(('\n'.join(lines) + '\n').encode())


def main() -> None:
    """Measure and write."""
    args = parse_args()
    init_default_scope('mmdet')
    os.environ['MMXDISTILL_CACHE'] = ''
    with tempfile.TemporaryDirectory() as name:
        tempfile.tempdir = name
        write(args.table, points(args.small))


if __name__ == '__main__':
    main()
