r"""Time the loading of pairs against the stock pipeline, in one run.

The stock pipeline does the same work with what mmdet and mmcv bring: each
modality into a key of its own, ``TransformBroadcaster`` over both with a
complete mapping, all of it in ``ProposalBroadcaster`` if there are proposals.
Ours stacks the modalities and resizes them in the loader as Caffe does, or
leaves flip, resize and encoding to the device, or, where both files are JPEG,
decodes them at a reduced size. The pipelines take turns on the same pairs, in
one thread, so that other load on the machine hits all of them; figures are
CPU time, medians over the rounds.

``x stock`` is pairs per second over those of the stock pipeline, ``x files``
the time over that of reading and decoding the files alone. ``then`` is the
time of the data preprocessor for the pair, on the same core.

    python tools/benchmarks/data_path.py
    MMXDISTILL_DATA=... python tools/benchmarks/data_path.py --proposals 0
"""

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before NumPy is imported

import cv2
import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.registry import MODELS, TRANSFORMS
from mmxdistill.synthetic import write_dataset

# Everything a geometric transform may write; see TransformBroadcaster.
KEYS = (
    'img_shape gt_bboxes scale scale_factor keep_ratio flip flip_direction '
    'homography_matrix'
).split()
COLOUR = [dict(type='LoadImageFromFile')]
FLIP = dict(type='RandomFlip', prob=0.5)
PACK = dict(
    type='PackDetInputs',
    meta_keys=(
        'img_path',
        'img_shape',
        'ori_shape',
        'scale_factor',
        'flip',
        'flip_direction',
        'homography_matrix',
        'encoder_inputs',
        'device_resize',
    ),
)
STOCK = 'mmcv / mmdet broadcasters'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--scale', type=int, default=300)
    parser.add_argument('--max-size', type=int, default=2000)
    parser.add_argument('--proposals', type=int, default=2000)
    parser.add_argument('--pairs', type=int, default=20)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument(
        '--room', type=int, nargs=2, default=[640, 480], metavar=('W', 'H')
    )
    return parser.parse_args()


class Stack:
    """Stack the two images, as networks of both modalities want them."""

    def __call__(self, results: dict) -> dict:
        """Concatenate the channels."""
        both = results['img'], results.pop('x')
        results['img'] = np.concatenate(both, axis=2)
        return results


def stock(load_x: list[dict], args: argparse.Namespace) -> Compose:
    """Build the pipeline of mmcv and mmdet."""
    mapping = dict(img=['img', 'x'], **{key: [key, key] for key in KEYS})
    geometry = dict(
        type='TransformBroadcaster',
        mapping=mapping,
        auto_remap=True,
        allow_nonexist_keys=True,
        # ProposalBroadcaster shares them already, and mmcv cannot do it twice.
        share_random_params=not args.proposals,
        transforms=[
            FLIP,
            dict(
                type='Resize',
                scale=(args.max_size, args.scale),
                keep_ratio=True,
            ),
        ],
    )
    steps: list[Any] = [
        *COLOUR,
        dict(
            type='KeyMapper',
            mapping=dict(img_path='x_path', img='x'),
            auto_remap=True,
            allow_nonexist_keys=True,
            transforms=load_x,
        ),
    ]
    if args.proposals:
        steps.append(dict(type='LoadProposals', num_max_proposals=2000))
        geometry = dict(type='ProposalBroadcaster', transforms=[geometry])
    steps += [geometry, Stack(), PACK]
    return build(steps)


def ours(
    load_x: list[dict],
    args: argparse.Namespace,
    on_device: bool,
    reduced: bool = False,
) -> Compose:
    """Build the pipeline of this package."""
    load_x = copy.deepcopy(load_x)
    if encodes(load_x):
        load_x[-1]['on_device'] = on_device
    geometry: list[Any] = [
        FLIP,
        dict(
            type='mmxdistill.CaffeResize',
            scale=args.scale,
            max_size=args.max_size,
            on_device=on_device,
        ),
    ]
    steps: list[Any] = [
        dict(
            type='mmxdistill.LoadModalities',
            modalities=dict(rgb=COLOUR, x=load_x),
            reduced_jpeg=reduced,
        )
    ]
    if args.proposals:
        steps.append(dict(type='LoadProposals', num_max_proposals=2000))
        geometry = [
            dict(
                type='mmxdistill.FastProposalBroadcaster', transforms=geometry
            )
        ]
    return build([*steps, *geometry, PACK])


