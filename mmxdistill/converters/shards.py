"""Packing the files of a data set into tar shards."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePath
from typing import Any

from mmxdistill.atomic import atomic_write
from mmxdistill.datasets.configured import image_loader
from mmxdistill.datasets.shards import file_name, on_disk, write_index
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

    An interrupted packing goes on: shards that are there are kept, if path,
    size and time of change of all files are as they were when it began. If
    they are not, or cannot be told (files behind an address), all shards are
    made again.

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
    _begin(out, _plan(dataset, per_shard))
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


def _plan(dataset: Any, per_shard: int) -> dict[str, Any]:
    """What tells packings apart; ``states`` is that of the files."""
    count = len(dataset)
    names, states = blake2b(digest_size=16), blake2b(digest_size=16)
    known = True
    for index in range(count):
        files = _files(dataset, index)
        names.update(_text(files))
        state = _state(files.values())
        known &= state is not None
        states.update(_text(state))
    return dict(
        files=names.hexdigest(),
        states=states.hexdigest() if known else None,
        per_shard=per_shard,
        samples=count,
    )


def _text(value: Any) -> bytes:
    return repr(value).encode(errors='surrogateescape')


def _state(paths: Iterable[str]) -> list[tuple[int, int]] | None:
    """Size and time of change of each file; None if one is not local."""
    try:
        stats = [os.stat(on_disk(path)) for path in paths]
    except (OSError, ValueError):
        return None
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def _begin(out: Path, plan: dict[str, Any]) -> None:
    """Write down the plan; nothing of another one is there afterwards.

    Raises:
        ValueError: What is there is of other samples.
    """
    path = out / _PLAN
    before = read_json(path) if path.exists() else None
    same = isinstance(before, dict) and all(
        before.get(key) == value
        for key, value in plan.items()
        if key != 'states'
    )
    if path.exists() and not same:
        raise ValueError(
            f"'{out}' has shards of other files: give an empty folder"
        )
    shards = sorted(out.glob('*.tar'))
    count = -(-plan['samples'] // plan['per_shard'])
    own = {_shard(out, number) for number in range(count)} if same else set()
    for shard in shards:
        if shard not in own:
            raise ValueError(
                f"'{shard}' is none of the shards that '{path}' tells of: "
                'give an empty folder'
            )
    if before == plan and plan['states'] is not None:
        return
    if shards:
        print(
            f'{out}: files have changed since they were packed, or may have: '
            f'its shards ({len(shards)}) are made again'
        )
    # The index first, and the plan last: until then it is that of before.
    for name in ('index.json', 'index.npy'):
        (out / name).unlink(missing_ok=True)
    for shard in shards:
        shard.unlink()
    with atomic_write(path) as file:
        file.write(json.dumps(plan).encode())


def _shard(out: Path, number: int) -> Path:
    return out / f'pairs-{number:06d}.tar'


def _files(dataset: Any, index: int) -> dict[str, str]:
    """Path of each file of a sample by its name in the shard."""
    paths = image_loader(dataset).paths(dataset.get_record(index))
    first = file_name(next(iter(paths.values())))
    stem = PurePath(first).stem.replace('.', '_')
    # The number tells samples of different folders apart.
    key = f'{index:09d}_{stem.encode("ascii", "replace").decode()[:_STEM]}'
    return {
        f'{key}.{name}{PurePath(file_name(path)).suffix.lower()}': path
        for name, path in paths.items()
    }


def _write(dataset: Any, out: Path, per_shard: int, number: int) -> None:
    shard = _shard(out, number)
    if shard.exists():
        return
    start = number * per_shard
    with (
        atomic_write(shard) as file,
        tarfile.open(
            fileobj=file,
            mode='w',
            format=tarfile.USTAR_FORMAT,
            encoding='utf-8',
        ) as tar,
    ):
        for index in range(start, min(start + per_shard, len(dataset))):
            for name, path in _files(dataset, index).items():
                content = read_bytes(path)
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
