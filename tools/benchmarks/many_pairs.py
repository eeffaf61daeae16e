r"""Measure what grows with the number of pairs, against what is stock.

Single files: a list of pairs, hard links of a few generated ones, as
``PairedDataset`` lists and checks them; against mmengine's ``BaseDataset`` of
the same records in a json file, reading and decoding the files alone, and
asking the file system for their states. CPU time of all processes together.

Shards: an index of empty shards, as ``ShardedPairedDataset`` opens it;
against a ``BaseDataset`` of the same samples, which keeps them in memory (of
at most 100,000, taken times what is missing), and mmengine's sampler.

``x``: ours over that of the peer.

    python tools/benchmarks/many_pairs.py --pairs 100000 --samples 10000000
"""

import argparse
import json
import os
import pickle
import resource
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before NumPy is imported

import cv2
import numpy as np
import torch
from mmengine.dataset import BaseDataset, InfiniteSampler
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.datasets import ResumableInfiniteSampler
from mmxdistill.datasets.checks import check_samples
from mmxdistill.datasets.shards import write_index
from mmxdistill.registry import DATASETS
from mmxdistill.synthetic import write_dataset

MODALITIES = ('color', 'depth')
LOADERS: dict[str, list[dict]] = dict(
    color=[dict(type='LoadImageFromFile')],
    depth=[dict(type='mmxdistill.LoadDepthFromFile')],
)
PEER_SAMPLES = 100_000


class Row(NamedTuple):
    """A line of the table: what, unit, ours, and what of the peer."""

    what: str
    unit: str
    ours: float
    peer_name: str
    peer: float


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument('--pairs', type=int, default=10_000)
    parser.add_argument('--files', type=int, default=20, help='that differ')
    parser.add_argument('--size', type=int, nargs=2, default=[640, 480])
    parser.add_argument('--samples', type=int, default=1_000_000)
    parser.add_argument('--shards', type=int, default=1000)
    return parser.parse_args()


