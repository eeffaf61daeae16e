r"""Measure one part of gpu_report.sh; print rows of a Markdown table.

    python tools/benchmarks/gpu_parts.py transfer
    python tools/benchmarks/gpu_parts.py --small run

A case that fails is a row that says why, and the next one is measured.
Columns: part, case, what was measured, share of the bound (see
transfer_step.py) of an H200.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.registry import init_default_scope
from transfer_step import build_model, h200_bound, model_step, prepare

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmxdistill.encodings.batch import HHAEncoder
from mmxdistill.encodings.camera import PinholeCamera
from mmxdistill.parallel import describe_error
from mmxdistill.registry import DATASETS
from mmxdistill.synthetic import write_dataset

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
PAIRS = ('caffenet-caffenet', 'vgg16-caffenet', 'vgg16-vgg16')
CONFIG = (
    'supervision_transfer/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
)
# Images of a batch, type, memory format and how the teacher is compiled.
CASES = [
    (2, 'fp32', False, None),
    (2, 'bf16', False, None),
    (8, 'bf16', False, None),
    (32, 'bf16', False, None),
    (32, 'bf16', True, None),
    (32, 'bf16', True, 'default'),
    (2, 'bf16', True, 'reduce-overhead'),  # CUDA graphs
]
SMALL_CASES = [
    (1, 'fp32', False, None),
    (2, 'bf16', True, None),
    (1, 'fp32', False, 'eager'),
]
Row = tuple[str, str, str]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('part', choices=list(PARTS))
    parser.add_argument(
        '--small', action='store_true', help='sizes that a CPU can do'
    )
    return parser.parse_args()


def seconds(call: Callable[[], object], turns: int) -> float:
    """Median time of a call, after two to warm up."""
    found = []
    for turn in range(turns + 2):
        start = time.perf_counter()
        call()
        if DEVICE == 'cuda':
            torch.cuda.synchronize()
        if turn > 1:
            found.append(time.perf_counter() - start)
    return float(np.median(found))


def transfer(small: bool) -> Iterator[Row]:
    """Throughput of the paper's three transfers."""
    for pair in PAIRS:
        for case in SMALL_CASES if small else CASES:
            batch, dtype, channels_last, compiled = case
            name = f'{pair}, {batch} images, {dtype}'
            name += ', channels last' if channels_last else ''
            name += f', teacher compiled ({compiled})' if compiled else ''
            yield guarded(name, lambda p=pair, c=case: step(p, c, small))


def step(pair: str, case: tuple, small: bool) -> tuple[str, str]:
    """Time a transfer step."""
    batch, dtype, channels_last, compiled = case
    size = (64, 64) if small else (704, 928)
    torch.manual_seed(0)
    model = build_model(pair, DEVICE)
    options = argparse.Namespace(size=size, batch=batch)
    _, inputs, samples = prepare(model, options)
    bound = h200_bound(model, inputs, dtype)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    autocast = torch.autocast(DEVICE, torch.bfloat16, enabled=dtype == 'bf16')
    if compiled == 'eager':  # the way there, without a compiler
        model.teacher.compile(backend='eager')
    elif compiled:
        model.teacher.compile(mode=compiled)
    run = model_step(model, inputs, samples, autocast)
    spent = seconds(run, 3 if small else 15)
    share = f'{bound / spent:.1%}' if DEVICE == 'cuda' else ''
    return f'{batch / spent:.2f} images/s', share


def hha(small: bool) -> Iterator[Row]:
    """HHA per frame in batches."""
    height, width = (48, 64) if small else (480, 640)
    encoder = HHAEncoder().to(DEVICE)
    camera = PinholeCamera(width, width, width / 2, height / 2)
    generator = torch.Generator().manual_seed(0)
    for batch in (1, 2) if small else (1, 8, 32):
        depth = torch.randint(
            800, 6000, (batch, height, width), generator=generator
        ).to(DEVICE)

        def encode(frames: torch.Tensor = depth) -> tuple[str, str]:
            cameras = [camera] * len(frames)
            spent = seconds(lambda: encoder(frames, None, cameras), 5)
            return f'{1e3 * spent / len(frames):.2f} ms/frame', ''

        yield guarded(f'{batch} frames of {width}x{height}', encode)


