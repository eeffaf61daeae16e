"""Studies on real pairs: run what is missing, then report.

MMXDISTILL_DATA names the folder with the data sets; docs/real_data.md says
which. Stopped at any moment, the same command continues.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_study_options, positive_int

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
    add_study_options(parser, 'work_dirs/real_pairs', [0, 1, 2], '0 1 2')
    parser.add_argument(
        '--cores',
        type=positive_int,
        default=1,
        help='commands at a time, each on one core (default: %(default)s)',
    )
    return parser.parse_args(argv)


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
