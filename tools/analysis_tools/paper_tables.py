"""The paper's tables: list their rows, run them, and report what came out.

Without --list and --run, the work dirs become Markdown, CSV and one HTML
page, with the published numbers beside ours. What was not run is missing
there, and what cannot be run says what it lacks.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_study_options, positive_int

TOOLS = Path(__file__).resolve().parents[1]
DATA = ('nyud2', 'jhmdb', 'generated')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--list', action='store_true', help='print all rows and their configs'
    )
    parser.add_argument(
        '--run',
        nargs='*',
        metavar='ROW',
        help='run these rows, or all that can be, then report; what is '
        'finished and unchanged is skipped',
    )
    parser.add_argument(
        '--data',
        nargs='+',
        choices=DATA,
        help='data sets (default: to run, generated; to report, all)',
    )
    add_study_options(
        *(parser, 'work_dirs/paper', None), 'to run, 0; to report, those there'
    )
    parser.add_argument(
        '--cores',
        type=positive_int,
        default=2,
        help='commands at a time, each on one core (default: %(default)s)',
    )
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='a few iterations on a few generated images, in WORK_DIR/smoke; '
        'its numbers mean nothing',
    )
    args = parser.parse_args(argv)
    if args.smoke and set(args.data or ['generated']) != {'generated'}:
        parser.error('--smoke is for --data generated')
    return args


def main(argv: list[str] | None = None) -> int:
    """List, or run and report."""
    args = parse_args(argv)
    from mmxdistill.studies import (
        paper,
        paper_report,
        paper_results,
        paper_run,
    )

    if args.list:
        print(paper_run.describe(paper.ROWS))
        return 0
    work_dir = args.work_dir
    if args.smoke:  # with its own data: configs name them relative to here
        (work_dir / 'smoke').mkdir(parents=True, exist_ok=True)
        os.chdir(work_dir / 'smoke')
        work_dir = Path()
    failed = 0
    if args.run is not None:
        rows = paper.select(args.run)
        for data in args.data or ['generated']:
            failed += paper_run.run_rows(
                *(rows, data, work_dir / data, args.seeds or [0], TOOLS),
                smoke=args.smoke,
                cores=args.cores,
                options=args.snakemake,
            )
    results = paper_results.collect(
        paper.ROWS, work_dir, args.data or DATA, args.seeds
    )
    old = {str(path) for result in results for path in result.outdated}
    if old:
        print(
            'Left out, as they are older than what they were made from (run '
            f'their rows again): {", ".join(sorted(old))}'
        )
    for path in paper_report.write_report(results, work_dir / 'paper'):
        print(Path.cwd() / path)
    return min(failed, 1)


if __name__ == '__main__':
    run_command(main)
