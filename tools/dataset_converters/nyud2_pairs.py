"""Make transfer pairs from the raw videos of NYUD2."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments
from mmxdistill.converters.terms import TERMS
from mmxdistill.options import positive_int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write aligned colour, depth and HHA images of raw video '
        'frames, and the list of the frames. Interrupted, the same command '
        'goes on.',
        epilog=TERMS['nyud2'],
    )
    add_arguments(
        parser,
        'folder into which archives of the raw data set were unpacked',
        lists=False,
    )
    parser.add_argument(
        '--labeled',
        type=Path,
        required=True,
        metavar='FILE',
        help='nyu_depth_v2_labeled.mat: it says which videos belong to the '
        'test set, which is never used',
    )
    parser.add_argument(
        '--split',
        required=True,
        help='train or trainval: use the videos of this split',
    )
    parser.add_argument(
        '--per-scene',
        type=positive_int,
        default=40,
        metavar='N',
        help='pairs of each video, evenly spread (default: 40)',
    )
    parser.add_argument(
        '--frames',
        type=Path,
        metavar='LIST',
        help='repeat exactly the pairs of an earlier run: its OUT/SPLIT.txt',
    )
    parser.add_argument(
        '--hha',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='encode the depth (default: yes)',
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.nyud2.pairs import convert_pairs
    from mmxdistill.converters.runs import RunOptions

    return convert_pairs(
        args.source,
        args.out,
        RunOptions.of(args),
        labeled=args.labeled,
        split=args.split,
        per_scene=args.per_scene,
        frames=args.frames,
        hha=args.hha,
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
