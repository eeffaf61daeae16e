"""Studies on real pairs: run what is missing, then report.

MMXDISTILL_DATA names the folder with the data sets; docs/real_data.md says
which. Stopped at any moment, the same command continues.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command

TOOLS = Path(__file__).resolve().parents[1]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    from mmxdistill.studies.real_studies import STUDIES

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('study', choices=STUDIES)
    parser.add_argument(
        '--list', action='store_true', help='only print the commands'
    )
    parser.add_argument(
        '--report', action='store_true', help='only report what is there'
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        default=[0, 1, 2],
        help='random seeds (default: 0 1 2)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/real_pairs'),
        help='folder of the runs and reports (default: %(default)s)',
    )
    parser.add_argument(
        '--cores',
        type=int,
        default=1,
        help='commands at a time, each on one core (default: %(default)s)',
    )
    parser.add_argument(
        '--snakemake',
        nargs=argparse.REMAINDER,
        default=[],
        metavar='OPTION',
        help='the rest are options of snakemake',
    )
    args = parser.parse_args(argv)
    if min(args.seeds) < 0:
        parser.error('--seeds must not be negative')
    args.seeds = list(dict.fromkeys(args.seeds))
    return args


def run(args: argparse.Namespace) -> None:
    """List, or run and report."""
    from mmxdistill.studies.engine import run_steps
    from mmxdistill.studies.real_pairs import plan
    from mmxdistill.studies.real_report import write_report
    from mmxdistill.studies.real_studies import STUDIES

    study = STUDIES[args.study]
    home = args.work_dir / study.name
    steps = plan(study, home, args.seeds, TOOLS)
    if args.list:
        print('\n'.join(map(str, steps)))
        return
    if not args.report:
        run_steps(steps, TOOLS / 'Snakefile', args.cores, args.snakemake)
    print(write_report(study, home, steps, args.seeds))


def main(argv: list[str] | None = None) -> None:
    """Run, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
