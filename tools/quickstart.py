"""Show supervision transfer at work: train, transfer, fuse and compare.

In generated rooms, an RGB detector teaches a network for HHA-encoded depth
on unlabelled pairs. HHA detectors start from its weights, from the RGB
weights and from random ones, and RGB and HHA are fused. Every step is a plain
command, which is printed. Stopped at any moment, it continues when it is
started again; to start anew, delete its folder.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmxdistill').is_dir():
    sys.path.insert(0, str(ROOT))

# Before the stack, so that it can say what the stack lacks.
from mmxdistill import config_path

# isort: split
from mmengine.config import Config

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

# Rows of the table -> the tests of the detectors.
DETECTORS = {
    'RGB': 'test_rgb',
    'HHA, random weights': 'test_random',
    'HHA, copied RGB weights': 'test_copy',
    'HHA, transferred weights': 'test_st',
    'RGB + HHA fused': 'test_fusion',
}
# Detectors of the picture -> the image under their boxes.
PANELS = {
    'RGB': 'rgb',
    'HHA, transferred weights': 'hha',
    'RGB + HHA fused': 'rgb',
}
ORDERS = ('transferred > copied', 'transferred > random', 'fused > single')
FILES = REPORT, TABLE, CURVE, PICTURE = (
    'results.md',
    'results.csv',
    'transfer_curve.png',
    'detections.png',
)
PREDICTIONS = 'predictions.pkl'
TEST_LOG = '*/*.json'  # <work dir>/<time>/<time>.json
DETAILS = '## Pictures'  # the tables come before
REPORT_TEXT = """\
{head}
AP at IoU 0.5 on the test images; of several seeds, mean and standard
deviation:

{precision}

Do the orders of the paper hold, by mAP? Transferred, copied and random are
the weights from which the HHA detector starts; single is the best detector of
one modality. Explained variance: of the RGB network's features, by the HHA
network on held-out pairs (1: all, 0: only their mean).

{orders}

{details}

![Transfer]({curve})

The loss is the share of the RGB features that the HHA network does not give.

![Detections]({picture})

Detections of the first seed with a score above 0.5, on the test image on which
the fused detector is furthest ahead of the better of the other two, by its
correct minus its wrong detections.

## Commands

Run in {folder}:

{commands}