def cpu_seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of a call, its processes included, and what it returns."""

    def spent() -> float:
        kinds = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
        usages = [resource.getrusage(kind) for kind in kinds]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    before = spent()
    result = call()
    return spent() - before, result


def link_pairs(folder: Path, args: argparse.Namespace) -> list[dict]:
    """Make the files, and the records of their pairs."""
    width, height = args.size
    write_dataset(
        folder / 'rooms',
        dict(pairs=args.files),
        image_size=(width, height),
        num_proposals=1,
        processes=1,
    )
    records = [
        dict(
            img_path=str(folder / 'color' / f'{index}.jpg'),
            modality_paths=dict(
                color=str(folder / 'color' / f'{index}.jpg'),
                depth=str(folder / 'depth' / f'{index}.png'),
            ),
        )
        for index in range(args.pairs)
    ]
    for name in MODALITIES:
        (folder / name).mkdir()
        sources = sorted((folder / 'rooms' / name).iterdir())
        for index, record in enumerate(records):
            paths: Any = record['modality_paths']
            os.link(sources[index % len(sources)], paths[name])
    names = ''.join(f'{index}\n' for index in range(args.pairs))
    (folder / 'pairs.txt').write_text(names)
    (folder / 'pairs.json').write_text(
        json.dumps(dict(metainfo={}, data_list=records))
    )
    return records


def open_pairs(folder: Path) -> Any:
    """A data set of the list, not checked."""
    endings = dict(color='jpg', depth='png')
    return DATASETS.build(
        dict(
            type='mmxdistill.PairedDataset',
            data_root=str(folder),
            ann_file='pairs.txt',
            modalities={
                name: dict(
                    path=f'{name}/{{0}}.{endings[name]}',
                    pipeline=LOADERS[name],
                )
                for name in MODALITIES
            },
            check_pairs=False,
        )
    )


def read(record: dict) -> None:
    """Read and decode the files of a pair."""
    for path in record['modality_paths'].values():
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
        cv2.imdecode(content, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)


def single_files(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """Starts of a run on single files."""
    records = link_pairs(folder, args)
    stock, _ = cpu_seconds(
        lambda: BaseDataset(str(folder / 'pairs.json'), data_root=str(folder))
    )
    listed, dataset = cpu_seconds(lambda: open_pairs(folder))
    yield Row('reading the list', 's', listed, 'BaseDataset, json', stock)
    some = records[:: -(-len(records) // 500)]
    decoded, _ = cpu_seconds(lambda: [read(record) for record in some])
    decoded *= len(records) / len(some)
    first, _ = cpu_seconds(lambda: check_samples(dataset))
    yield Row('first check', 's', first, 'reading the files', decoded)
    paths = [p for r in records for p in r['modality_paths'].values()]
    asked, _ = cpu_seconds(lambda: [os.stat(path) for path in paths])
    again, _ = cpu_seconds(lambda: check_samples(dataset))
    yield Row('check at the next start', 's', again, 'os.stat', asked)


def simulate_index(folder: Path, args: argparse.Namespace) -> None:
    """Write the index of shards of equal samples, all of them empty files."""
    rows = args.samples // args.shards
    with tempfile.TemporaryDirectory() as name:
        # One sample, whose key has eight digits.
        with tarfile.open(Path(name) / '000000.tar', 'w') as tar:
            for ending in ('color.jpg', 'depth.png'):
                tar.addfile(tarfile.TarInfo(f'00000000.{ending}'))
        write_index(name)
        described = json.loads((Path(name) / 'index.json').read_text())
        row = np.load(Path(name) / 'index.npy')
    names = [f'{number:06d}.tar' for number in range(args.shards)]
    for name in names:
        (folder / name).touch()
    table = np.lib.format.open_memmap(
        folder / 'index.npy', 'w+', row.dtype, (rows * args.shards,)
    )
    for number in range(args.shards):
        part = table[number * rows : (number + 1) * rows]
        part[:] = row[0]
        part['shard'] = number
        part['key'] = [f'{index:08d}' for index in range(rows)]
    table.flush()
    described |= dict(samples=len(table), shards=dict.fromkeys(names, 0))
    (folder / 'index.json').write_text(json.dumps(described))


def shards(folder: Path, args: argparse.Namespace) -> Iterator[Row]:
    """A data set of an index of shards."""
    folder.mkdir()
    simulate_index(folder, args)
    cfg = dict(
        type='mmxdistill.ShardedPairedDataset',
        shards=str(folder),
        modalities={name: dict(pipeline=LOADERS[name]) for name in MODALITIES},
        check_pairs=False,
    )
    opened, dataset = cpu_seconds(lambda: DATASETS.build(cfg))
    number = len(dataset)
    rng = np.random.default_rng(0)
    some = rng.integers(0, number, min(number, PEER_SAMPLES)).tolist()
    listing, records = cpu_seconds(
        lambda: [dataset.get_record(index) for index in some]
    )
    listed = folder / 'peer.json'
    listed.write_text(json.dumps(dict(metainfo={}, data_list=records)))
    more = number / len(some)
    reading, peer = cpu_seconds(lambda: BaseDataset(str(listed)))
    yield Row('opening', 's', opened, 'BaseDataset, json', reading * more)
    size = (folder / 'index.npy').stat().st_size
    kept = len(peer.data_bytes) + peer.data_address.nbytes
    yield Row('index', 'MB', size / 1e6, 'in memory', kept * more / 1e6)
    asking, _ = cpu_seconds(
        lambda: [peer.get_data_info(index) for index in range(len(some))]
    )
    each = 1e6 / len(some)
    yield Row(
        'a random sample', 'us', listing * each, 'unpickling', asking * each
    )
    sent = len(pickle.dumps(dataset)) / 1e6
    yield Row('sent to a worker', 'MB', sent, 'spawned', kept * more / 1e6)
    stock, _ = cpu_seconds(lambda: next(iter(InfiniteSampler(dataset))))
    ours, _ = cpu_seconds(
        lambda: next(iter(ResumableInfiniteSampler(dataset)))
    )
    yield Row('first index', 's', ours, 'InfiniteSampler', stock)


def main() -> None:
    """Measure and print tables."""
    args = parse_args()
    if args.samples < args.shards:
        raise SystemExit('--samples: a shard needs at least one sample')
    args.samples -= args.samples % args.shards
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    init_default_scope('mmdet')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ['MMXDISTILL_CACHE'] = str(folder / 'cache')
        titles = {
            f'{args.pairs} pairs of files': single_files(folder, args),
            f'{args.samples} samples in {args.shards} shards': shards(
                folder / 'shards', args
            ),
        }
        for title, rows in titles.items():
            found = list(rows)
            print(f'{title:<42}{"ours":>12}  {"peer":<20}{"":>12}{"x":>9}')
            for what, unit, ours, peer_name, peer in found:
                print(
                    f'{f"{what}, {unit}":<42}{ours:>12.4f}  {peer_name:<20}'
                    f'{peer:>12.4f}{ours / max(peer, 1e-9):>9.3f}'
                )


if __name__ == '__main__':
    main()