def write_rooms(folder: Path, small: bool, pairs: int) -> None:
    """Write generated rooms where the configs look for them."""
    write_dataset(
        folder / 'data/synthetic_rgbd',
        dict(rgb=1, pairs=pairs, train=1, test=2),
        image_size=(96, 64) if small else (640, 480),
        processes=os.cpu_count() or 1,
    )


def loader(small: bool) -> Iterator[Row]:
    """Pairs per second of the loader, before and without the resizing."""
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate

    from mmxdistill import config_path

    with tempfile.TemporaryDirectory() as name:
        write_rooms(Path(name), small, 4 if small else 64)
        for on_device in (False, True):
            data = Config.fromfile(config_path(CONFIG)).train_dataloader
            data.dataset.check_pairs = False
            root = Path(name) / data.dataset.data_root
            data.dataset.data_root = str(root)
            resize = data.dataset.pipeline[1]
            resize.update(scale=64 if small else 688, max_size=2000)
            resize.on_device = on_device
            encode = data.dataset.modalities.hha.pipeline[-1]
            encode.update(
                on_device=on_device, camera=str(root / 'camera.json')
            )
            dataset = DATASETS.build(data.dataset)
            workers = (0, 1) if small else (1, 4, os.cpu_count() or 1)
            for count in workers:

                def load(n: int = count, d: Any = dataset) -> tuple[str, str]:
                    repeat = 1 if small else 8
                    batches = torch.utils.data.DataLoader(
                        torch.utils.data.ConcatDataset([d] * repeat),
                        batch_size=4,
                        num_workers=n,
                        collate_fn=pseudo_collate,
                    )
                    start = time.perf_counter()
                    total = sum(len(batch['inputs']) for batch in batches)
                    rate = total / (time.perf_counter() - start)
                    return f'{rate:.1f} pairs/s', ''

                where = 'on the device' if on_device else 'in the loader'
                yield guarded(
                    f'{count} workers, HHA and resizing {where}', load
                )


def run(small: bool) -> Iterator[Row]:
    """A training run by the tool that users start."""
    iterations = 2 if small else 1000
    options = [
        'model.teacher_checkpoint=None',
        f'train_cfg.max_iters={iterations}',
        f'train_cfg.val_interval={iterations}',
        'default_hooks.logger.interval=1' if small else 'resume=False',
        f'train_dataloader.num_workers={1 if small else 8}',
        'custom_hooks.1.num_images=4',
    ]

    def train() -> tuple[str, str]:
        with tempfile.TemporaryDirectory() as name:
            write_rooms(Path(name), small, 4 if small else 100)
            start = time.perf_counter()
            result = subprocess.run(
                [
                    sys.executable,
                    str(ROOT / 'tools/train.py'),
                    CONFIG,
                    '--cfg-options',
                    *options,
                ],
                cwd=name,
                capture_output=True,
                text=True,
                check=False,
            )
            spent = time.perf_counter() - start
        print(result.stdout[-3000:], result.stderr[-3000:], file=sys.stderr)
        if result.returncode:
            raise RuntimeError(f'train.py ended with {result.returncode}')
        return f'{spent:.0f} s with start and validation', ''

    yield guarded(f'{iterations} iterations of {Path(CONFIG).stem}', train)


def guarded(name: str, call: Callable[[], tuple[str, str]]) -> Row:
    """A row, also of a case that fails."""
    try:
        return (name, *call())
    except Exception as error:  # whatever: the others are measured, too
        return name, f'failed: {describe_error(error)[:200]}', ''


PARTS = dict(transfer=transfer, hha=hha, loader=loader, run=run)


def main() -> None:
    """Measure and print."""
    args = parse_args()
    init_default_scope('mmdet')
    torch.backends.cudnn.benchmark = True
    failed = False
    for row in PARTS[args.part](args.small):
        cells = [cell.replace('|', '/').replace('\n', ' ') for cell in row]
        print(f'| {args.part} | ' + ' | '.join(cells) + ' |', flush=True)
        failed |= row[1].startswith('failed')
    sys.exit(failed)


if __name__ == '__main__':
    main()
