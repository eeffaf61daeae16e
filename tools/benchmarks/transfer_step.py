r"""Time a transfer step against a bare PyTorch loop, in one run.

Both train equal copies of the same networks on the same tensors: the teacher
without gradients, the student, a 1x1 convolution + ReLU, half the squared
distance, SGD. The loops take turns, a few iterations each, so that other load
on the machine hits all of them; ratios are medians over the rounds. The bare
loop runs twice: what its second copy differs by is noise.

The bare loop has only what has to run: of a ResNet-50 whose layer1 is wanted,
the stem and layer1.

    python tools/benchmarks/transfer_step.py
    python tools/benchmarks/transfer_step.py --device cuda --dtype bf16 \
        --pairs vgg16-caffenet --size 688 904 --batch 16 --iterations 20
"""

import argparse
import copy
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook
from torch.optim import SGD

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.models.detectors import SupervisionTransfer
from mmxdistill.registry import MODELS

Step = Callable[[], Tensor]

POOL5 = dict(out_features=('pool5',))
CAFFENET = dict(type='mmxdistill.CaffeNet', **POOL5)
CAFFENET_HHA = dict(**CAFFENET, geometry='hha')
VGG16 = dict(type='mmxdistill.VGG16', **POOL5)
SQUEEZENET = dict(type='mmxdistill.SqueezeNet', out_features=('fire9',))
RESNET50 = dict(type='ResNet', depth=50)
# Teacher, student, their feature.
PAIRS = {
    'caffenet-caffenet': (CAFFENET, CAFFENET_HHA, 'pool5'),
    'vgg16-caffenet': (VGG16, CAFFENET_HHA, 'pool5'),
    'vgg16-vgg16': (VGG16, VGG16, 'pool5'),
    'squeezenet-squeezenet': (SQUEEZENET, SQUEEZENET, 'fire9'),
    'resnet50-resnet50': (RESNET50, RESNET50, 'layer1'),
}
# One H200: dense TFLOP/s (float32 convolutions of PyTorch run in TF32), and
# TB/s of its memory.
PEAK_TFLOPS = {'bf16': 989, 'fp32': 495}
PEAK_TBS = 4.8


class Cost(NamedTuple):
    """What an iteration costs.

    Attributes:
        wall: Seconds.
        cpu: Seconds of CPU time of this process.
        memory: Peak of bytes allocated on the GPU by it.
    """

    wall: float
    cpu: float
    memory: int


