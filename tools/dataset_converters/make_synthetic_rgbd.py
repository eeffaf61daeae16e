"""Write the synthetic RGB-D detection dataset."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import positive_int
from mmxdistill.synthetic import DEFAULT_SIZES, write_dataset


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write synthetic RGB-D scenes with boxes, unlabelled '
        'pairs and region proposals. Nothing is done if they are there.'
    )
    parser.add_argument('root', help='folder to write, e.g. data/synthetic')
    parser.add_argument(
        '--num',
        nargs='+',
        type=_split_size,
        metavar='SPLIT=N',
        default=list(DEFAULT_SIZES.items()),
        help='frames of each split (default: '
        + ' '.join(f'{k}={v}' for k, v in DEFAULT_SIZES.items())
        + ')',
    )
    parser.add_argument(
        '--unlabelled',
        nargs='*',
        default=['pairs'],
        metavar='SPLIT',
        help='splits without boxes (default: pairs)',
    )
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        default=[224, 160],
        metavar=('W', 'H'),
        help='image size in pixels',
    )
    parser.add_argument('--num-proposals', type=positive_int, default=200)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--processes', type=positive_int, default=2)
    return parser.parse_args(argv)


def _split_size(text: str) -> tuple[str, int]:
    split, _, number = text.partition('=')
    if not number.isdigit():
        raise argparse.ArgumentTypeError(
            f'{text!r}: write SPLIT=N, e.g. train=150'
        )
    return split, int(number)


def run(args: argparse.Namespace) -> None:
    """Write the dataset."""
    written = write_dataset(
        args.root,
        dict(args.num),
        args.unlabelled,
        image_size=tuple(args.size),
        num_proposals=args.num_proposals,
        seed=args.seed,
        processes=args.processes,
    )
    print(f'{args.root}: {"written" if written else "already complete"}.')


def main(argv: list[str] | None = None) -> None:
    """Write the dataset, or say that it is there."""
    args = parse_args(argv)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
