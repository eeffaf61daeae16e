"""Make (frame, flow image) pairs of UCF101, or of any folder of videos."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments, add_flow_method
from mmxdistill.converters.terms import TERMS
from mmxdistill.options import positive_int

PAIRS = 5  # of each video in the paper


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write evenly spaced frames of videos, their flow to the '
        'next frame, and the list of these pairs. Interrupted, the same '
        'command goes on.',
        epilog=TERMS['ucf101'],
    )
    add_arguments(
        parser,
        'folder of videos, with sub-folders (UCF-101)',
        lists=False,
    )
    parser.add_argument(
        '--split',
        type=Path,
        metavar='FILE',
        help='trainlist01.txt, ...: take the videos of this list of UCF101 '
        '(default: all videos of the folder)',
    )
    parser.add_argument(
        '--pairs-per-video',
        type=positive_int,
        default=PAIRS,
        metavar='K',
        help='default: %(default)s',
    )
    add_flow_method(parser)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.runs import RunOptions
    from mmxdistill.converters.ucf101_dataset import convert_ucf101

    return convert_ucf101(
        args.source,
        args.out,
        args.method,
        RunOptions.of(args),
        args.split,
        args.pairs_per_video,
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
