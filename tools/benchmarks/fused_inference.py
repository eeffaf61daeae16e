r"""Time fused inference against the sum of its streams, in one run.

Detectors of mmdet's model zoo, random weights, K copies on K modalities. The
fusion and each stream alone take turns on the same images (and, for two-stage
detectors, the same proposals), so that other load on the machine hits all of
them; ratios are medians over the rounds of the fusion's time / the sum of the
times of its streams, of wall-clock and of CPU time.

    python tools/benchmarks/fused_inference.py
    python tools/benchmarks/fused_inference.py --device cuda --size 800 1344
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

DETECTORS = {
    'faster_rcnn': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'cascade_rcnn': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'yolox': 'yolox/yolox_s_8xb8-300e_coco.py',
    'retinanet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        '--detectors',
        nargs='+',
        choices=list(DETECTORS),
        default=list(DETECTORS),
    )
    parser.add_argument('--streams', type=int, default=2)
    parser.add_argument('--size', type=int, nargs=2, default=[320, 320])
    parser.add_argument('--proposals', type=int, default=300)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def build(name: str, streams: int, device: str) -> Any:
    """Build a fusion of equal detectors."""
    cfg = resolve_network(f'mmdet::{DETECTORS[name]}').model
    cfg.backbone.init_cfg = None
    names = [f'modality{i}' for i in range(streams)]
    model = MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            streams={n: dict(model=copy.deepcopy(cfg)) for n in names},
            data_preprocessor=dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities={n: n for n in names},
                pad_size_divisor=32,
            ),
        )
    )
    return model.to(device).eval()


def make_sample(
    height: int, width: int, proposals: int, device: str
) -> DetDataSample:
    """Make a sample with random proposals."""
    sample = DetDataSample(
        metainfo=dict(
            img_path='random',
            img_shape=(height, width),
            ori_shape=(height, width),
            pad_shape=(height, width),
            batch_input_shape=(height, width),
            scale_factor=(1.0, 1.0),
        )
    )
    limits = torch.tensor([width, height], device=device)
    low = torch.rand(proposals, 2, device=device) * limits * 0.7
    size = 16 + torch.rand(proposals, 2, device=device) * limits * 0.3
    sample.proposals = InstanceData(
        bboxes=torch.cat([low, (low + size).minimum(limits)], 1)
    )
    return sample


def seconds(run: Callable[[], Any], device: str) -> np.ndarray:
    """Wall-clock and CPU time of a call."""
    clocks = time.perf_counter, time.process_time
    start = np.array([clock() for clock in clocks])
    run()
    if device != 'cpu':
        torch.cuda.synchronize()
    return np.array([clock() for clock in clocks]) - start


@torch.no_grad()
def measure(
    name: str, args: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    """Medians over the rounds, wall-clock and CPU.

    Returns:
        tuple: Seconds of the fusion, and ratio to the sum of its streams.
    """
    torch.manual_seed(0)
    model = build(name, args.streams, args.device)
    height, width = args.size
    sample = make_sample(height, width, args.proposals, args.device)
    x = torch.randn(1, 3 * args.streams, height, width, device=args.device)
    parts = {n: model.part(n, x) for n in model.streams}

    def alone(stream: str) -> Callable[[], Any]:
        return lambda: model.streams[stream].predict(
            parts[stream], [copy.copy(sample)]
        )

    runs = [lambda: model.predict(x, [copy.copy(sample)])]
    runs += [alone(n) for n in model.streams]
    for run in runs:  # warm up
        run()
    ratios, fused = [], []
    for _ in range(args.rounds):
        first, *others = (seconds(run, args.device) for run in runs)
        ratios.append(first / sum(others))
        fused.append(first)
    return np.median(fused, 0), np.median(ratios, 0)


def main() -> None:
    """Measure and print a table."""
    args = parse_args()
    init_default_scope('mmdet')
    MMLogger.get_instance('mmengine', log_level='ERROR')
    # Some imports of the stack print: the table comes in one piece.
    found = {name: measure(name, args) for name in args.detectors}
    print(
        f'{args.streams} streams, {args.size[0]}x{args.size[1]} pixels, '
        f'{args.proposals} proposals, {args.device}'
    )
    print(
        f'{"detector":<14}{"fused ms":>10}{"CPU ms":>10}'
        f'{"wall x":>10}{"CPU x":>10}'
    )
    for name, ((wall, cpu), (ratio, cpu_ratio)) in found.items():
        print(
            f'{name:<14}{1e3 * wall:>10.1f}{1e3 * cpu:>10.1f}'
            f'{ratio:>10.3f}{cpu_ratio:>10.3f}'
        )


if __name__ == '__main__':
    main()
