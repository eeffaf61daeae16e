r"""Draw a depth map and its HHA channels, and say what is odd about it.

    python tools/analysis_tools/show_hha.py hha.png --depth mine.png \
        --camera mine.json --raw mine_raw.png --color mine.jpg

Without ``--depth``, a generated room is drawn.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_depth_arguments

if TYPE_CHECKING:
    from mmxdistill.encodings import HHADiagnostics


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out', type=Path, help='picture to write, a PNG file')
    parser.add_argument('--depth', type=Path, help='16-bit image or .npy file')
    parser.add_argument('--raw', type=Path, help='raw depth of the same size')
    parser.add_argument('--color', type=Path, help='colour image to show')
    add_depth_arguments(parser)
    parser.add_argument(
        '--seed', type=int, default=0, help='of the generated room'
    )
    args = parser.parse_args(argv)
    if args.depth and args.camera is None:
        parser.error('--depth needs --camera')
    if args.color and not args.color.is_file():
        parser.error(f'--color {args.color} does not exist')
    return args


def describe(
    depth: np.ndarray, measured: np.ndarray, found: 'HHADiagnostics'
) -> list[str]:
    """Say in words what the diagnostics and the levels mean."""
    size = depth.size
    near = np.count_nonzero(depth[measured] <= 1218)
    low, middle, high = np.quantile(depth[measured], (0.01, 0.5, 0.99)) / 1000
    return [
        f'measured: {found.num_valid / size:.0%} of the pixels',
        f'holes left in the depth map: {np.mean(depth == 0):.0%}',
        f'depth: {middle:.2f} m (1 % below {low:.2f}, 1 % above {high:.2f})',
        f'nearer than 1.22 m, where disparity saturates: {near / size:.0%}',
        f'gravity (x right, y down, z forward): {found.gravity.round(3)}',
        f'tilt of the camera: {found.tilt_degrees:.1f} degrees (an estimate '
        'is wrong beyond 45)',
        f'eigen-gap: {found.eigen_gap:.2g} (0.4 to 0.8 on real frames; near '
        '0, gravity is not determined)',
        f'without normal: {1 - found.num_normals / size:.0%} of the pixels',
    ]


def main(argv: list[str] | None = None) -> None:
    """Write the picture and print what was found.

    Args:
        argv (list[str], optional): Command line. Defaults to that of the
            process.
    """
    args = parse_args(argv)
    import cv2

    from mmxdistill.converters.depth import DepthFormat, read_depth
    from mmxdistill.encodings import encode_hha_with_diagnostics
    from mmxdistill.synthetic import render_scene
    from mmxdistill.visualization import draw_hha

    if args.depth:
        stored = DepthFormat(args.unit, args.rotated_bits, args.fill)
        depth, measured = read_depth(args.depth, args.raw, stored)
        color = cv2.imread(str(args.color)) if args.color else None
        camera = args.camera
    else:
        frame = render_scene(args.seed, (320, 240), 1)
        depth, measured = frame.depth, frame.depth_raw > 0
        color, camera = frame.colour, frame.camera
    hha, found = encode_hha_with_diagnostics(depth, camera, measured)
    print('\n'.join(describe(depth, measured, found)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw_hha(depth, measured, color, hha).savefig(args.out, dpi=80)


if __name__ == '__main__':
    run_command(main)
