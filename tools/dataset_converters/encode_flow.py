r"""Make flow images of videos or frame folders, and the frames they belong to.

    python tools/dataset_converters/encode_flow.py trainlist01.txt flow \
        --root UCF-101 --frames-out frames --max-frames-per-video 5 \
        --jobs 8 --shard 1/4

The flow from a frame to the one ``--step`` later goes to
``OUT/<video or folder>/<frame>.png``, and ``OUT/pairs.txt`` lists what is
there as a data set takes it. Each part of a sharded run has a list of its
own. A run that was stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments, add_flow_method
from mmxdistill.encodings import FLOW_CENTER, FLOW_SCALE
from mmxdistill.encodings.flow_image import check_constants
from mmxdistill.options import positive_int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(
        parser,
        'folder of videos or of frames (with sub-folders), a video, or a '
        '.txt list of videos, frame folders or frames',
    )
    add_flow_method(parser)
    parser.add_argument(
        '--symmetric',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='average with the flow of the mirrored frames, which makes the '
        'flow exactly flippable and takes twice the time (default: yes)',
    )
    parser.add_argument(
        '--step',
        type=positive_int,
        default=1,
        help='from a frame to the next one',
    )
    parser.add_argument(
        '--max-frames-per-video',
        type=positive_int,
        metavar='K',
        help='flow of K evenly spaced frames of each video or folder '
        '(default: of all)',
    )
    parser.add_argument(
        '--scale',
        type=float,
        default=FLOW_SCALE,
        help='levels per pixel of motion (default: %(default)g)',
    )
    parser.add_argument(
        '--center',
        type=int,
        default=FLOW_CENTER,
        help='level of no motion (default: %(default)s)',
    )
    parser.add_argument(
        '--raw',
        choices=['flo', 'kitti'],
        help='write flow in pixels instead of flow images',
    )
    parser.add_argument(
        '--frames-out',
        type=Path,
        metavar='FOLDER',
        help='write the frames the flow belongs to, under the same names',
    )
    args = parser.parse_args(argv)
    try:
        check_constants(args.scale, args.center)
    except ValueError as error:
        parser.error(str(error))
    return args


def run(args: argparse.Namespace) -> int:
    """Write the flow; returns the exit status."""
    from mmxdistill.converters.flow import FlowOptions, convert_flow
    from mmxdistill.converters.runs import RunOptions

    options = FlowOptions(
        args.out,
        args.method,
        symmetric=args.symmetric,
        step=args.step,
        scale=args.scale,
        center=args.center,
        raw=args.raw,
        frames_out=args.frames_out,
    )
    return convert_flow(
        args.source,
        args.root,
        options,
        RunOptions.of(args),
        args.max_frames_per_video,
    )


def main(argv: list[str] | None = None) -> None:
    """Write the flow of all frames, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
