r"""Check all files of a config's data sets, in parallel.

    python tools/analysis_tools/check_dataset.py CONFIG --list problems.txt

Reports missing and unreadable files, images of a pair (or of a record) whose
sizes differ, depth in another unit, boxes that are empty or outside of the
image, annotations that belong to nothing, missing and wrong proposals, and
images that are in two splits. The exit status is 1 if there is any of it.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_jobs_option, add_split_option

_SHOWN = 5


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, metavar='CONFIG')
    add_split_option(parser, 'data sets to check')
    parser.add_argument(
        '--depth-range',
        nargs=2,
        type=float,
        default=(0.4, 12.0),
        metavar='METRES',
        help='in a depth image of the right unit, half of the pixels are '
        'farther than the first and nearly all nearer than the second '
        '(default: 0.4 12, for Kinects indoors)',
    )
    parser.add_argument(
        '--list', type=Path, metavar='FILE', help='write all problems to FILE'
    )
    parser.add_argument(
        '--html',
        type=Path,
        metavar='PAGE',
        help='write one page, PAGE, with all problems, links to their files '
        'and pictures',
    )
    add_jobs_option(parser)
    args = parser.parse_args()
    args.depth_range = tuple(args.depth_range)
    if not 0 <= args.depth_range[0] < args.depth_range[1]:
        parser.error('--depth-range: write the smaller number first')
    return args


def report(groups: list[list[str]], path: Path | None) -> int:
    """Print how many problems there are, and some; returns their number."""
    from mmxdistill.atomic import atomic_write

    for head, *texts in groups:
        print(f'{head}: {len(texts)}')
        for text in texts[:_SHOWN]:
            print(f'  {text}')
        if len(texts) > _SHOWN:
            print(f'  ... and {len(texts) - _SHOWN} more')
    if path is not None:
        with atomic_write(path) as file:
            for head, *texts in groups:
                for text in texts:
                    line = f'{head}: {text}\n'
                    file.write(line.encode('utf-8', 'surrogateescape'))
        print(f'{path}: all problems')
    total = sum(len(texts) for _, *texts in groups)
    print(f'problems: {total}')
    return total


def run(args: argparse.Namespace) -> int:
    """Check the data sets; returns 1 if there is a problem."""
    from mmxdistill.datasets import dataset_checks as checks
    from mmxdistill.datasets.configured import dataset_configs

    configs = dataset_configs(args.config, args.split)
    checked = {
        name: checks.check_dataset(name, config, args.depth_range, args.jobs)
        for name, config in configs.items()
    }
    for name, data in checked.items():
        print(f'{name}: {len(data.paths)} samples')
    problems = {name: data.problems for name, data in checked.items()}
    shared = list(checks.find_shared(checked))
    problems['between splits'] = [(kind, text) for kind, text, _ in shared]
    total = report(checks.list_problems(problems), args.list)
    if args.html is not None:
        from mmxdistill.visualization.check_page import write_check_page

        write_check_page(args.html, args.config.stem, checked, shared)
        print(args.html)
    return int(total > 0)


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