def encodes(load_x: list[dict]) -> bool:
    """Whether a modality is encoded on the fly."""
    return bool(load_x[-1]['type'] == 'mmxdistill.EncodeHHA')


def build(steps: list[Any]) -> Compose:
    """Build transforms from configs."""
    return Compose(
        [
            TRANSFORMS.build(copy.deepcopy(step))
            if isinstance(step, dict)
            else step
            for step in steps
        ]
    )


def read(pair: dict) -> None:
    """Read and decode the files of a pair."""
    for path in pair['modality_paths'].values():
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
        cv2.imdecode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)


def make_pairs(
    colour: list[Path], other: list[Path], proposals: int
) -> list[dict]:
    """Make samples as a data set gives them, with random proposals."""
    rng = np.random.default_rng(0)
    pairs = []
    for rgb, x in zip(colour, other, strict=True):
        paths = dict(rgb=str(rgb), x=str(x))
        pair: dict[str, Any] = dict(
            img_path=paths['rgb'], x_path=paths['x'], modality_paths=paths
        )
        if proposals:
            corners = rng.uniform(0, 150, (proposals, 2))
            sides = rng.uniform(20, 150, (proposals, 2))
            pair['proposals'] = dict(
                bboxes=np.float32(np.hstack([corners, corners + sides])),
                scores=np.ones(proposals, np.float32),
            )
        pairs.append(pair)
    return pairs


def encoded(depth: list[Path], load: list[dict], folder: Path) -> list[Path]:
    """Encode depth once and for all, as PNG files."""
    folder.mkdir()
    pipeline = build(load)
    files = []
    for path in depth:
        hha = pipeline(dict(img_path=str(path)))['img']
        files.append(folder / f'{path.stem}.png')
        cv2.imwrite(str(files[-1]), hha)
    return files


def data_sets(
    args: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, list[Path], list[Path], list[dict]]]:
    """List name, colour files, files of the other modality and its loader."""
    size = (args.room[0], args.room[1])
    write_dataset(
        folder / 'rooms',
        dict(pairs=args.pairs),
        image_size=size,
        num_proposals=1,
        processes=1,
    )
    rooms = folder / 'rooms'
    roots = [('rooms', rooms, str(rooms / 'camera.json'))]
    real = os.environ.get('MMXDISTILL_DATA')
    if real:
        roots.append(('kitchen', Path(real) / 'kitchen_rgbd', 'kitchen'))
    for name, root, camera in roots:
        depth = sorted((root / 'depth').glob('*.png'))[: args.pairs]
        colour = [root / 'color' / f'{path.stem}.jpg' for path in depth]
        load = [
            dict(type='mmxdistill.LoadDepthFromFile'),
            dict(type='mmxdistill.FillDepth'),
            dict(type='mmxdistill.EncodeHHA', camera=camera),
        ]
        yield f'{name}, depth', colour, depth, load
        hha = encoded(depth, load, folder / f'{name}_hha')
        yield f'{name}, HHA files', colour, hha, COLOUR
    yield from large_rooms(args, folder / 'large')
    if real:
        root = Path(real) / 'roadscene_rgbt'
        colour = sorted((root / 'visible').glob('*.jpg'))[: args.pairs]
        thermal = [root / 'thermal' / path.name for path in colour]
        load = [dict(type='mmxdistill.LoadGrayImageFromFile')]
        yield 'RoadScene', colour, thermal, load


