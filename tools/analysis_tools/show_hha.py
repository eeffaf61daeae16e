r"""Draw a depth map and its HHA channels, and say what is odd about it.

    python tools/analysis_tools/show_hha.py hha.png --depth mine.png \
        --camera mine.json --raw mine_raw.png --color mine.jpg

Without ``--depth``, a generated room is drawn.
"""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tools/dataset_converters')]

from encode_depth import add_depth_arguments, read_depth

from mmxdistill.encodings import HHADiagnostics, encode_hha_with_diagnostics
from mmxdistill.synthetic import render_scene
from mmxdistill.visualization import draw_depth, draw_image

# Channel of the image, title, what the levels mean, ticks and their labels.
CHANNELS = (
    (2, 'disparity', 'metres', {255: '1.2', 155: '2', 78: '4', 39: '8'}),
    (1, 'height', 'metres above ground', {0: '0', 100: '1', 200: '2'}),
    (
        0,
        'angle to gravity',
        'surface',
        {38: 'floor', 128: 'wall', 218: 'ceiling'},
    ),
)


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


def draw_channel(
    axes: Axes,
    level: np.ndarray,
    title: str,
    label: str,
    ticks: dict[int, str],
) -> None:
    """Draw a channel in grey with a scale below."""
    drawn = axes.imshow(level, cmap='gray', vmin=0, vmax=255)
    axes.set_title(title, fontweight='bold')
    axes.set_xticks([])
    axes.set_yticks([])
    scale = axes.figure.colorbar(
        drawn,
        cax=axes.inset_axes((0, -0.08, 1, 0.05)),
        orientation='horizontal',
        label=label,
    )
    scale.set_ticks(list(ticks), labels=list(ticks.values()))


def draw(
    depth: np.ndarray,
    measured: np.ndarray,
    color: np.ndarray | None,
    hha: np.ndarray,
) -> Figure:
    """Draw the depth map, the channels and the image they make."""
    figure = Figure((7.2, 4.9))
    # The scales hang below the images, where no layout engine sees them.
    figure.subplots_adjust(0.02, 0.14, 0.98, 0.94, wspace=0.1, hspace=0.5)
    cells = figure.subplots(2, 3).flat
    if color is not None:
        draw_image(next(cells), color, 'colour')
    draw_depth(next(cells), np.where(measured, depth, 0), 'depth')
    for channel, title, label, ticks in CHANNELS:
        draw_channel(next(cells), hha[..., channel], title, label, ticks)
    draw_image(next(cells), hha, 'HHA')
    for axes in cells:
        axes.axis('off')
    return figure


def describe(
    depth: np.ndarray, measured: np.ndarray, found: HHADiagnostics
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
    if args.depth:
        depth, measured = read_depth(args.depth, args.raw, args)
        color = cv2.imread(str(args.color)) if args.color else None
        camera = args.camera
    else:
        frame = render_scene(args.seed, (320, 240), 1)
        depth, measured = frame.depth, frame.depth_raw > 0
        color, camera = frame.colour, frame.camera
    hha, found = encode_hha_with_diagnostics(depth, camera, measured)
    print('\n'.join(describe(depth, measured, found)))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    draw(depth, measured, color, hha).savefig(args.out, dpi=80)


if __name__ == '__main__':
    main()