class AutocastOptimWrapper(OptimWrapper):
    """AmpOptimWrapper that runs on the CPU too.

    It has no loss scaling, which bfloat16 does not need.
    """

    def __init__(self, optimizer: SGD, autocast: torch.autocast) -> None:
        super().__init__(optimizer)
        self.autocast = autocast

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Compute the losses in mixed precision."""
        with super().optim_context(model), self.autocast:
            yield


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--pairs',
        nargs='+',
        choices=list(PAIRS),
        default=['caffenet-caffenet', 'resnet50-resnet50'],
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[427, 561],
        metavar=('H', 'W'),
        help='of the images, which are padded to multiples of 32',
    )
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument(
        '--iterations', type=int, default=1, help='per turn of a loop'
    )
    parser.add_argument('--rounds', type=int, default=20)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--dtype', choices=list(PEAK_TFLOPS), default='fp32')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def build_model(pair: str, device: str) -> SupervisionTransfer:
    """The transfer as a config describes it, with random weights."""
    teacher, student, feature = PAIRS[pair]
    statistics = dict(mean=[102.98, 115.95, 122.77])
    MMLogger.get_current_instance().setLevel('WARNING')
    init_default_scope('mmdet')
    model = MODELS.build(
        dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities=dict(rgb=statistics, hha=statistics),
                pad_size_divisor=32,
            ),
            teacher=teacher,
            teacher_checkpoint=None,
            student=student,
            modalities=dict(teacher='rgb', student='hha'),
            transfer_points=[
                dict(
                    teacher=feature,
                    student=feature,
                    adaptation=dict(type='mmxdistill.AdaptationNeck'),
                )
            ],
        )
    )
    model.init_weights()
    return model.to(device).train()


@torch.no_grad()
def prepare(
    model: SupervisionTransfer, args: argparse.Namespace
) -> tuple[dict, Tensor, list[DetDataSample]]:
    """A batch as a loader gives it, and as the model gets it.

    Also sets the energy of the loss, which a hook of the runner measures.
    """
    shape = 6, *args.size
    data = dict(
        inputs=[
            torch.randint(256, shape, dtype=torch.uint8)
            for _ in range(args.batch)
        ],
        data_samples=[DetDataSample() for _ in range(args.batch)],
    )
    batch = model.data_preprocessor(data, True)
    inputs, samples = batch['inputs'], batch['data_samples']
    ((_, target),) = model.features(inputs, samples)
    model.points[0].loss.calibrate(
        target.square().sum().item() / 2 / args.batch
    )
    return data, inputs, samples


def needed_part(network: nn.Module, feature: str) -> nn.Module:
    """A copy of what has to run of a network."""
    network = copy.deepcopy(network)
    if not hasattr(network, feature) or hasattr(network, 'out_features'):
        return network  # stops at its out_features
    layers: list[nn.Module] = []
    for name, layer in network.named_children():
        layers.append(layer)
        if name == feature:
            break
    return nn.Sequential(*layers)


def bare_step(model: Any, inputs: Tensor, autocast: torch.autocast) -> Step:
    """One iteration written by hand."""
    point = model.points[0]
    teacher = needed_part(model.teacher, point.teacher)
    student = needed_part(model.backbone, point.student)
    adaptation = nn.Sequential(
        copy.deepcopy(point.adaptation.conv), nn.ReLU(inplace=True)
    )
    optimizer = sgd([*student.parameters(), *adaptation.parameters()])
    factor = 0.5 / len(inputs) / point.loss.energy.item()
    rgb, hha = (part.contiguous() for part in inputs.chunk(2, 1))

    def step() -> Tensor:
        with autocast:
            with torch.no_grad():
                target = only(teacher(rgb))
            feature = only(student(hha))
            loss = factor * functional.mse_loss(
                adaptation(feature), target, reduction='sum'
            )
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def only(output: Any) -> Tensor:
    """The feature, of a network that gives a tuple of one."""
    return output if isinstance(output, Tensor) else output[0]


def model_step(
    model: Any,
    inputs: Tensor,
    samples: list[DetDataSample],
    autocast: torch.autocast,
) -> Step:
    """One iteration as in mmengine, after the data preprocessor."""
    model = copy.deepcopy(model)
    wrapper = AutocastOptimWrapper(sgd(model.parameters()), autocast)

    def step() -> Tensor:
        with wrapper.optim_context(model):
            losses = model(inputs, samples, mode='loss')
        loss, log_vars = model.parse_losses(losses)
        wrapper.update_params(loss)
        return log_vars['loss']

    return step


def train_step(model: Any, data: dict, autocast: torch.autocast) -> Step:
    """One iteration as in mmengine, from 8-bit images in main memory."""
    model = copy.deepcopy(model)
    wrapper = AutocastOptimWrapper(sgd(model.parameters()), autocast)
    return lambda: model.train_step(data, wrapper)['loss']


def sgd(parameters: Iterable[nn.Parameter]) -> SGD:
    """The optimizer of all loops."""
    return SGD(parameters, lr=1e-4, momentum=0.9, weight_decay=5e-4)


def check(steps: dict[str, Step]) -> None:
    """Run the first iteration of all loops, whose losses must agree."""
    losses = {name: step().item() for name, step in steps.items()}
    expected = next(iter(losses.values()))
    for name, loss in losses.items():
        if not math.isclose(loss, expected, rel_tol=0.01):
            raise SystemExit(
                f"'{name}' computes something else: its loss is {loss:g}, "
                f'that of the bare loop {expected:g}'
            )


def run(step: Step, args: argparse.Namespace) -> Cost:
    """Average cost of an iteration."""
    cuda = torch.device(args.device).type == 'cuda'
    before = 0
    if cuda:
        torch.cuda.synchronize(args.device)
        torch.cuda.reset_peak_memory_stats(args.device)
        before = torch.cuda.memory_allocated(args.device)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(args.iterations):
        step()
    if cuda:
        torch.cuda.synchronize(args.device)
    return Cost(
        (time.perf_counter() - wall) / args.iterations,
        (time.process_time() - cpu) / args.iterations,
        torch.cuda.max_memory_allocated(args.device) - before if cuda else 0,
    )


@torch.no_grad()
def h200_bound(model: Any, inputs: Tensor, dtype: str) -> float:
    """Seconds that a step takes at the peak rates of an H200.

    The student computes three times: forward, gradients of the features and
    of the weights; the first layer needs no gradient of its input. A fused
    step moves each feature of the teacher 2 times, of the student 6 times.
    The longer of arithmetic and traffic counts.
    """

    def work(forward: Callable[[], object]) -> tuple[list[int], int]:
        flops: list[int] = []
        elements: list[int] = []

        def count(module: nn.Module, _: object, output: Tensor) -> None:
            if isinstance(module, nn.Conv2d):
                flops.append(2 * output.numel() * module.weight[0].numel())
            if not isinstance(module, nn.ReLU) and not [*module.children()]:
                elements.append(output.numel())

        with register_module_forward_hook(count):
            forward()
        return flops, sum(elements)

    rgb, hha = inputs.chunk(2, 1)
    adaptation = model.points[0].adaptation
    point = model.points[0]
    network = needed_part(model.teacher, point.teacher)
    teacher, frozen = work(lambda: network(rgb))
    network = needed_part(model.backbone, point.student)
    student, trained = work(lambda: adaptation(only(network(hha))))
    flops = sum(teacher) + 3 * sum(student) - student[0]
    traffic = {'bf16': 2, 'fp32': 4}[dtype] * (2 * frozen + 6 * trained)
    print(f'a step: {flops / 1e9:.1f} GFLOP, {traffic / 1e9:.2f} GB')
    return max(flops / PEAK_TFLOPS[dtype], traffic / PEAK_TBS) / 1e12


def report(
    costs: dict[str, list[Cost]], bound: float, args: argparse.Namespace
) -> None:
    """Print medians, ratios to the bare loop (x) and their quartiles."""
    cuda = torch.device(args.device).type == 'cuda'
    print(
        f'{"":20s}       ms       x    (quartiles)   CPU ms       x  images/s'
        + ('     MiB  of H200 bound' if cuda else '')
    )
    bare = next(iter(costs.values()))
    for name, rows in costs.items():
        wall, cpu, memory = np.median(rows, axis=0)
        ratios = np.array(rows)[:, :2] / np.array(bare)[:, :2]
        low, ratio, high = np.quantile(ratios[:, 0], (0.25, 0.5, 0.75))
        print(
            f'{name:20s}{1000 * wall:9.2f}{ratio:8.3f}'
            f'  ({low:5.3f}, {high:5.3f})'
            f'{1000 * cpu:9.2f}{np.median(ratios[:, 1]):8.3f}'
            f'{args.batch / wall:10.1f}'
            + (f'{memory / 2**20:8.0f}{bound / wall:15.1%}' if cuda else '')
        )


def measure(pair: str, args: argparse.Namespace) -> None:
    """Let all loops of a pair take turns and print a table."""
    torch.manual_seed(args.seed)
    model = build_model(pair, args.device)
    data, inputs, samples = prepare(model, args)
    print(
        f'{pair} ({PAIRS[pair][2]}), {args.batch} images padded to '
        f'{inputs.shape[2]} x {inputs.shape[3]}, {args.dtype}, {args.device}, '
        f'{args.threads} thread(s), torch {torch.__version__}'
    )
    bound = h200_bound(model, inputs, args.dtype)
    autocast = torch.autocast(
        inputs.device.type, torch.bfloat16, enabled=args.dtype == 'bf16'
    )
    steps = {
        'bare PyTorch loop': bare_step(model, inputs, autocast),
        'the same again': bare_step(model, inputs, autocast),
        'SupervisionTransfer': model_step(model, inputs, samples, autocast),
        '+ data preprocessor': train_step(model, data, autocast),
    }
    check(steps)
    for step in steps.values():
        run(step, args)  # warm-up
    costs: dict[str, list[Cost]] = {name: [] for name in steps}
    for i in range(args.rounds):
        for name in list(steps) if i % 2 else reversed(steps):
            costs[name].append(run(steps[name], args))
    report(costs, bound, args)


def main() -> None:
    """Measure one pair of networks after the other."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    for i, pair in enumerate(args.pairs):
        print(end='\n' * (i > 0))
        measure(pair, args)


if __name__ == '__main__':
    main()
