r"""Time a transfer step with the teacher's features from a cache, in one run.

Equal copies of a transfer train on the same tensors: one runs its teacher,
one reads the features from a folder (made before, memory-mapped, in the cache
of the operating system), one has them in memory already: a step of the student
alone. The loops take turns; ratios to the student alone are medians over the
rounds. Only the model's step is timed, not loading and normalising images.

    python tools/benchmarks/teacher_cache.py
    python tools/benchmarks/teacher_cache.py --size 688 904 --dtypes float16
"""

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.optim import OptimWrapper
from torch import Tensor
from transfer_step import PAIRS, build_model, prepare, sgd

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.models.detectors.teacher_cache import Taught, build_cache
from mmxdistill.models.features.records import DTYPES

Batch = tuple[Tensor, list[DetDataSample]]
Step = Callable[[int], Tensor]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--pair', choices=list(PAIRS), default='vgg16-caffenet'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[224, 288],
        metavar=('H', 'W'),
        help='of the images, which are padded to multiples of 32',
    )
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument(
        '--batches', type=int, default=4, help='that take turns'
    )
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=list(DTYPES),
        default=['float16', 'int8'],
    )
    parser.add_argument('--rounds', type=int, default=12)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def make_batches(
    model: Any, folder: Path, args: argparse.Namespace
) -> list[Batch]:
    """Batches of noise; each image has a file that stands for it."""
    batches = []
    for number in range(args.batches):
        _, inputs, samples = prepare(model, args)
        for place, sample in enumerate(samples):
            path = folder / f'{number}-{place}.png'
            path.touch()
            sample.set_metainfo(
                dict(
                    img_path=str(path),
                    ori_shape=tuple(args.size),
                    img_shape=tuple(args.size),
                    scale_factor=(1.0, 1.0),
                    flip=False,
                    flip_direction=None,
                )
            )
        batches.append((inputs, samples))
    return batches


def step_of(model: Any, batches: list[Batch]) -> Step:
    """One iteration as in mmengine, after the data preprocessor."""
    wrapper = OptimWrapper(sgd(model.parameters()))

    def step(number: int) -> Tensor:
        inputs, samples = batches[number]
        with wrapper.optim_context(model):
            losses = model(inputs, samples, mode='loss')
        loss, log_vars = model.parse_losses(losses)
        wrapper.update_params(loss)
        return log_vars['loss']

    return step


def with_cache(
    model: Any,
    known: dict[int, Taught],
    folder: Path,
    dtype: str,
    batches: list[Batch],
) -> Any:
    """A copy that has all features in a folder."""
    model = copy.deepcopy(model)
    settings = dict(path=str(folder / dtype), dtype=dtype)
    reads = dict(teacher='rgb', student='hha')
    cache = build_cache(model, settings, reads)
    cache.open(model, ['benchmark'])
    for inputs, samples in batches:
        taught = known[inputs.data_ptr()]
        cache.features(lambda *_, taught=taught: taught, inputs, samples)
    cache.flush()
    print(
        f'{dtype}: {cache.store.size() / len(cache.store) / 1e6:.3f} MB an '
        'image'
    )
    model.teacher_cache = cache
    return model


def without_teacher(model: Any, known: dict[int, Taught]) -> Any:
    """A copy that gets the features for nothing."""
    model = copy.deepcopy(model)
    model.teach = lambda inputs, samples, rois=None: known[inputs.data_ptr()]
    return model


def run(step: Step, number: int, device: str) -> tuple[float, float]:
    """Seconds of a step, wall-clock and of CPU time of this process."""
    cuda = torch.device(device).type == 'cuda'
    if cuda:
        torch.cuda.synchronize(device)
    wall, cpu = time.perf_counter(), time.process_time()
    step(number)
    if cuda:
        torch.cuda.synchronize(device)
    return time.perf_counter() - wall, time.process_time() - cpu


def report(costs: dict[str, list[tuple[float, float]]]) -> None:
    """Print medians, and ratios to the student alone (x)."""
    alone = np.array(costs['student alone'])
    print(f'{"":26s}       ms       x   CPU ms       x  (quartiles)')
    for name, rows in costs.items():
        wall, cpu = np.median(rows, axis=0) * 1000
        ratios = np.array(rows) / alone
        low, ratio, high = np.quantile(ratios[:, 1], (0.25, 0.5, 0.75))
        print(
            f'{name:26s}{wall:9.2f}{np.median(ratios[:, 0]):8.3f}'
            f'{cpu:9.2f}{ratio:8.3f}  ({low:.3f}, {high:.3f})'
        )


def main() -> None:
    """Let all loops take turns and print a table."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    model = build_model(args.pair, args.device)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batches = make_batches(model, folder, args)
        h, w = batches[0][0].shape[2:]
        print(
            f'{args.pair} ({PAIRS[args.pair][2]}), {args.batch} images padded '
            f'to {h} x {w}, {args.device}, {args.threads} thread(s), torch '
            f'{torch.__version__}'
        )
        known = {
            inputs.data_ptr(): model.teach(inputs, samples)
            for inputs, samples in batches
        }
        steps = {
            'student alone': step_of(without_teacher(model, known), batches),
            'the same again': step_of(without_teacher(model, known), batches),
            **{
                f'teacher cached, {dtype}': step_of(
                    with_cache(model, known, folder, dtype, batches), batches
                )
                for dtype in args.dtypes
            },
            'teacher run each time': step_of(copy.deepcopy(model), batches),
        }
        losses = [step(0).item() for step in steps.values()]  # warm-up
        if max(losses) > 1.02 * min(losses):
            raise SystemExit(f'they compute different losses: {losses}')
        costs: dict[str, list[tuple[float, float]]] = {n: [] for n in steps}
        for i in range(args.rounds):
            for key in list(steps) if i % 2 else reversed(steps):
                number = i % len(batches)
                costs[key].append(run(steps[key], number, args.device))
        report(costs)


if __name__ == '__main__':
    main()
