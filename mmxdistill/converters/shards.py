"""Packing the files of a data set into tar shards."""

from __future__ import annotations

import io
import json
import tarfile
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any

from mmxdistill.atomic import atomic_write
from mmxdistill.datasets.configured import image_loader
from mmxdistill.datasets.shards import write_index
from mmxdistill.datasets.transforms.image_file import read_bytes
from mmxdistill.parallel import map_parallel
from mmxdistill.text_files import read_json

__all__ = ['pack_shards']

_PLAN = 'packing.json'
_STEM = 60


def pack_shards(
    dataset: Any, out: Path, per_shard: int = 1000, jobs: int | None = None
) -> int:
    """Write the files of all samples, unchanged, and their index.

    Shards that are there already are kept, so an interrupted packing goes on.

    Args:
        dataset (PairedDataset): Fully initialised, hence checked.
        out (Path): Folder of the shards.
        per_shard (int): Samples of a shard. Defaults to 1000.
        jobs (int, optional): Processes. Defaults to the CPUs.

    Returns:
        int: Number of samples.

    Raises:
        ValueError: The folder has shards of other samples, or a file cannot
            be read.
    """
    count = len(dataset)
    digest = blake2b(digest_size=16)
    for index in range(count):
        digest.update(repr(_files(dataset, index)).encode())
    plan = dict(files=digest.hexdigest(), per_shard=per_shard, samples=count)
    path = out / _PLAN
    if path.exists() and read_json(path) != plan:
        raise ValueError(
            f"'{out}' has shards of other files: give an empty folder"
        )
    with atomic_write(path) as file:
        file.write(json.dumps(plan).encode())
    outcomes = map_parallel(
        partial(_write, dataset, out, per_shard),
        range(-(-count // per_shard)),
        jobs,
        'packing shards',
    )
    for outcome in outcomes:
        if outcome.error is not None:
            raise ValueError(f'shard {outcome.item}: {outcome.error}')
    return write_index(out)


def _files(dataset: Any, index: int) -> dict[str, str]:
    """Path of each file of a sample by its name in the shard."""
    paths = image_loader(dataset).paths(dataset.get_record(index))
    stem = PurePath(next(iter(paths.values()))).stem.replace('.', '_')
    # The number tells samples of different folders apart.
    key = f'{index:09d}_{stem.encode("ascii", "replace").decode()[:_STEM]}'
    return {
        f'{key}.{name}{PurePath(path).suffix.lower()}': path
        for name, path in paths.items()
    }


def _write(dataset: Any, out: Path, per_shard: int, number: int) -> None:
    shard = out / f'pairs-{number:06d}.tar'
    if shard.exists():
        return
    start = number * per_shard
    with (
        atomic_write(shard) as file,
        tarfile.open(fileobj=file, mode='w', format=tarfile.USTAR_FORMAT) as t,
    ):
        for index in range(start, min(start + per_shard, len(dataset))):
            for name, path in _files(dataset, index).items():
                content = read_bytes(path)
                member = tarfile.TarInfo(name)
                member.size = len(content)
                t.addfile(member, io.BytesIO(content))
