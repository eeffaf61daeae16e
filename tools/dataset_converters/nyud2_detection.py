"""Convert NYUD2 for detection: images, HHA, COCO annotations, proposals."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments
from mmxdistill.converters.terms import TERMS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write images, HHA, COCO annotations with masks and '
        'proposals of NYUD2. Interrupted, the same command goes on.',
        epilog=TERMS['nyud2'],
    )
    add_arguments(
        parser,
        "nyu_depth_v2_labeled.mat, or the folder of the authors' data (with "
        'nyud2/data and nyud2/benchmarkData)',
        lists=False,
    )
    parser.add_argument(
        '--mcg',
        type=Path,
        metavar='FILE',
        help='nyud2_mcg_boxes.mat: the proposals are written, too (default: '
        'the one beside SOURCE or in it, if any)',
    )
    parser.add_argument(
        '--hha',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='encode the depth of nyu_depth_v2_labeled.mat (default: yes)',
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.nyud2.detection import convert_detection
    from mmxdistill.converters.runs import RunOptions

    return convert_detection(
        args.source, args.out, RunOptions.of(args), args.mcg, args.hha
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
