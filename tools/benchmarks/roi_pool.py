"""Time Caffe RoI pooling against its peers in one run.

Peers: a loop of ``adaptive_max_pool2d`` over the RoIs (the obvious way
without an operator; its bins are not Caffe's) and ``mmcv.ops.RoIAlign``.
The RoIs are boxes between two random points of the image.

    python tools/benchmarks/roi_pool.py
    python tools/benchmarks/roi_pool.py --device cuda --rois 128 2000
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmcv.ops import RoIAlign
from torch import Tensor
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.registry import MODELS

Pool = Callable[[Tensor, Tensor], Tensor]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rois', type=int, nargs='+', default=[128, 2000])
    parser.add_argument('--images', type=int, default=1)
    parser.add_argument('--channels', type=int, default=256)
    parser.add_argument(
        '--map', type=int, nargs=2, default=[43, 57], metavar=('H', 'W')
    )
    parser.add_argument('--output-size', type=int, default=6)
    parser.add_argument('--stride', type=int, default=16)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--seconds',
        type=float,
        default=2.0,
        help='repeat each measurement for this long and keep the fastest',
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def random_rois(args: argparse.Namespace, count: int) -> Tensor:
    """Boxes between two points of the image, (count, 5)."""
    height, width = args.map
    points = torch.rand(count, 2, 2).sort(dim=1).values
    # The last pixel that rounds to the last cell.
    last = torch.tensor([width - 1.0, height - 1.0]) * args.stride
    image = torch.randint(args.images, (count, 1)).sort(dim=0).values
    rois = torch.cat((image, (points * last).flatten(1)), 1)
    return rois.to(args.device)


def adaptive_loop(args: argparse.Namespace) -> Pool:
    """One ``adaptive_max_pool2d`` per RoI."""

    def pool(features: Tensor, rois: Tensor) -> Tensor:
        cells = rois.clone()
        cells[:, 1:] = (cells[:, 1:] / args.stride).round()
        return torch.stack(
            [
                functional.adaptive_max_pool2d(
                    features[n, :, y1 : y2 + 1, x1 : x2 + 1], args.output_size
                )
                for n, x1, y1, x2, y2 in cells.long().tolist()
            ]
        )

    return pool


def best_ms(call: Callable[[], object], args: argparse.Namespace) -> float:
    """Fastest of repeated calls, at least two, in milliseconds."""

    def synchronize() -> None:
        if torch.device(args.device).type == 'cuda':
            torch.cuda.synchronize(args.device)

    times: list[float] = []
    while len(times) < 2 or sum(times) < args.seconds:
        synchronize()
        start = time.perf_counter()
        call()
        synchronize()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def measure(
    pool: Pool, features: Tensor, rois: Tensor, args: argparse.Namespace
) -> tuple[float, float]:
    """Milliseconds of (forward in inference, forward + backward)."""

    @torch.no_grad()
    def forward() -> Tensor:
        return pool(features, rois)

    grad = torch.randn_like(forward())
    leaf = features.clone().requires_grad_()

    def forward_backward() -> None:
        leaf.grad = None
        pool(leaf, rois).backward(grad)

    return best_ms(forward, args), best_ms(forward_backward, args)


def main() -> None:
    """Print one table per number of RoIs."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    scale = 1 / args.stride
    pools: dict[str, Pool] = {
        'CaffeRoIPool': MODELS.build(
            dict(
                type='mmxdistill.CaffeRoIPool',
                output_size=args.output_size,
                spatial_scale=scale,
            )
        ),
        'adaptive_max_pool2d loop': adaptive_loop(args),
        'mmcv RoIAlign': RoIAlign(args.output_size, scale),
    }
    shape = args.images, args.channels, *args.map
    features = torch.randn(shape).relu().to(args.device)
    print(
        f'features {shape}, bins {args.output_size} x {args.output_size}, '
        f'{args.device}, {args.threads} thread(s), torch {torch.__version__}'
    )
    for count in args.rois:
        rois = random_rois(args, count)
        print(
            f'\n{count} RoIs'.ljust(26)
            + 'forward ms     x  forward+backward ms     x'
        )
        ours: tuple[float, float] | None = None
        for name, pool in pools.items():
            took = measure(pool, features, rois, args)
            ours = ours or took
            print(
                f'{name:25s}{took[0]:10.1f}{took[0] / ours[0]:6.1f}'
                f'{took[1]:21.1f}{took[1] / ours[1]:6.1f}',
                flush=True,
            )


if __name__ == '__main__':
    main()
