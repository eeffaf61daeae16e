"""Convert MOTChallenge sequences: flow images and COCO annotations."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments, add_flow_method
from mmxdistill.converters.terms import TERMS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the flow images of MOTChallenge sequences and '
        'COCO annotations of persons. Interrupted, the same command goes on.',
        epilog=TERMS['mot'],
    )
    add_arguments(
        parser,
        'folder of sequences (each with img1 and gt/gt.txt)',
        lists=False,
    )
    add_flow_method(parser)
    parser.add_argument(
        '--test',
        nargs='+',
        required=True,
        metavar='SEQUENCE',
        help='sequences of annotations_test.json; the others make '
        'annotations_train.json',
    )
    parser.add_argument(
        '--boxes',
        choices=('gt', 'det'),
        default='gt',
        help='labels, or the detections that come with the sequences '
        '(default: %(default)s)',
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.mot_dataset import convert_mot
    from mmxdistill.converters.runs import RunOptions

    return convert_mot(
        args.source,
        args.out,
        args.test,
        args.method,
        RunOptions.of(args),
        args.boxes,
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
