"""Convert .caffemodel files to a checkpoint for mmengine.

    python tools/model_converters/caffe_to_mm.py net.caffemodel net.pth

Knows CaffeNet, VGG16 and SqueezeNet v1.0/v1.1: ImageNet classifiers, Fast
R-CNN detectors of one or two streams, and networks made by supervision
transfer (conv1 to conv5).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if (ROOT / 'mmxdistill').is_dir():
    sys.path.insert(0, str(ROOT))

import torch

from mmxdistill.atomic import atomic_write
from mmxdistill.caffe import (
    caffe_to_mm,
    collect_blobs,
    read_caffemodel,
)
from mmxdistill.caffe.mapping import Report


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


def print_report(report: Report, output: str) -> None:
    """Print what was mapped, what was left out, and where it went."""
    width = max(len(layer) for layer, _, _ in report.mapped)
    for layer, key, shape in report.mapped:
        print(f'{layer:{width}} <-> {key}  {"x".join(map(str, shape))}')
    for name in report.skipped:
        print(f'skipped: {name}')
    print(f'{" and ".join(report.nets.values())}: wrote {output}')


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
    args = parser.parse_args(argv)
    if not args.output.endswith('.pth'):
        parser.error(f'the last file, {args.output}, must end with .pth')
    return args


def convert(args: argparse.Namespace) -> Report:
    """Read the Caffe files and write the checkpoint."""
    models = [read_caffemodel(path) for path in args.inputs]
    layers = [layer for model in models for layer in model.layers]
    try:
        state_dict, background_boxes, report = caffe_to_mm(
            collect_blobs(layers),
            args.stream_names,
            args.stream,
            args.skip_extra,
        )
    except ValueError as error:
        raise ValueError(f'{", ".join(args.inputs)}: {error}') from error
    # What the way back needs: the stream, and rows that mmdet cannot hold.
    caffe = {
        'background_boxes': _to_tensors(background_boxes),
        'prefixes': list(report.nets),
    }
    with atomic_write(args.output) as file:
        torch.save(
            {'state_dict': _to_tensors(state_dict), 'meta': {'caffe': caffe}},
            file,
        )
    return report


def _to_tensors(arrays: dict) -> dict[str, torch.Tensor]:
    # Copies: a view would make torch.save write the whole array.
    return {key: torch.tensor(array) for key, array in arrays.items()}


def main(argv: Sequence[str] | None = None) -> None:
    """Convert, and end with one message if the input is of no use."""
    args = parse_args(argv)
    try:
        report = convert(args)
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    print_report(report, args.output)


if __name__ == '__main__':
    main()
