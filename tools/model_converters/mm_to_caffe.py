"""Convert a checkpoint to a .caffemodel file.

    python tools/model_converters/mm_to_caffe.py net.pth net.caffemodel

The other direction of ``caffe_to_mm.py``, for the same networks.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from caffe_to_mm import build_parser, print_report

# isort: split
import numpy as np
import torch

from mmxdistill.caffe import CaffeModel, mm_to_caffe, write_caffemodel
from mmxdistill.caffe.mapping import STREAM_PREFIXES, Report
from mmxdistill.compat import allow_checkpoint_globals


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
    if len(args.inputs) > len(STREAM_PREFIXES):
        parser.error('a Caffe network has at most two streams')
    return args


def convert(args: argparse.Namespace) -> Report:
    """Read the checkpoints and write the Caffe file."""
    parameters: dict[str, np.ndarray] = {}
    background_boxes: dict[str, np.ndarray] = {}
    stream = args.stream
    for name, path in zip(args.stream_names, args.inputs, strict=False):
        tensors, caffe = load_checkpoint(path)
        scope = f'streams.{name}.' if len(args.inputs) > 1 else ''
        parameters.update(_to_arrays(tensors, scope))
        background_boxes.update(
            _to_arrays(caffe.get('background_boxes', {}), scope)
        )
        if (
            stream is None
            and not scope
            and len(caffe.get('prefixes', ())) == 1
        ):
            index = STREAM_PREFIXES.index(caffe['prefixes'][0])
            stream = args.stream_names[index]
    try:
        layers, report = mm_to_caffe(
            parameters,
            args.stream_names,
            stream,
            background_boxes,
            args.skip_extra,
        )
    except ValueError as error:
        raise ValueError(f'{", ".join(args.inputs)}: {error}') from error
    name = '_'.join(report.nets.values())
    write_caffemodel(args.output, CaffeModel(name, layers))
    return report


def load_checkpoint(
    path: str,
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Load the parameters of a checkpoint.

    Args:
        path: The checkpoint of mmengine, or a bare state dict.

    Returns:
        The parameters, and what ``caffe_to_mm.py`` noted in it.

    Raises:
        ValueError: If it is no checkpoint.
    """
    allow_checkpoint_globals()
    try:
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
        tensors = checkpoint.get('state_dict', checkpoint)
    except OSError:
        raise
    except Exception as error:  # torch raises a dozen types on foreign files
        raise ValueError(
            f'{path} is no checkpoint that PyTorch can load with '
            'weights_only=True'
        ) from error
    others = [
        str(key)
        for key, value in tensors.items()
        if not (isinstance(key, str) and torch.is_tensor(value))
    ]
    if others:
        raise ValueError(f'{path}: no named tensors: {", ".join(others)}')
    return tensors, (checkpoint.get('meta') or {}).get('caffe', {})


def _to_arrays(
    tensors: Mapping[str, torch.Tensor], scope: str
) -> dict[str, np.ndarray]:
    return {
        scope + key: tensor.detach().float().numpy()
        for key, tensor in tensors.items()
    }


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
