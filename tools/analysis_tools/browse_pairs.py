r"""Draw samples of a config's data sets as the network gets them.

    python tools/analysis_tools/browse_pairs.py CONFIG --split train test

Writes contact sheets ``OUT/<data set>_<page>.png``: of evenly spaced samples,
all modalities after the whole pipeline, with the objects (solid) and the best
proposals (dashed). With --html, one page with all of it instead, and with the
detections of ``tools/test.py --out`` if they are given.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_split_option, split_names


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
    parser.add_argument(
        '--html',
        type=Path,
        metavar='PAGE',
        help='write one page, PAGE, instead of sheets',
    )
    parser.add_argument(
        '--predictions',
        nargs='+',
        default=[],
        metavar='NAME=FILE',
        help='on the page: detections that tools/test.py --out wrote',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='T',
        help='lowest score of what is drawn (default: %(default)s)',
    )
    args = parser.parse_args()
    args.predictions = split_names(parser, args.predictions)
    if args.predictions and args.html is None:
        parser.error('--predictions are drawn with --html only')
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
    from mmxdistill.visualization.pair_page import PairPage
    from mmxdistill.visualization.predictions import read_predictions

    configs = dataset_configs(args.config, args.split)
    page = None
    if args.html is not None:
        page = PairPage(
            args.html,
            args.config.stem,
            len(configs),
            args.proposals,
            {n: read_predictions(p) for n, p in args.predictions.items()},
            args.score_thr,
        )
    failed = 0
    for name, config in configs.items():
        try:
            proposals = find_proposal_file(config) is not None
        except FileNotFoundError as error:  # they may not be made yet
            print(f'{name}: drawn without proposals: {error}')
            proposals = False
        dataset = build_dataset(config, proposals=proposals, filtered=True)
        num = min(args.num, len(dataset))
        print(f'{name}: {num} of {len(dataset)} samples')
        if page is not None:
            failures = page.add(name, dataset, num)
        else:
            pages, failures = draw_contact_sheets(
                dataset,
                args.out,
                name,
                f'{args.config.stem}: {name}',
                num,
                args.proposals,
            )
            print(f'{len(pages)} pages in {args.out}')
        for index, text in failures.items():
            print(f'  sample {index}: {text}')
        failed += len(failures)
    if page is not None:
        page.write()
        print(args.html)
    return int(failed > 0)


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
