"""Measure error, mirror symmetry and time of the optical flow methods.

Data: sub-folders with frame10.png, frame11.png and flow10.flo (the layout of
the Middlebury benchmark), or one generated pair without --data.

    python tools/benchmarks/flow.py --data data/middlebury_flow
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.encodings import (
    FLOW_METHODS,
    compute_flow,
    flip_flow,
    read_flow,
)

Pair = tuple[str, np.ndarray, np.ndarray, np.ndarray]
Row = tuple[str, bool]  # method, symmetric


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--data', type=Path, help='folder of frame pairs')
    parser.add_argument(
        '--methods',
        nargs='+',
        choices=FLOW_METHODS,
        default=[m for m in FLOW_METHODS if m != 'raft']
        + ['raft'] * bool(find_spec('torchvision')),
        help='default: all that are installed',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[240, 320],
        metavar=('H', 'W'),
        help='of the generated pair',
    )
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument(
        '--seconds',
        type=float,
        default=1.0,
        help='repeat each measurement for this long and keep the fastest',
    )
    return parser.parse_args()


def read_pairs(folder: Path) -> Iterator[Pair]:
    """Read name, frames and true flow of each sub-folder.

    Raises:
        SystemExit: There are none.
    """
    found = sorted(folder.glob('*/flow10.flo'))
    if not found:
        raise SystemExit(f'Error: no flow10.flo below {folder}')
    for path in found:
        frames = [
            cv2.imread(str(path.with_name(f'frame{number}.png')))
            for number in (10, 11)
        ]
        yield path.parent.name, frames[0], frames[1], read_flow(path)


def generate_pair(height: int, width: int) -> Pair:
    """Make a textured frame and its copy under a smooth, known motion."""
    rng = np.random.default_rng(0)
    # The flow starts in the first frame, so that one is sampled.
    second = np.zeros((height, width))
    for cell in (4, 8, 16):
        noise = rng.normal(size=(height // cell + 2, width // cell + 2))
        second += cv2.resize(noise, (width, height), None, 0, 0, 2)
    second = cv2.normalize(second, None, 0, 255, cv2.NORM_MINMAX)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    flow = np.stack(
        [3 + 2 * np.sin(y / height * 6), 2 * np.cos(x / width * 6)], 2
    ).astype(np.float32)
    first = cv2.remap(
        second,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    first, second = (
        np.rint(frame.clip(0, 255)).astype(np.uint8)
        for frame in (first, second)
    )
    return 'generated', first, second, flow


def length(vectors: np.ndarray) -> np.ndarray:
    """Lengths of the flow vectors that are known, (n,)."""
    found = np.hypot(vectors[..., 0], vectors[..., 1])
    return found[~np.isnan(found)]


def errors(pair: Pair, method: str, symmetric: bool) -> list[float]:
    """Measure the accuracy of one method on one pair.

    Returns:
        list[float]: End-point error (mean and median, pixels), per cent above
        one pixel, difference of the mirrored pair's flow to the mirrored flow
        (mean and largest, pixels).
    """
    _, first, second, truth = pair
    flow = compute_flow(first, second, method, symmetric=symmetric)
    mirrored = compute_flow(
        first[:, ::-1], second[:, ::-1], method, symmetric=symmetric
    )
    error = length(flow - truth)
    difference = length(flip_flow(mirrored) - flow)
    return [
        error.mean(),
        np.median(error),
        100 * (error > 1).mean(),
        difference.mean(),
        difference.max(),
    ]


def fastest_ms(pair: Pair, rows: Sequence[Row], seconds: float) -> list[float]:
    """Time the methods, which take turns so that load hits all of them.

    Returns:
        list[float]: Fastest call of each, in milliseconds.
    """
    times: list[list[float]] = [[] for _ in rows]
    while len(times[0]) < 2 or sum(map(sum, times)) < seconds * len(rows):
        for (method, symmetric), found in zip(rows, times, strict=True):
            start = time.perf_counter()
            compute_flow(*pair[1:3], method, symmetric=symmetric)
            found.append(time.perf_counter() - start)
    return [1000 * min(found) for found in times]


def main() -> None:
    """Print one table per pair, then the mean over the pairs."""
    args = parse_args()
    cv2.setNumThreads(args.threads)
    pairs = read_pairs(args.data) if args.data else [generate_pair(*args.size)]
    rows = [(m, s) for m in args.methods for s in (True, False)]
    print(f'OpenCV {cv2.__version__}, {args.threads} thread(s)')
    tables: dict[str, np.ndarray] = {}
    for pair in pairs:
        height, width = pair[1].shape[:2]
        found = [errors(pair, *row) for row in rows]
        took = fastest_ms(pair, rows, args.seconds)
        tables[f'{pair[0]} {width}x{height}'] = np.column_stack((found, took))
    tables['mean'] = np.mean(list(tables.values()), axis=0)
    for name, table in tables.items():
        print(
            f'\n{name:21s}  error px  median px  >1 px %'
            '  mirrored: mean px  max px        ms     x'
        )
        for (method, symmetric), numbers in zip(rows, table, strict=True):
            mean, median, share, difference, worst, ms = numbers
            label = method + (', symmetric' if symmetric else '')
            print(
                f'{label:21s}{mean:10.3f}{median:11.3f}{share:9.1f}'
                f'{difference:19.4f}{worst:8.3f}{ms:10.1f}'
                f'{ms / table[0, -1]:6.2f}'
            )


if __name__ == '__main__':
    main()
