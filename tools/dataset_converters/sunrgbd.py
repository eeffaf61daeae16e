"""Convert SUN RGB-D: images, depth, HHA, pair lists, COCO annotations."""

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
        description='Write images, depth, HHA, lists of pairs and COCO '
        'annotations of the 19 NYUD2 classes from SUN RGB-D. Interrupted, '
        'the same command goes on.',
        epilog=TERMS['sunrgbd'],
    )
    add_arguments(
        parser, 'folder into which SUNRGBD.zip was unpacked', lists=False
    )
    parser.add_argument(
        '--splits',
        type=Path,
        metavar='FILE',
        help='allsplit.mat (default: SOURCE/SUNRGBDtoolbox/traintestSUNRGBD/'
        'allsplit.mat)',
    )
    parser.add_argument(
        '--boxes',
        type=Path,
        metavar='FILE',
        help='SUNRGBDMeta2DBB_v2.mat or SUNRGBDMeta.mat: take its boxes '
        '(default: the outlines of annotation2Dfinal, boxes and masks)',
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.runs import RunOptions
    from mmxdistill.converters.sunrgbd.dataset import convert_sunrgbd

    return convert_sunrgbd(
        args.source, args.out, RunOptions.of(args), args.splits, args.boxes
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
