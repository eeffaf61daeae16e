r"""Time a step of CaffeSGD against ``torch.optim.SGD(foreach=True)``.

All optimizers update equal copies of the parameters of a Fast R-CNN detector
from the same gradients; biases have twice the learning rate and no weight
decay. They take turns, a few steps each, so that other load on the machine
hits all of them; ratios are medians over the rounds. The first one runs
twice: what its second copy differs by is noise. "One group each" are the
parameter groups that mmengine makes of ``paramwise_cfg``.

    python tools/benchmarks/optimizer_step.py
    python tools/benchmarks/optimizer_step.py --device cuda --steps 20
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.engine.optimizers import CaffeSGD
from mmxdistill.registry import MODELS

# Network: backbone, widths, side of the RoI feature.
NETS = {
    'caffenet': ('mmxdistill.CaffeNet', (96, 256, 384, 384, 256), 6),
    'vgg16': ('mmxdistill.VGG16', (64, 128, 256, 512, 512), 7),
}
FC_CHANNELS = 4096
SOLVER = dict(lr=0.001, momentum=0.9, weight_decay=0.0005)


class Cost(NamedTuple):
    """Seconds that a step costs, and of CPU time of this process."""

    wall: float
    cpu: float


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--net', choices=list(NETS), nargs='+', default=list(NETS)
    )
    parser.add_argument(
        '--divide', type=int, default=1, help='divisor of all widths'
    )
    parser.add_argument('--steps', type=int, default=1, help='per turn')
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def shapes(net: str, divisor: int) -> list[tuple[str, torch.Size]]:
    """Names and shapes of the parameters of a Fast R-CNN detector."""
    backbone, widths, size = NETS[net]
    channels = [max(2, width // divisor // 2 * 2) for width in widths]
    init_default_scope('mmdet')
    with torch.device('meta'):
        modules = nn.ModuleList(
            MODELS.build(cfg)
            for cfg in (
                dict(type=backbone, channels=channels),
                dict(
                    type='mmxdistill.FastRCNNBBoxHead',
                    in_channels=channels[-1],
                    roi_feat_size=size,
                    fc_channels=max(2, FC_CHANNELS // divisor),
                    num_classes=19,
                ),
            )
        )
    return [(name, p.shape) for name, p in modules.named_parameters()]


def groups(params: dict[str, nn.Parameter], one_each: bool) -> list[dict]:
    """Parameter groups with Caffe's settings of biases."""
    bias = dict(lr=2 * SOLVER['lr'], weight_decay=0.0)
    biases = {name: p for name, p in params.items() if name.endswith('bias')}
    if one_each:
        return [
            {'params': [p], **(bias if name in biases else {})}
            for name, p in params.items()
        ]
    weights = [p for name, p in params.items() if name not in biases]
    return [{'params': weights}, {'params': [*biases.values()], **bias}]


def torch_sgd(param_groups: list[dict]) -> Optimizer:
    """What CaffeSGD is compared with."""
    return SGD(param_groups, **SOLVER, foreach=True)


def caffe_sgd(param_groups: list[dict]) -> Optimizer:
    """The optimizer of the Caffe schedules."""
    return CaffeSGD(param_groups, **SOLVER)


# Row: optimizer, whether each parameter is a group of its own.
ROWS: dict[str, tuple[Callable[[list[dict]], Optimizer], bool]] = {
    'SGD(foreach=True)': (torch_sgd, False),
    'the same again': (torch_sgd, False),
    'CaffeSGD': (caffe_sgd, False),
    'SGD, one group each': (torch_sgd, True),
    'CaffeSGD, one each': (caffe_sgd, True),
}


def build(
    net: str, args: argparse.Namespace
) -> tuple[dict[str, Optimizer], dict[str, list[Tensor]]]:
    """The optimizers, and the parameters that each of them updates."""
    start, gradients = {}, {}
    for name, shape in shapes(net, args.divide):
        start[name] = 0.01 * torch.randn(shape, device=args.device)
        gradients[name] = torch.randn(shape, device=args.device)
    optimizers, updated = {}, {}
    for row, (make, one_each) in ROWS.items():
        params = {
            name: nn.Parameter(value.clone()) for name, value in start.items()
        }
        for name, param in params.items():
            param.grad = gradients[name]
        optimizers[row] = make(groups(params, one_each))
        updated[row] = list(params.values())
    count = sum(value.numel() for value in start.values())
    print(
        f'\n{net}: {count:,} parameters in {len(start)} '
        f'tensors, {args.device}, {args.threads} thread(s), '
        f'torch {torch.__version__}'
    )
    return optimizers, updated


def run(optimizer: Optimizer, args: argparse.Namespace) -> Cost:
    """Average cost of a step."""
    cuda = torch.device(args.device).type == 'cuda'
    if cuda:
        torch.cuda.synchronize(args.device)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(args.steps):
        optimizer.step()
    if cuda:
        torch.cuda.synchronize(args.device)
    return Cost(
        (time.perf_counter() - wall) / args.steps,
        (time.process_time() - cpu) / args.steps,
    )


def check(updated: dict[str, list[Tensor]]) -> None:
    """All rows must agree, as the learning rate is constant."""
    expected = next(iter(updated.values()))
    for row, params in updated.items():
        for a, b in zip(params, expected, strict=True):
            if not torch.allclose(a, b, rtol=1e-4, atol=1e-5):
                raise SystemExit(f"'{row}' computes something else")


def report(costs: dict[str, list[Cost]]) -> None:
    """Print medians, ratios to the first row (x) and their quartiles."""
    print(f'{"":20s}       ms       x    (quartiles)   CPU ms       x')
    first = np.array(next(iter(costs.values())))
    for name, rows in costs.items():
        wall, cpu = np.median(rows, axis=0)
        ratios = np.array(rows) / first
        low, ratio, high = np.quantile(ratios[:, 0], (0.25, 0.5, 0.75))
        print(
            f'{name:20s}{1000 * wall:9.2f}{ratio:8.3f}'
            f'  ({low:5.3f}, {high:5.3f})'
            f'{1000 * cpu:9.2f}{np.median(ratios[:, 1]):8.3f}'
        )


def main() -> None:
    """Let all optimizers take turns and print a table per network."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    for net in args.net:
        optimizers, updated = build(net, args)
        for optimizer in optimizers.values():
            run(optimizer, args)  # warm-up, makes the buffers
        costs: dict[str, list[Cost]] = {name: [] for name in optimizers}
        for i in range(args.rounds):
            for name in list(optimizers) if i % 2 else reversed(optimizers):
                costs[name].append(run(optimizers[name], args))
        check(updated)
        report(costs)
        del optimizers, updated  # before the next network is built


if __name__ == '__main__':
    main()
