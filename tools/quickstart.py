"""Show supervision transfer at work: train, transfer, fuse and compare.

In generated rooms, an RGB detector teaches a network for HHA-encoded depth
on unlabelled pairs. HHA detectors start from its weights, from the RGB
weights and from random ones, and RGB and HHA are fused. Every step is a plain
command, which is printed. Stopped at any moment, it continues when it is
started again; to start anew, delete its folder.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmxdistill').is_dir():
    sys.path.insert(0, str(ROOT))

# Before the stack, so that it can say what the stack lacks.
from mmxdistill import config_path

# isort: split
from mmengine.config import Config
from quickstart_report import (
    DETAILS,
    FILES,
    PREDICTIONS,
    REPORT,
    TEST_LOG,
    is_current,
    outcome,
    write_report,
)
from quickstart_run import Step, run_steps

RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
RANDOM, COPY, ST = (
    f'fast_rcnn/fast_rcnn_caffenet-s_hha_{start}_300_synthetic.py'
    for start in ('random', 'copy', 'st')
)
TRANSFER = (
    'supervision_transfer/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
)
FUSION = 'late_fusion/fusion_caffenet-s_rgb-hha_synthetic.py'

FRAMES = dict(rgb=800, pairs=800, train=50, test=150)
SMOKE_FRAMES = dict(rgb=16, pairs=16, train=8, test=8)
SMOKE_OPTIONS = {
    'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 2,
    'default_hooks.logger.interval': 1,
}


@dataclass(frozen=True)
class Job:
    """A training, or (``test_...``) a test, that is run for every seed.

    Attributes:
        name: Name; ``test_x`` tests the last checkpoint of the training x.
        config: Below ``configs/``.
        seconds: Roughly, on one core.
        shows: What it does and what for.
        checkpoints: Settings of the config -> the training whose last
            checkpoint they are set to.
    """

    name: str
    config: str
    seconds: int
    shows: str
    checkpoints: dict[str, str] = field(default_factory=dict)


# What others wait for comes first, and beside it what is independent.
JOBS = (
    Job(
        'rgb',
        RGB,
        120,
        'Trains Fast R-CNN on the labelled RGB images: the teacher.',
    ),
    Job(
        'random',
        RANDOM,
        55,
        'Trains Fast R-CNN on the few labelled HHA images from random '
        'weights: what HHA gives without help.',
    ),
    Job('test_random', RANDOM, 15, 'Evaluates HHA from random weights.'),
    Job(
        'transfer',
        TRANSFER,
        130,
        'Supervision transfer: an HHA network learns to give the features of '
        'the RGB network, on pairs without labels.',
        {'model.teacher_checkpoint': 'rgb'},
    ),
    Job('test_rgb', RGB, 15, 'Evaluates the RGB detector.'),
    Job(
        'copy',
        COPY,
        50,
        'Trains the HHA detector from a copy of the RGB backbone: the usual '
        'practice without supervision transfer.',
        {'model.backbone.init_cfg.checkpoint': 'rgb'},
    ),
    Job('test_copy', COPY, 15, 'Evaluates HHA from copied RGB weights.'),
    Job(
        'st',
        ST,
        50,
        'Trains the HHA detector from the transferred weights.',
        {'load_from': 'transfer'},
    ),
    Job(
        'test_transfer',
        TRANSFER,
        15,
        "Measures how much of the RGB network's features the HHA network "
        'explains on pairs that it has not seen.',
        {'model.teacher_checkpoint': 'rgb'},
    ),
    Job(
        'test_fusion',
        FUSION,
        20,
        'Averages the outputs of the RGB and the transferred HHA detector and '
        'evaluates both together.',
        {
            'model.streams.rgb.checkpoint': 'rgb',
            'model.streams.hha.checkpoint': 'st',
        },
    ),
    Job('test_st', ST, 15, 'Evaluates HHA from transferred weights.'),
)


def plan(work_dir: Path, seeds: Sequence[int], smoke: bool) -> list[Step]:
    """List the steps, in an order in which they can run."""
    data_root = Path(Config.fromfile(config_path(RGB)).data_root)
    frames = SMOKE_FRAMES if smoke else FRAMES
    sizes = [f'{split}={number}' for split, number in frames.items()]
    generator = 'dataset_converters/make_synthetic_rgbd.py'
    data = Step(
        'data',
        'Generates rooms: labelled RGB images, unlabelled RGB-D pairs, a few '
        'labelled depth images, and test images.',
        tool(generator, data_root, '--num', *sizes),
        data_root,
        work_dir / 'data.log',
        110,
        results=('synthetic.json',),  # written last
        always=True,  # to check that its data are those asked for
    )
    options = SMOKE_OPTIONS if smoke else {}
    return [data] + [
        make_step(job, work_dir, f'seed_{seed}', options)
        for seed in seeds
        for job in JOBS
    ]


def make_step(
    job: Job, work_dir: Path, seed: str, overrides: dict[str, Any]
) -> Step:
    """Build the command of a job for ``'seed_<number>'``."""
    home = work_dir / seed
    folder = home / job.name
    settings: dict[str, Any] = {
        key: home / name / last_checkpoint(name, overrides)
        for key, name in job.checkpoints.items()
    }
    needs = list(job.checkpoints.values())
    checkpoint, results = '', []
    if job.name.startswith('test_'):
        command: list[Any] = ['test.py', f'configs/{job.config}']
        tested = job.name.removeprefix('test_')
        if job.config != FUSION:
            needs.append(tested)
            command.append(home / tested / last_checkpoint(tested, overrides))
        command += ['--work-dir', folder]
        results.append(TEST_LOG)
        if job.config != TRANSFER:
            results.append(PREDICTIONS)
            command += ['--out', folder / PREDICTIONS]
    else:
        command = ['train.py', f'configs/{job.config}']
        command += ['--work-dir', folder, '--resume']
        checkpoint = last_checkpoint(job.name, overrides)
        number = seed.removeprefix('seed_')
        settings = {'randomness.seed': number, **settings, **overrides}
    if settings:
        command.append('--cfg-options')
        command += [f'{key}={value}' for key, value in settings.items()]
    return Step(
        f'{seed}/{job.name}',
        job.shows,
        tool(*command),
        folder,
        home / f'{job.name}.log',
        job.seconds,
        ('data', *(f'{seed}/{name}' for name in needs)),
        checkpoint,
        tuple(results),
    )


def last_checkpoint(training: str, overrides: dict[str, Any]) -> str:
    """Name the last checkpoint of a training."""
    config = next(job.config for job in JOBS if job.name == training)
    number = overrides.get('train_cfg.max_iters') or max_iters(config)
    return f'iter_{number}.pth'


@cache
def max_iters(config: str) -> int:
    """Read how long a config trains."""
    return Config.fromfile(config_path(config)).train_cfg.max_iters


def tool(name: str, *args: Any) -> tuple[str, ...]:
    """Return a command line that works in the current folder."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    script = os.path.relpath(ROOT / 'tools' / name)
    return tuple(map(str, (python, script, *args)))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train RGB and HHA detectors with and without supervision '
        'transfer, fuse them, and compare them in a table and pictures.'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/quickstart'),
        help='folder for everything but the data (default: %(default)s)',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0],
        help='repeat everything with these random seeds (default: 0)',
    )
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='a few iterations per step on a few images, in WORK_DIR/smoke, '
        'to check an installation in 1 to 2 minutes; its numbers mean nothing',
    )
    return parser.parse_args(argv)


