"""Convert a checkpoint to a .caffemodel file.

    python tools/model_converters/mm_to_caffe.py net.pth net.caffemodel

The other direction of ``caffe_to_mm.py``, for the same networks.
"""

import argparse
from collections.abc import Sequence

from caffe_to_mm import build_parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser('Convert .pth checkpoints to a .caffemodel file.')
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IN.pth',
        help='checkpoint; with a second one, the two detectors become the '
        'plain and the da_ stream of one network',
    )
    parser.add_argument('output', metavar='OUT.caffemodel')
    parser.add_argument(
        '--stream',
        metavar='NAME',
        help='of a late-fusion detector: convert only this stream; else: '
        'which stream the detector is, i.e. whether its layers get the '
        "prefix 'da_' (default: as in the .caffemodel it came from, or none)",
    )
    args = parser.parse_args(argv)
    if not args.output.endswith('.caffemodel'):
        parser.error(
            f'the last file, {args.output}, must end with .caffemodel'
        )
    if len(args.inputs) > len(args.stream_names):
        parser.error('a Caffe network has at most two streams')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, and end with one message if the input is of no use."""
    args = parse_args(argv)
    from mmxdistill.models.caffe_weights import checkpoint_to_caffemodel

    try:
        report = checkpoint_to_caffemodel(**vars(args))
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    print(report)
    print(f'{" and ".join(report.nets.values())}: wrote {args.output}')


if __name__ == '__main__':
    main()
