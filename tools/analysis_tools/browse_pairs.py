r"""Draw samples of a config's data sets as the network gets them.

    python tools/analysis_tools/browse_pairs.py CONFIG --split train test

Writes contact sheets ``OUT/<data set>_<page>.png``: of evenly spaced samples,
all modalities after the whole pipeline, with the objects (solid) and the best
proposals (dashed).
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_split_option


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, metavar='CONFIG')
    add_split_option(parser, 'data sets to draw')
    parser.add_argument(
        '--num',
        type=int,
        default=16,
        help='samples of each (default: %(default)s)',
    )
    parser.add_argument(
        '--proposals',
        type=int,
        default=10,
        metavar='N',
        help='the N best proposals are drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/browse'),
        metavar='FOLDER',
        help='folder to write (default: %(default)s)',
    )
    args = parser.parse_args()
    if args.num < 1 or args.proposals < 0:
        parser.error('--num must be at least 1, --proposals at least 0')
    return args


def run(args: argparse.Namespace) -> int:
    """Draw the data sets; returns 1 if a sample could not be."""
    from mmxdistill.datasets.configured import (
        build_dataset,
        dataset_configs,
    )
    from mmxdistill.datasets.proposal_file import find_proposal_file
    from mmxdistill.visualization.contact_sheet import draw_contact_sheets

    failed = 0
    for name, config in dataset_configs(args.config, args.split).items():
        try:
            proposals = find_proposal_file(config) is not None
        except FileNotFoundError as error:  # they may not be made yet
            print(f'{name}: drawn without proposals: {error}')
            proposals = False
        dataset = build_dataset(config, proposals=proposals, filtered=True)
        num = min(args.num, len(dataset))
        print(f'{name}: {num} of {len(dataset)} samples')
        pages, failures = draw_contact_sheets(
            dataset,
            args.out,
            name,
            f'{args.config.stem}: {name}',
            num,
            args.proposals,
        )
        for index, text in failures.items():
            print(f'  sample {index}: {text}')
        print(f'{len(pages)} pages in {args.out}')
        failed += len(failures)
    return int(failed > 0)


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
