"""Options of the converters, each declared once.

Nothing here is slow to import, so that ``--help`` is there at once.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from mmxdistill.encodings import FLOW_METHODS, PinholeCamera
from mmxdistill.options import add_jobs_option, positive_float
from mmxdistill.text_files import read_json

__all__ = [
    'add_arguments',
    'add_depth_arguments',
    'add_flow_method',
    'add_run_arguments',
    'find_camera',
]


def add_arguments(
    parser: argparse.ArgumentParser, source: str, lists: bool = True
) -> None:
    """Add SOURCE, OUT, --root, --jobs, --shard and --overwrite.

    Args:
        parser (argparse.ArgumentParser): Parser of the converter.
        source (str): What SOURCE may be.
        lists (bool): SOURCE may be a list of files: add --root. Defaults to
            True.
    """
    parser.add_argument('source', type=Path, metavar='SOURCE', help=source)
    parser.add_argument(
        'out', type=Path, metavar='OUT', help='folder to write'
    )
    if lists:
        parser.add_argument(
            '--root',
            type=Path,
            help='folder to which the paths of a list are relative '
            '(default: that of the list)',
        )
    add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --jobs, --shard and --overwrite.

    Args:
        parser (argparse.ArgumentParser): Parser of a tool whose inputs are
            others than those of :func:`add_arguments`.
    """
    add_jobs_option(parser)
    parser.add_argument(
        '--shard',
        type=_shard,
        default=(1, 1),
        metavar='I/N',
        help='do the I-th of N parts (I from 1), e.g. --shard '
        '$SLURM_ARRAY_TASK_ID/8',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='write files again that are there',
    )


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    if match and 1 <= int(match[1]) <= int(match[2]):
        return int(match[1]), int(match[2])
    raise argparse.ArgumentTypeError(
        f'{text!r}: write I/N with 1 <= I <= N, e.g. 1/8 to 8/8'
    )


def add_flow_method(parser: argparse.ArgumentParser) -> None:
    """Add --method."""
    parser.add_argument(
        '--method',
        choices=FLOW_METHODS,
        default='dis',
        help='how the flow is computed (default: %(default)s)',
    )


def add_depth_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what tells how a depth map is stored: --camera, --unit, ..."""
    parser.add_argument(
        '--camera',
        type=find_camera,
        help='of all images: preset (nyud2_full, nyud2_cropped, kitchen, '
        'sunrgbd_kv2, sunrgbd_b3do) or JSON file with fx, fy, cx, cy; '
        'needed for HHA',
    )
    parser.add_argument(
        '--unit',
        type=positive_float,
        default=1.0,
        metavar='MM',
        help='millimetres per stored unit: 1 for millimetres (default), 1000 '
        'for metres, 0.1 for tenths, 0.2 for 5000 units per metre',
    )
    parser.add_argument(
        '--rotated-bits',
        action='store_true',
        help="the PNG files are in SUN RGB-D's encoding",
    )
    parser.add_argument(
        '--fill',
        action='store_true',
        help='fill holes with the nearest measurement (FillDepth)',
    )


def find_camera(name: str) -> PinholeCamera:
    """Load a camera from a JSON file, or return a preset."""
    is_file = name.lower().endswith('.json')
    try:
        known = read_json(name) if is_file else name
        return PinholeCamera.from_any(known)
    except (OSError, ValueError, TypeError) as error:
        text = str(error)
        if is_file and name not in text:
            text = f"'{name}': {text}"
        raise argparse.ArgumentTypeError(text) from error