def large_rooms(
    args: argparse.Namespace, folder: Path
) -> Iterator[tuple[str, list[Path], list[Path], list[dict]]]:
    """Rooms of twice the width and height, and a grey JPEG beside each."""
    size = (2 * args.room[0], 2 * args.room[1])
    write_dataset(
        folder,
        dict(pairs=args.pairs),
        image_size=size,
        num_proposals=1,
        processes=1,
    )
    colour = sorted((folder / 'color').glob('*.jpg'))
    grey = [path.with_name(f'{path.stem}_grey.jpg') for path in colour]
    for path, other in zip(colour, grey, strict=True):
        cv2.imwrite(str(other), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    load = [dict(type='mmxdistill.LoadGrayImageFromFile')]
    yield f'rooms {size[0]}x{size[1]}, grey', colour, grey, load


def seconds(run: Callable[[dict], Any], pairs: list[dict]) -> list[float]:
    """CPU time of each pair."""
    found = []
    for pair in pairs:
        start = time.process_time()
        run(pair)
        found.append(time.process_time() - start)
    return found


def measure(
    pairs: list[dict], load_x: list[dict], args: argparse.Namespace
) -> dict[str, tuple[float, float]]:
    """Seconds per pair of the loader and of the preprocessor after it."""
    pipelines: dict[str, Any] = {
        'files alone': read,
        STOCK: stock(load_x, args),
        'ours, Caffe in the loader': ours(load_x, args, False),
        'ours, left to the device': ours(load_x, args, True),
    }
    if load_x[0]['type'] == 'mmxdistill.LoadGrayImageFromFile':
        for on_device in (False, True):
            name = f'reduced JPEG, {"device" if on_device else "loader"}'
            pipelines[name] = ours(load_x, args, on_device, reduced=True)

    def finish(batch: dict) -> None:
        waits = 'encoder_inputs' in batch['data_samples'][0]
        encoders[waits](batch, True)

    encoder = dict(x=dict(type='mmxdistill.HHAEncoder'))
    encoders = [
        MODELS.build(
            dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities={
                    name: dict(mean=[104.0, 117.0, 123.0])
                    for name in ('rgb', 'x')
                },
                encoders=encoder if waits else None,
            )
        )
        for waits in (False, encodes(load_x))
    ]

    times: dict[str, list[float]] = {name: [] for name in pipelines}
    after: dict[str, list[float]] = {name: [] for name in pipelines}
    for turn in range(args.rounds + 1):
        for pair in pairs:
            for name, pipeline in pipelines.items():
                run = [copy.deepcopy(pair)]
                spent = seconds(pipeline, run)
                if turn:  # the first is to warm up
                    times[name] += spent
        for name, pipeline in pipelines.items():
            if name == 'files alone':
                continue
            batch = pseudo_collate([pipeline(copy.deepcopy(pairs[0]))])
            if turn:
                after[name] += seconds(finish, [batch])
    per_pair = len(pairs)
    return {
        name: (
            float(np.median(np.reshape(times[name], (-1, per_pair)).mean(1))),
            float(np.median(after[name])) if after[name] else 0.0,
        )
        for name in pipelines
    }


def main() -> None:
    """Measure and print a table."""
    args = parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for title, colour, other, load in data_sets(args, Path(name)):
            pairs = make_pairs(colour, other, args.proposals)
            found = measure(pairs, load, args)
            rows += [(title, step, *times) for step, times in found.items()]
            stocks = {t: s for t, step, s, _ in rows if step == STOCK}
            files = {t: s for t, step, s, _ in rows if step == 'files alone'}
    print(
        f'shorter side {args.scale}, {args.proposals} proposals, '
        f'{args.pairs} pairs, one thread'
    )
    print(
        f'{"data set":<24}{"pipeline":<28}{"ms/pair":>9}{"pairs/s":>9}'
        f'{"stock x":>9}{"files x":>9}{"then ms":>9}'
    )
    for title, step, spent, after in rows:
        print(
            f'{title:<24}{step:<28}{1e3 * spent:>9.2f}{1 / spent:>9.1f}'
            f'{stocks[title] / spent:>9.2f}{spent / files[title]:>9.2f}'
            f'{1e3 * after:>9.2f}'
        )


if __name__ == '__main__':
    main()
