"""Learn flow from two starts at several rates; print AP50 as Markdown.

The choice of the learning rates of the study ``rgb_flow``, on its training
videos alone: on the first two thirds of each the teacher teaches and labels
are drawn, on the rest AP50 is measured. What is done is not done again.

    python tools/analysis_tools/real_pairs.py rgb_flow  # makes the data
    python tools/dev/flow_rates.py --seeds 0 1
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from mmxdistill.studies.real_pairs import draw_indices
from mmxdistill.studies.results import read_metrics, read_precision

TRANSFER = 'supervision_transfer/st_yolox-nano_yolox-nano_flow_neck_200_people'
STARTS = {
    'COCO': 'yolox/yolox_yolox-nano_flow_copy_40_people',
    'transfer': 'yolox/yolox_yolox-nano_flow_st_40_people',
}
# Of the frames in the file: MOT16-11 is 0 to 179, PETS09-S2L1 180 to 312.
LEARN = [*range(120), *range(180, 269)]
MEASURE = [*range(120, 180), *range(269, 313)]


def run(tool: str, config: Config, folder: Path, *words: str) -> None:
    """Run train.py or test.py with a config of our own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'config.py'
    config.dump(path)
    command = [sys.executable, ROOT / 'tools' / tool, path, *words]
    subprocess.run(
        [*map(str, command), '--work-dir', str(folder)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def load(name: str, seed: int) -> Config:
    """Read a config, to be tested on the frames held out."""
    config = Config.fromfile(ROOT / 'configs' / f'{name}.py')
    config.randomness = dict(seed=seed)
    if 'val_dataloader' in config:
        config.val_dataloader.dataset.indices = MEASURE
        config.test_dataloader = config.val_dataloader
    return config


def measure(config: Config, folder: Path, checkpoint: Path) -> float:
    """Return AP50 of a checkpoint on the frames held out, in per cent."""
    if not list(folder.glob('*/*.json')):
        run('test.py', config, folder, str(checkpoint))
    return read_precision(read_metrics(folder))['mAP']


def train(config: Config, folder: Path, steps: int) -> Path:
    """Train unless that is done; return the checkpoint."""
    checkpoint = folder / f'iter_{steps}.pth'
    if not checkpoint.is_file():
        run('train.py', config, folder, '--resume')
    return checkpoint


def teach(work_dir: Path, seed: int) -> Path:
    """Transfer on the frames to learn from."""
    config = load(TRANSFER, seed)
    config.train_dataloader.dataset.indices = LEARN
    return train(config, work_dir / f'transfer_{seed}', 200)


def learn(
    work_dir: Path, start: str, number: int, rate: float, seed: int
) -> float:
    """Learn from labelled frames; return AP50 on the frames held out."""
    config = load(STARTS[start], seed)
    drawn = draw_indices(len(LEARN), number, seed)
    config.train_dataloader.dataset.indices = [LEARN[i] for i in drawn]
    config.optim_wrapper.optimizer.lr = rate
    if start == 'transfer':
        config.load_from = str(teach(work_dir, seed))
    folder = work_dir / f'{start}_{number}_{rate}_{seed}'
    checkpoint = train(config, folder, 40)
    return measure(config, folder / 'test', checkpoint)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--labels', type=int, nargs='+', default=[20, 80])
    rates = [0.001, 0.0003, 0.0001]
    parser.add_argument('--rates', type=float, nargs='+', default=rates)
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/flow_rates')
    )
    return parser.parse_args()


def main() -> None:
    """Print a table of the rates."""
    args = parse_args()
    work_dir = args.work_dir.resolve()
    print('| start | ' + ' | '.join(f'{rate:g}' for rate in args.rates) + ' |')
    print('|---' * (len(args.rates) + 1) + '|')
    zero = [
        measure(
            load(STARTS['transfer'], seed),
            work_dir / f'zero_{seed}',
            teach(work_dir, seed),
        )
        for seed in args.seeds
    ]
    for number in args.labels:
        for start in STARTS:
            cells = []
            for rate in args.rates:
                values = [
                    learn(work_dir, start, number, rate, seed)
                    for seed in args.seeds
                ]
                mean, low, high = (
                    f(values) for f in (statistics.mean, min, max)
                )
                cells.append(f'{mean:.1f} ({low:.1f} to {high:.1f})')
            row = f'| {start} + {number} labelled | ' + ' | '.join(cells)
            print(f'{row} |', flush=True)
    print(f'\nNo labels, RGB head: {statistics.mean(zero):.1f}')


if __name__ == '__main__':
    main()
