r"""Encode depth images as HHA, as the data loader would.

    python tools/dataset_converters/encode_depth.py data/mine/depth \
        data/mine/hha --camera data/mine/camera.json \
        --raw data/mine/depth_raw --jobs 8 --shard 1/4

writes ``data/mine/hha/<name>.png`` for every ``data/mine/depth/<name>``, in
the channel order of the authors' files: ``LoadImageFromFile`` loads angle,
height and disparity. A run that was stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments, add_depth_arguments


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(
        parser,
        'folder of 16-bit PNG, TIFF or PGM or of .npy depth maps (with '
        "sub-folders), a quoted pattern like 'depth/*/*.png', or a .txt "
        'list of files',
    )
    parser.add_argument(
        '--encoding', choices=['hha', 'disparity'], default='hha'
    )
    parser.add_argument(
        '--raw',
        type=Path,
        metavar='FOLDER',
        help='raw depth, same names: pixels missing there count as not '
        'measured',
    )
    add_depth_arguments(parser)
    args = parser.parse_args(argv)
    if args.raw and not args.raw.is_dir():
        parser.error(f'--raw {args.raw} is no folder')
    if args.encoding == 'hha' and args.camera is None:
        parser.error('HHA needs --camera')
    return args


def run(args: argparse.Namespace) -> int:
    """Encode the files; returns the exit status."""
    from mmxdistill.converters.depth import (
        DepthEncoder,
        DepthFormat,
        convert_depth,
    )
    from mmxdistill.converters.runs import RunOptions

    stored = DepthFormat(args.unit, args.rotated_bits, args.fill)
    encoder = DepthEncoder(
        args.out, args.encoding, args.camera, args.raw, stored
    )
    return convert_depth(args.source, args.root, encoder, RunOptions.of(args))


def main(argv: list[str] | None = None) -> None:
    """Encode the files, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
