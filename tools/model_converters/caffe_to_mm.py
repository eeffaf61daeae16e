"""Convert .caffemodel files to a checkpoint for mmengine.

    python tools/model_converters/caffe_to_mm.py net.caffemodel net.pth

Knows CaffeNet, VGG16 and SqueezeNet v1.0/v1.1: ImageNet classifiers, Fast
R-CNN detectors of one or two streams, hyper-column (SDS) networks, and
networks made by supervision transfer (conv1 to conv5). What the file says
about its layers is compared with ours: an AlexNet that normalises before
pooling, for example, is refused.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def build_parser(description: str) -> argparse.ArgumentParser:
    """Create a parser with the options that both converters share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        '--stream-names',
        nargs=2,
        default=['rgb', 'hha'],
        metavar=('PLAIN', 'DA'),
        help='names of the stream with plain Caffe layer names and of the '
        "one with the prefix 'da_' (default: rgb hha)",
    )
    parser.add_argument(
        '--skip-extra',
        action='store_true',
        help='leave out layers that have no counterpart instead of failing',
    )
    return parser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser('Convert .caffemodel files to a .pth checkpoint.')
    parser.add_argument(
        'inputs',
        nargs='+',
        metavar='IN.caffemodel',
        help='network; a second file gives the other stream',
    )
    parser.add_argument('output', metavar='OUT.pth')
    parser.add_argument(
        '--stream',
        metavar='NAME',
        help='convert only this stream of a two-stream network, to a '
        'detector of its own',
    )
    parser.add_argument(
        '--prototxt',
        metavar='NET.prototxt',
        help='network definition to compare with, if the .caffemodel does '
        'not say how its layers are connected',
    )
    args = parser.parse_args(argv)
    if not args.output.endswith('.pth'):
        parser.error(f'the last file, {args.output}, must end with .pth')
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, and end with one message if the input is of no use."""
    args = parse_args(argv)
    from mmxdistill.models.caffe_weights import caffemodel_to_checkpoint

    try:
        report = caffemodel_to_checkpoint(**vars(args))
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    print(report)
    print(f'{" and ".join(report.nets.values())}: wrote {args.output}')


if __name__ == '__main__':
    main()
