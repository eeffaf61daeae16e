"""Show supervision transfer at work: train, transfer, fuse and compare.

In generated rooms, an RGB detector teaches a network for HHA-encoded depth
on unlabelled pairs. HHA detectors start from its weights, from the RGB
weights and from random ones, and RGB and HHA are fused. Every step is a plain
command, which is printed. Stopped at any moment, it continues when it is
started again; to start anew, delete its folder.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmxdistill.options import add_study_options

TOOLS = Path(__file__).resolve().parent


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train RGB and HHA detectors with and without supervision '
        'transfer, fuse them, and compare them in a table and pictures.'
    )
    add_study_options(parser, 'work_dirs/quickstart', [0], '0')
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='a few iterations per step on a few images, in WORK_DIR/smoke, '
        'to check an installation in 1 to 2 minutes; its numbers mean nothing',
    )
    parser.add_argument(
        '--list',
        action='store_true',
        help='only print the commands, in an order in which they can be run',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, then print the table."""
    args = parse_args(argv)
    from mmxdistill.parallel import available_cpus
    from mmxdistill.studies import quickstart
    from mmxdistill.studies.engine import run_steps

    work_dir = args.work_dir
    if args.smoke:
        # With its own data: the configs name them relative to the folder.
        (work_dir / 'smoke').mkdir(parents=True, exist_ok=True)
        os.chdir(work_dir / 'smoke')
        work_dir = Path()
    steps = quickstart.plan(work_dir, args.seeds, TOOLS, args.smoke)
    if args.list:
        print('\n'.join(map(str, steps)))
        return
    head = f'# Quickstart, seeds {" ".join(map(str, args.seeds))}\n'
    if args.smoke:
        head += '\nA smoke run: the numbers mean nothing.\n'
    minutes = 2 if args.smoke else 6 * len(args.seeds)
    print(
        f'{len(steps)} steps, about {minutes} min on 2 cores, in '
        f'{Path.cwd()}\nCtrl-C stops; started again, it continues.',
        flush=True,
    )
    try:
        run_steps(
            steps,
            TOOLS / 'Snakefile',
            min(2, available_cpus()),
            args.snakemake,
        )
        if not quickstart.is_reported(work_dir, steps, head):
            print('\nAll steps are done; writing the report.', flush=True)
            quickstart.write_report(work_dir, steps, args.seeds, head)
    except KeyboardInterrupt:
        raise SystemExit(
            '\nStopped. Started again, it continues where it was.'
        ) from None
    text = (work_dir / quickstart.REPORT).read_text(encoding='utf-8')
    print(f'\n{text.partition(quickstart.DETAILS)[0]}')
    for name in quickstart.FILES:
        print(Path.cwd() / work_dir / name)


if __name__ == '__main__':
    main()