Made: {made}
"""

# In the logs of mmengine's runner and of its progress bar.
PROGRESS = re.compile(
    r'(?:Iter\((?:train|test)\) \[ *|\] )(\d+)/(\d+)[],]'
    r'.*?(?:eta|ETA): *(\d[\d:]*)'
)
Metrics = dict[str, float]


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: Unique name.
        shows: What it does and what for.
        command: Arguments of the process.
        folder: Where its results are.
        log: File for its output.
        seconds: Roughly, on one core.
        needs: Names of the steps that come before.
        checkpoint: Name of the last checkpoint of a training.
        results: Of others: patterns of the files that a finished one has.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    seconds: int
    needs: tuple[str, ...] = ()
    checkpoint: str = ''
    results: tuple[str, ...] = ()

    def finished(self) -> bool:
        """Whether its results are there, complete."""
        if self.checkpoint:
            # mmengine names a checkpoint there once it is written.
            last = self.folder / 'last_checkpoint'
            if not last.is_file():
                return False
            return Path(last.read_text()).name == self.checkpoint
        return all(any(self.folder.glob(name)) for name in self.results)

    @property
    def is_test(self) -> bool:
        """Whether it evaluates a model."""
        return TEST_LOG in self.results

    def metrics(self) -> Metrics:
        """Read the numbers of a test."""
        return json.loads(max(self.folder.glob(TEST_LOG)).read_text())

    def __str__(self) -> str:
        """Return the command as it is typed."""
        return f'OMP_NUM_THREADS=1 {shlex.join(self.command)}'


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


class Terminal:
    """Lines that stay, and a last one that tells the progress."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._next = 0.0

    def say(self, text: str) -> None:
        """Print lines that stay."""
        print(('\r\033[K' if self._live else '') + text, flush=True)

    def show(self, text: str) -> None:
        """Replace the last line; without a terminal, every 10 s a line."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f'\r\033[K{text[:width]}', end='', flush=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 10
            print(f'    {text}', flush=True)


def read_progress(text: str) -> tuple[int, int, int] | None:
    """Find the last progress report: done, total, seconds left."""
    found = PROGRESS.findall(text)
    if not found:
        return None
    done, total, left = found[-1]
    seconds = 0
    for part in left.split(':'):
        seconds = 60 * seconds + int(part)
    return int(done), int(total), seconds


def describe_progress(step: Step) -> str:
    """Say how far a running step is."""
    with step.log.open('rb') as log:
        log.seek(max(0, step.log.stat().st_size - 4096))
        progress = read_progress(log.read().decode(errors='replace'))
    if progress is None:
        return f'{step.name}: starting'
    done, total, left = progress
    return f'{step.name}: {done}/{total}, {clock(left)} left'


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def run_steps(steps: Sequence[Step], slots: int) -> None:
    """Run what is not finished, up to ``slots`` commands at a time.

    Raises:
        SystemExit: A step failed; says where and why.
    """
    terminal = Terminal()
    begin_all = time.monotonic()
    total = sum(step.seconds for step in steps)
    number = {s.name: f'[{i}/{len(steps)}]' for i, s in enumerate(steps, 1)}
    # The generator itself knows whether its data are those asked for.
    waiting = [s for s in steps if s.name == 'data' or not s.finished()]
    done = {step.name for step in steps if step not in waiting}
    running: dict[subprocess.Popen, tuple[Step, float]] = {}
    try:
        while waiting or running:
            ready = [s for s in waiting if done.issuperset(s.needs)]
            for step in ready[: slots - len(running)]:
                waiting.remove(step)
                terminal.say(
                    f'\n{number[step.name]} {step.shows} '
                    f'({100 * step.seconds / total:.0f} % of the work)\n'
                    f'    {step}\n    output: {step.log}'
                )
                running[start(step)] = step, time.monotonic()
            for process in [p for p in running if p.poll() is not None]:
                step, begin = running.pop(process)
                if process.returncode or not step.finished():
                    raise SystemExit(failure(step, process.returncode))
                done.add(step.name)
                terminal.say(
                    f'{number[step.name]} {step.name} done in '
                    f'{clock(time.monotonic() - begin)}{outcome(step)}'
                )
            if running:
                current = [step for step, _ in running.values()]
                terminal.show(' | '.join(map(describe_progress, current)))
                time.sleep(0.2)
        terminal.say(
            f'\nAll steps done in {clock(time.monotonic() - begin_all)}; '
            'writing the report'
        )
    finally:
        stop(running)


def start(step: Step) -> subprocess.Popen:
    """Start the command of a step, away from the signals of the terminal."""
    step.log.parent.mkdir(parents=True, exist_ok=True)
    with step.log.open('wb') as log:
        return subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            start_new_session=True,
        )


def stop(processes: Iterable[subprocess.Popen]) -> None:
    """End processes together with their workers."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        os.killpg(process.pid, signal.SIGTERM)
    for process in left:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def failure(step: Step, code: int) -> str:
    """Say which step failed, with the end of its log."""
    if code < 0:
        what = f'was killed ({signal.Signals(-code).name}; out of memory?)'
    elif code:
        what = f'failed (exit status {code})'
    else:
        what = f'ended without its results in {step.folder}'
    lines = step.log.read_text(errors='replace').splitlines()[-15:]
    text = '\n'.join(f'    {line}' for line in lines)
    return (
        f'\n{step.name} {what}. The end of {step.log}:\n{text}\n'
        'Started again, the quickstart continues with this step.'
    )


def outcome(step: Step) -> str:
    """Tell the main number of a test."""
    if not step.is_test:
        return ''
    metrics = step.metrics()
    if 'voc/mAP' in metrics:
        return f': mAP {100 * metrics["voc/mAP"]:.1f} %'
    return f': explained variance {explained_variance(metrics):.3f}'


def explained_variance(metrics: Metrics) -> float:
    """Pick the explained variance of the transfer."""
    return next(v for k, v in metrics.items() if 'explained_variance' in k)


def read_precision(metrics: Metrics) -> Metrics:
    """Pick AP in per cent: per class, then the mean."""
    found = {
        key.removeprefix('voc/').removeprefix('AP_'): 100 * value
        for key, value in metrics.items()
        if key.startswith('voc/')
    }
    mean = found.pop('mAP')
    return {**found, 'mAP': mean}


