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
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmengine.fileio import load

from mmxdistill.converters.work_list import (
    Source,
    add_arguments,
    check_apart,
    check_settings,
    find_files,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.datasets.transforms import FillDepth, LoadDepthFromFile
from mmxdistill.encodings import (
    HHADiagnostics,
    PinholeCamera,
    encode_disparity,
    encode_hha_with_diagnostics,
)

SUFFIXES = ('.png', '.tif', '.tiff', '.pgm', '.npy')
# Estimates of gravity are wrong beyond this tilt, degrees.
_MAX_TILT = 45
# Real frames have an eigen-gap of 0.4 to 0.8; below 1e-5 gravity is not
# determined.
_MIN_GAP = 1e-3
_SHOWN = 10


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(
        parser,
        'folder of PNG, TIFF, PGM or .npy depth maps (with '
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
        type=_positive,
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


def _positive(text: str) -> float:
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return float(text)


def find_camera(name: str) -> PinholeCamera:
    """Load a camera from a JSON file, or return a preset."""
    try:
        return PinholeCamera.from_any(
            load(name) if name.endswith('.json') else name
        )
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def read_depth(
    path: Path, raw: Path | None, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    """Load a depth map and its mask, and fill its holes if asked for.

    Args:
        path (Path): PNG, TIFF, PGM or .npy file.
        raw (Path, optional): Raw depth, from which the mask is taken.
        args (argparse.Namespace): Of :func:`add_depth_arguments`.

    Returns:
        tuple[np.ndarray, np.ndarray]: Depth in millimetres (H, W), of
        :class:`LoadDepthFromFile`, and where it was measured, bool (H, W).

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file is no depth map, holds no measurement, or has
            another size.
    """
    depth, measured = _read(path, args)
    if raw:
        measured = _read(raw, args)[1]
        if measured.shape != depth.shape:
            raise ValueError(
                f"raw depth '{raw}' has size {measured.shape[::-1]}, the "
                f'depth map {depth.shape[::-1]} (w, h)'
            )
    if args.fill:
        depth = FillDepth()(dict(img=depth))['img']
    return depth, measured


def _read(
    path: Path, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    loader = LoadDepthFromFile(unit=args.unit, rotated_bits=args.rotated_bits)
    sample: Any = loader(dict(img_path=str(path)))
    return sample['img'], sample['depth_mask']


@dataclass
class DepthEncoder:
    """Encodes a file.

    Args:
        args (argparse.Namespace): The command line.
    """

    args: argparse.Namespace

    def __call__(self, source: Source) -> HHADiagnostics | None:
        """Write the encoded image; returns what is known about gravity."""
        args = self.args
        raw = args.raw and args.raw / source.name
        depth, measured = read_depth(source.path, raw, args)
        found = None
        if args.encoding == 'hha':
            image, found = encode_hha_with_diagnostics(
                depth, args.camera, measured
            )
        else:
            image = encode_disparity(depth)
        write_png(output(args.out, source), image)
        return found


def output(out: Path, source: Source) -> Path:
    """Where the encoded image of a file is written."""
    return (out / source.name).with_suffix('.png')


def check_names(sources: list[Source], out: Path) -> None:
    """Check that no file would be overwritten, and none is a result.

    Raises:
        SystemExit: Two files have the same output, or one is in the output
            folder.
    """
    counts = Counter(output(out, source) for source in sources)
    twice = [path for path, count in counts.items() if count > 1]
    if twice:
        raise SystemExit(
            f'Error: several files would become {twice[0]}: name them '
            'differently, or encode each kind to a folder of its own'
        )
    folder = out.resolve()
    for source in sources:
        if source.path.resolve().is_relative_to(folder):
            raise SystemExit(
                f'Error: {source} is in the output folder {out}: write to '
                'another folder'
            )


def print_odd(done: list[tuple[Source, HHADiagnostics]]) -> None:
    """Print whose gravity is missing, uncertain or beyond the range."""
    kinds: dict[str, list[str]] = {}
    for source, found in done:
        gap = found.eigen_gap or 0.0
        if gap < _MIN_GAP:
            what = 'gravity not determined (too few normals, or one wall)'
            name = f'{source}: eigen-gap {gap:.1e}'
        elif found.tilt_degrees > _MAX_TILT:
            what = f'tilt beyond {_MAX_TILT} degrees, gravity is likely wrong'
            name = f'{source}: {found.tilt_degrees:.0f} degrees'
        else:
            continue
        kinds.setdefault(what, []).append(name)
    for what, names in kinds.items():
        print(f'{what}: {len(names)} of {len(done)} frames')
        for name in names[:_SHOWN]:
            print(f'  {name}')
        if len(names) > _SHOWN:
            print(f'  ... and {len(names) - _SHOWN} more')


def main(argv: list[str] | None = None) -> int:
    """Encode the files of this shard.

    Args:
        argv (list[str], optional): Command line. Defaults to that of the
            process.

    Returns:
        int: Exit status: 1 if anything failed, else 0.
    """
    args = parse_args(argv)
    check_apart(args.source, args.out)
    sources = find_files(args.source, SUFFIXES, args.root)
    check_names(sources, args.out)
    sources = take_shard(sources, args.shard)
    keys = ('encoding', 'unit', 'rotated_bits', 'fill')
    settings = {key: getattr(args, key) for key in keys}
    settings['camera'] = args.camera and asdict(args.camera)
    settings['raw'] = args.raw and str(args.raw)
    check_settings(args.out, settings, args.overwrite)
    todo = [
        source
        for source in sources
        if args.overwrite or not output(args.out, source).exists()
    ]
    done, failures = run_all(DepthEncoder(args), todo, args.jobs, 'encoding')
    if args.encoding == 'hha':
        print_odd(done)
    return report(args.out, len(done), len(sources) - len(todo), failures)


if __name__ == '__main__':
    sys.exit(main())
