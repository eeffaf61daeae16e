"""Time HHA encoding against the usual approach, in one run on one thread.

The usual approach is that of the well-known Python port of the authors' code:
eighteen calls of ``scipy.signal.convolve2d`` for the box sums of the surface
normals. Only these are timed; they are most of its time. The frame is a
generated room with Kinect-like holes.

    python tools/benchmarks/hha.py
    python tools/benchmarks/hha.py --device cuda --batch 32

A second table tells how many pairs of colour and HHA one core loads per
second if HHA is read from files, encoded in the loader, or left to the
device. With ``--gravity`` the estimated direction of gravity is compared with
the given one on real frames instead:

    python tools/benchmarks/hha.py --gravity $MMXDISTILL_DATA
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before NumPy is imported

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from scipy.signal import convolve2d

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.encodings import (
    CameraLike,
    encode_hha,
    encode_hha_with_diagnostics,
)
from mmxdistill.encodings.batch import HHAEncoder
from mmxdistill.registry import TRANSFORMS
from mmxdistill.synthetic import RGBDFrame, render_scene

CONVOLUTIONS = '18 scipy.signal.convolve2d'


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--size', type=int, nargs=2, default=[480, 640], metavar=('H', 'W')
    )
    parser.add_argument(
        '--batch', type=int, default=4, help='frames of the PyTorch batch'
    )
    parser.add_argument('--device', default='cpu', help='of the PyTorch batch')
    parser.add_argument(
        '--rounds', type=int, default=7, help='the fastest one counts'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--gravity',
        type=Path,
        metavar='FOLDER',
        help='folder that holds kitchen_rgbd and sunrgbd_samples',
    )
    return parser.parse_args()


def usual_sums(depth_mm: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Nine box sums for each of the two window sizes."""
    rows, columns = np.indices(depth_mm.shape, dtype=np.float64)
    one = measured.astype(np.float64)
    inverse = np.where(measured, 10 / np.maximum(depth_mm, 1.0), 0)
    total = np.zeros(depth_mm.shape)
    for radius in (3, 10):
        window = np.ones((2 * radius + 1, 2 * radius + 1))
        for weight in (one, inverse):
            total += convolve2d(weight, window, mode='same')
            total += convolve2d(weight * columns, window, mode='same')
            total += convolve2d(weight * rows, window, mode='same')
        for product in (columns * columns, columns * rows, rows * rows):
            total += convolve2d(one * product, window, mode='same')
    return total


@TRANSFORMS.register_module()
class UsualSums(BaseTransform):
    """The share of the usual approach that is timed; makes a grey image."""

    def transform(self, results: dict) -> dict:
        """Compute the sums."""
        sums = usual_sums(results['img'], results['depth_mask'])
        results['img'] = np.dstack([(sums > 0).astype(np.uint8)] * 3)
        return results


def fastest(
    calls: dict[str, Callable[[], object]], rounds: int, device: str = 'cpu'
) -> dict[str, float]:
    """Let all calls take turns; seconds of the fastest of each.

    They are seconds of CPU time, which other work on the machine disturbs
    less, unless a GPU does the work.
    """
    cuda = torch.device(device).type == 'cuda'
    clock = time.perf_counter if cuda else time.thread_time
    best: dict[str, float] = {}
    for name, call in calls.items():
        if name != CONVOLUTIONS:
            call()  # compile, fill caches
        best[name] = np.inf
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            if cuda:
                torch.cuda.synchronize(device)
            best[name] = min(best[name], clock() - start)
    return best