def margins(results: dict[str, Metrics]) -> list[float]:
    """Compute by how much the orders of the paper hold.

    Args:
        results: AP of the ``DETECTORS``.

    Returns:
        Differences of mAP for ``ORDERS``; an order holds above 0.
    """
    *single, fused = (results[name]['mAP'] for name in DETECTORS)
    _, random, copied, transferred = single
    return [transferred - copied, transferred - random, fused - max(single)]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries print while they are loaded off the terminal."""
    with (
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield


def draw_pictures(work_dir: Path, seeds: Sequence[int]) -> None:
    """Draw the curves of all seeds and the detections of the first."""
    # Slow to import, and not needed to print finished results.
    import cv2
    from matplotlib.figure import Figure
    from mmengine.fileio import load
    from mmengine.registry import init_default_scope

    from mmxdistill import visualization as vis
    from mmxdistill.registry import DATASETS

    homes = {f'seed {seed}': work_dir / f'seed_{seed}' for seed in seeds}
    figure = Figure((11, 4.2), layout='constrained')
    vis.plot_transfer_curve(
        figure,
        {
            name: vis.read_transfer_history(home / 'transfer')
            for name, home in homes.items()
        },
    )
    figure.savefig(work_dir / CURVE, dpi=120)

    init_default_scope('mmdet')
    cfg = Config.fromfile(config_path(FUSION)).test_dataloader.dataset
    dataset = DATASETS.build({**cfg, 'check_pairs': False})
    home = next(iter(homes.values()))
    index, matches = vis.find_telling_image(
        dataset,
        [load(home / DETECTORS[name] / PREDICTIONS) for name in PANELS],
    )
    info = dataset.get_data_info(index)
    image = dataset.pipeline.transforms[0](info)['img']
    depth = cv2.imread(
        info['modality_paths']['raw_depth'], cv2.IMREAD_UNCHANGED
    )
    figure = Figure((14, 9), layout='compressed')
    vis.draw_comparison(
        figure,
        dict(rgb=image[..., :3], depth=depth, hha=image[..., 3:]),
        info['instances'],
        dict(zip(PANELS.items(), matches, strict=True)),
        dataset.metainfo['classes'],
    )
    figure.savefig(work_dir / PICTURE, dpi=120, bbox_inches='tight')


def write_report(
    work_dir: Path, steps: Sequence[Step], seeds: Sequence[int], head: str
) -> None:
    """Write tables and pictures; ``results.md`` comes last."""
    metrics = {step.name: step.metrics() for step in steps if step.is_test}
    results = {
        seed: {
            name: read_precision(metrics[f'seed_{seed}/{test}'])
            for name, test in DETECTORS.items()
        }
        for seed in seeds
    }
    orders = [
        [
            str(seed),
            *(
                f'{"yes" if m > 0 else "NO"} ({m:+.1f})'
                for m in margins(found)
            ),
            f'{explained_variance(metrics[f"seed_{seed}/test_transfer"]):.3f}',
        ]
        for seed, found in results.items()
    ]
    with quiet():
        from mmxdistill.visualization import (
            format_seeds,
            format_table,
            write_seeds,
        )

        draw_pictures(work_dir, seeds)
    write_seeds(work_dir / TABLE, 'detector', results)
    text = REPORT_TEXT.format(
        head=head,
        precision=format_seeds('AP (%)', results),
        orders=format_table(['Seed', *ORDERS, 'explained variance'], orders),
        details=DETAILS,
        curve=CURVE,
        picture=PICTURE,
        folder=Path.cwd(),
        commands='\n'.join(f'    {step}' for step in steps),
        made=provenance(),
    )
    (work_dir / REPORT).write_text(text, encoding='utf-8')


def provenance() -> str:
    """Say with what the numbers were made."""
    git = ['git', '-C', str(ROOT), 'describe', '--always', '--dirty']
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    commit = found.stdout.strip() or 'unknown'
    cpu = platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file() and (
        model := re.search(r'model name\s*: (.*)', info.read_text())
    ):
        cpu = model[1]
    return (
        f'{date.today()}, commit {commit}, PyTorch {version("torch")}, '
        f'{os.cpu_count()} cores of {cpu}'
    )


def is_current(work_dir: Path, steps: Sequence[Step], head: str) -> bool:
    """Whether everything is finished and reported."""
    return (
        all(step.finished() for step in steps)
        and all((work_dir / name).is_file() for name in FILES)
        and (work_dir / REPORT).read_text(encoding='utf-8').startswith(head)
    )


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
        minutes = 2 if args.smoke else 8 * len(seeds)
        print(
            f'{len(steps)} steps, about {minutes} min on 2 cores, in '
            f'{Path.cwd()}\nCtrl-C stops; started again, it continues.'
        )
        (work_dir / REPORT).unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        try:
            run_steps(steps, min(2, os.cpu_count() or 1))
            write_report(work_dir, steps, seeds, head)
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
