r"""Make region proposals for the images of a config or of folders.

    python tools/dataset_converters/generate_proposals.py mine.pkl CONFIG \
        --modalities rgb hha --method selective_search edge_boxes

The proposals of all modalities and methods are united, best of each first,
without near-duplicates. The file is what ``LoadProposals`` reads. A run that
was stopped goes on where it was: what is done lies in ``<OUT>.parts``, which
may be deleted once OUT is there.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_run_arguments
from mmxdistill.options import (
    PROPOSAL_METHODS,
    add_split_option,
    positive_int,
)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'out', type=Path, metavar='OUT', help='file to write, OUT.pkl'
    )
    parser.add_argument(
        'sources',
        nargs='+',
        type=Path,
        metavar='SOURCE',
        help='a config (.py): the images of its data sets, as their pipelines '
        'load and encode them; or a folder of 8-bit images, and further '
        'folders with the same names, whose images are aligned to them',
    )
    add_split_option(parser, 'of a config: whose images')
    parser.add_argument(
        '--modalities',
        nargs='+',
        help='of a config: in which images to search (default: in those the '
        'data set uses)',
    )
    parser.add_argument(
        '--method',
        nargs='+',
        choices=PROPOSAL_METHODS,
        default=['selective_search'],
        help='one or several (default: selective_search)',
    )
    parser.add_argument(
        '--edge-model',
        type=Path,
        metavar='FILE',
        help="OpenCV's model.yml.gz of structured edges for edge_boxes "
        "(default: edges by Canny's rule, which needs no model)",
    )
    parser.add_argument(
        '--max-num',
        type=positive_int,
        default=2000,
        help='proposals per image',
    )
    parser.add_argument(
        '--max-side',
        type=positive_int,
        default=400,
        help='longer side in pixels at which the image is searched',
    )
    parser.add_argument(
        '--max-iou',
        type=float,
        default=0.9,
        help='a box that overlaps a better one by more is left out '
        '(default: %(default)s)',
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    if args.out.suffix != '.pkl':
        parser.error(f'{args.out}: the file name must end with .pkl')
    if not 0 < args.max_iou <= 1:
        parser.error('--max-iou must be above 0 and at most 1')
    if args.edge_model and 'edge_boxes' not in args.method:
        parser.error('--edge-model is for --method edge_boxes')
    if is_config(args) and len(args.sources) > 1:
        parser.error('give one config, or folders')
    if args.modalities and not is_config(args):
        parser.error('--modalities is for a config')
    return args


def is_config(args: argparse.Namespace) -> bool:
    """Whether the images are those of a config."""
    return any(path.suffix == '.py' for path in args.sources)


def run(args: argparse.Namespace) -> int:
    """Make the proposals; returns the exit status."""
    from mmxdistill.converters.proposals import Images, convert_proposals
    from mmxdistill.converters.runs import RunOptions
    from mmxdistill.datasets.proposal_search import ProposalSearch

    images = Images(args.sources, args.split, args.modalities)
    search = ProposalSearch(
        args.method,
        args.max_num,
        args.max_side,
        args.max_iou,
        args.edge_model,
    )
    return convert_proposals(args.out, images, search, RunOptions.of(args))


def main(argv: list[str] | None = None) -> None:
    """Make the proposals, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