def interrupt(*_: object) -> None:
    """Treat signals that ask to end as Ctrl-C."""
    raise KeyboardInterrupt


def main() -> None:
    """Run what is missing, then print the table."""
    args = parse_args()
    seeds = list(dict.fromkeys(args.seeds))
    work_dir = args.work_dir
    if args.smoke:
        # With its own data: the configs name them relative to the folder.
        (work_dir / 'smoke').mkdir(parents=True, exist_ok=True)
        os.chdir(work_dir / 'smoke')
        work_dir = Path()
    head = f'# Quickstart, seeds {" ".join(map(str, seeds))}\n'
    if args.smoke:
        head += '\nA smoke run: the numbers mean nothing.\n'
    steps = plan(work_dir, seeds, args.smoke)
    if not is_current(work_dir, steps, head):
        minutes = 2 if args.smoke else 6 * len(seeds)
        print(
            f'{len(steps)} steps, about {minutes} min on 2 cores, in '
            f'{Path.cwd()}\nCtrl-C stops; started again, it continues.'
        )
        (work_dir / REPORT).unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        try:
            run_steps(steps, min(2, os.cpu_count() or 1), outcome)
            write_report(work_dir, steps, seeds, head, FUSION)
        except KeyboardInterrupt:
            raise SystemExit(
                '\nStopped. Started again, it continues where it was.'
            ) from None
    text = (work_dir / REPORT).read_text(encoding='utf-8')
    print(f'\n{text.partition(DETAILS)[0]}')
    for name in FILES:
        print(Path.cwd() / work_dir / name)


if __name__ == '__main__':
    main()