def time_encoders(frame: RGBDFrame, args: argparse.Namespace) -> None:
    """Print milliseconds per frame and the ratios to the usual approach."""
    depth, raw, camera = frame.depth, frame.depth_raw, frame.camera
    encoder = HHAEncoder(camera)

    def batch(device: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        pair = torch.from_numpy(np.stack([depth, raw]).astype(np.int32))
        first, second = pair.to(device)[:, None].expand(-1, size, -1, -1)
        return first, second

    name = f'PyTorch, {args.device}, batch of {args.batch}'
    calls: dict[str, Callable[[], object]] = {
        CONVOLUTIONS: lambda: usual_sums(depth, raw > 0)
    }
    # In quarters of a millimetre depth has no table.
    exact = np.where(depth > 0, depth + 0.25, 0)
    for backend in ('numpy', 'numba'):
        for kind, frame_mm in (('', depth), (', fractions', exact)):
            calls[f'encode_hha, {backend}{kind}'] = partial(
                encode_hha, frame_mm, camera, raw, backend=backend
            )
    single, several = batch('cpu', 1), batch(args.device, args.batch)
    calls['PyTorch, cpu, batch of 1'] = lambda: encoder(*single)
    calls[name] = lambda: encoder(*several)
    took = fastest(calls, args.rounds, args.device)
    took[name] /= args.batch
    print(f'{"":30s} ms / frame       x')
    for key, seconds in took.items():
        ratio = took[CONVOLUTIONS] / seconds
        print(f'{key:30s}{1000 * seconds:11.1f}{ratio:8.1f}')


def time_loading(frame: RGBDFrame, folder: Path, rounds: int) -> None:
    """Print how many pairs a core loads per second."""
    hha = encode_hha(frame.depth, frame.camera, frame.depth_raw)
    paths = {}
    for name, image in dict(
        color=frame.colour, depth=frame.depth, raw=frame.depth_raw, hha=hha
    ).items():
        suffix = '.jpg' if name == 'color' else '.png'
        paths[name] = str(folder / (name + suffix))
        cv2.imwrite(paths[name], image, [cv2.IMWRITE_JPEG_QUALITY, 95])

    def loader(source: str, *encode: dict) -> Callable[[], object]:
        steps = [dict(type='LoadImageFromFile')]
        if encode:
            steps = [dict(type='mmxdistill.LoadDepthFromFile', mask='raw')]
        load = TRANSFORMS.build(
            ConfigDict(
                type='mmxdistill.LoadModalities',
                modalities=dict(
                    rgb=[dict(type='LoadImageFromFile')],
                    hha=[*steps, *encode],
                ),
            )
        )
        files = dict(rgb=paths['color'], hha=paths[source], raw=paths['raw'])
        return lambda: load(
            dict(img_path=files['rgb'], modality_paths=dict(files))
        )

    def ours(**kwargs: Any) -> dict:
        return dict(type='mmxdistill.EncodeHHA', camera=frame.camera, **kwargs)

    calls = {
        CONVOLUTIONS: loader('depth', dict(type='mmxdistill.UsualSums')),
        'HHA from PNG files': loader('hha'),
        'EncodeHHA, numpy': loader('depth', ours(backend='numpy')),
        'EncodeHHA, numba': loader('depth', ours(backend='numba')),
        'EncodeHHA, on_device': loader('depth', ours(on_device=True)),
    }
    took = fastest(calls, rounds)
    print(f'\n{"colour and HHA, one core":30s}  pairs / s       x')
    for key, seconds in took.items():
        ratio = took[CONVOLUTIONS] / seconds
        print(f'{key:30s}{1 / seconds:11.1f}{ratio:8.1f}')


GravityCase = tuple[np.ndarray, CameraLike, np.ndarray]


def kitchen(folder: Path) -> Iterator[GravityCase]:
    """Depth, camera and given gravity of the frames of ``kitchen_rgbd``."""
    world = np.loadtxt(folder / 'gravity_direction_world.txt')
    calibration = json.loads((folder / 'calibration.json').read_text())
    # The poses are the depth camera's, the registered depth is not.
    to_color = np.array(calibration['depth_to_color'])[:3, :3]
    for line in (folder / 'poses.txt').read_text().splitlines():
        name, *numbers = line.split()
        to_world = np.array(numbers, float).reshape(4, 4)[:3, :3]
        depth = cv2.imread(
            str(folder / 'depth' / f'{name}.png'), cv2.IMREAD_UNCHANGED
        )
        yield depth, 'kitchen', to_color @ to_world.T @ world


def sunrgbd(folder: Path) -> Iterator[GravityCase]:
    """Depth, camera and given gravity of the frames of a SUN RGB-D folder."""
    for path in sorted(folder.glob('*/depth.png')):
        bits = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        matrix = np.loadtxt(path.with_name('intrinsics.txt'))
        gravity = np.loadtxt(path.with_name('extrinsics.txt'))[1, :3]
        yield (bits >> 3) | (bits << 13), matrix, gravity


def gravity_error(case: GravityCase) -> float:
    """Degrees between the estimated and the given gravity."""
    depth, camera, given = case
    found = encode_hha_with_diagnostics(depth, camera)[1].gravity
    across = np.linalg.norm(np.cross(found, given))
    return float(np.degrees(np.arctan2(across, found @ given)))


def compare_gravity(root: Path) -> None:
    """Print how far the estimates are from the given directions."""
    print(f'{"degrees from given gravity":30s} frames  median   worst')
    for read, name in (
        (kitchen, 'kitchen_rgbd'),
        (sunrgbd, 'sunrgbd_samples'),
    ):
        errors = [gravity_error(case) for case in read(root / name)]
        print(
            f'{name:30s}{len(errors):7d}{np.median(errors):8.2f}'
            f'{max(errors):8.2f}'
        )


def main() -> None:
    """Print the tables."""
    args = parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    if args.gravity:
        compare_gravity(args.gravity)
        return
    height, width = args.size
    frame = render_scene(args.seed, (width, height), 1)
    missing = np.mean(frame.depth_raw == 0)
    print(
        f'{width}x{height}, {missing:.0%} missing, one thread, '
        f'torch {torch.__version__}'
    )
    time_encoders(frame, args)
    with tempfile.TemporaryDirectory() as folder:
        time_loading(frame, Path(folder), args.rounds)


if __name__ == '__main__':
    main()
