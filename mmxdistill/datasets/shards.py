"""Pairs in tar shards, found through an index that is mapped into memory.

The shards are those of the WebDataset format: tar files in which the files of
a sample follow each other, ``<key>.<modality>.<suffix>``. The index tells
where each file begins, so that samples are read in any order, by any sampler,
and a run resumes as from single files. Nothing of it grows with the number of
samples but the index, of which only the pages in use are in memory.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from mmengine.fileio import BaseStorageBackend, register_backend

from mmxdistill.atomic import atomic_write
from mmxdistill.text_files import read_json

__all__ = [
    'ShardBackend',
    'ShardIndex',
    'file_name',
    'on_disk',
    'write_index',
]

_BLOCK = 512  # of a tar file, whose headers are one
_NAME = 100  # bytes
_AGAIN = 'pack again, or index the shards again'
_PATH = re.compile(
    r'tar://(.+\.tar)/([^/]+)#(\d+)\+(\d+)(?:@([0-9a-f]{8}))?', re.DOTALL
)
# Offset, size and mark of a file in a shard.
File: TypeAlias = tuple[int, int, int]


class Place(NamedTuple):
    """Where a file is in a shard."""

    shard: str
    name: str
    offset: int
    size: int
    mark: str | None


def find_file(path: str | os.PathLike[str]) -> Place | None:
    """Take the path of a file in a shard apart; None if it is another."""
    match = _PATH.fullmatch(str(path))
    if match is None:
        return None
    return Place(match[1], match[2], int(match[3]), int(match[4]), match[5])


def on_disk(path: str) -> str:
    """The file of a path, or the shard that it is in."""
    place = find_file(path)
    return path if place is None else place.shard


def file_name(path: str) -> str:
    """Name of a file, also of one in a shard."""
    place = find_file(path)
    return Path(path).name if place is None else place.name


def _mark(header: bytes, size: int) -> int:
    """A number (CRC-32) by which a file is known to be that of the index.

    The header alone does not do: it says another name than a link to it, and
    what does not fit into it is in another one before.
    """
    return zlib.crc32(b'%d' % size, zlib.crc32(header))


class ShardBackend(BaseStorageBackend):
    """mmengine's backend of ``tar://<shard>/<file>#<offset>+<bytes>@<mark>``.

    All loaders read through it as they read files.
    """

    def get(self, filepath: str) -> bytes:
        """Read a file out of its shard.

        Raises:
            FileNotFoundError: There is no such shard.
            ValueError: The index does not belong to it.
        """
        place = find_file(filepath)
        if place is None:
            raise ValueError(f"'{filepath}' is no file in a shard")
        content, start = b'', place.offset - _BLOCK
        with open(place.shard, 'rb') as file:
            # Python allocates what is asked for.
            end = os.fstat(file.fileno()).st_size
            short = start < 0 or place.offset + place.size > end
            if not short:
                file.seek(start)
                content = file.read(_BLOCK + place.size)
        mark = f'{_mark(content[:_BLOCK], place.size):08x}'
        if short or mark != place.mark:
            raise ValueError(
                f"'{filepath}': the shard "
                + ('ends before it' if short else 'has another file there')
                + f'; the index is that of other shards: {_AGAIN}'
            )
        return content[_BLOCK:]

    def get_text(self, filepath: str, encoding: str = 'utf-8') -> str:
        """Read a text out of its shard."""
        return self.get(filepath).decode(encoding)


register_backend('mmxdistill.tar', ShardBackend, prefixes='tar', force=True)


class ShardIndex(Sequence[dict[str, str]]):
    """Paths of the files of each sample in the shards of a folder.

    Args:
        folder (str or PathLike): With shards and the index of
            :func:`write_index`.

    Attributes:
        modalities (dict[str, str]): Modality -> suffix of its files.

    Raises:
        FileNotFoundError: There is no index.
        ValueError: It is damaged, or not that of these shards.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        described = self.folder / 'index.json'
        if not described.is_file():
            raise FileNotFoundError(
                f"'{self.folder}' has no index.json: make shards with "
                'tools/dataset_converters/pack_shards.py, which also indexes '
                'those of others'
            )
        content: Any = read_json(described)
        try:
            self.shards: dict[str, int] = dict(content['shards'])
            self.modalities: dict[str, str] = dict(content['modalities'])
            whole = content['samples']
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"'{described}' is damaged: {error}") from None
        self._rows = self._read_rows()
        whole = whole == len(self._rows)
        for name, size in self.shards.items():
            path = self.folder / name
            if not path.is_file() or path.stat().st_size != size or not whole:
                raise ValueError(
                    f"'{described}' is not the index of '{path}' as it is: "
                    f'{_AGAIN}'
                )
        self._names = list(self.shards)

    def _read_rows(self) -> np.ndarray:
        path = self.folder / 'index.npy'
        if not path.is_file():
            raise FileNotFoundError(f"'{path}' does not exist")
        try:
            rows: np.ndarray = np.load(path, mmap_mode='r')
            columns = _columns(rows['key'].itemsize, len(self.modalities))
            if rows.ndim != 1 or rows.dtype != np.dtype(columns):
                raise ValueError('it has other columns')
        # NumPy reads the header as Python text, which may fail in many ways.
        except Exception as error:
            raise ValueError(
                f"'{path}' is damaged ({error}): {_AGAIN}"
            ) from None
        return rows

    def __reduce__(self) -> tuple[Any, ...]:
        """Processes open it anew: the mapping is not sent to them."""
        return type(self), (self.folder,)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """Path of each modality of a sample, or a list of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        row = self._rows[index]
        try:
            shard = self.folder / self._names[int(row['shard'])]
            key = bytes(row['key']).decode()
        except (IndexError, UnicodeDecodeError) as error:
            path = self.folder / 'index.npy'
            raise ValueError(
                f"'{path}' is damaged at sample {index} ({error}): {_AGAIN}"
            ) from None
        return {
            name: f'tar://{shard}/{key}.{suffix}#{offset}+{size}@{mark:08x}'
            for (name, suffix), offset, size, mark in zip(
                self.modalities.items(),
                *(row[part].tolist() for part in ('offset', 'size', 'mark')),
                strict=True,
            )
        }


def write_index(folder: str | os.PathLike[str]) -> int:
    """Index the shards of a folder.

    Links to files of the same shard count as these files, hard links as tar
    writes them for further names of a file, too.

    Args:
        folder (str or PathLike): With ``*.tar`` files.

    Returns:
        int: Number of samples.

    Raises:
        ValueError: There are no shards, or samples of different modalities;
            or a shard is damaged, or has a file that cannot be read out of
            it.
    """
    folder = Path(folder)
    shards = sorted(folder.glob('*.tar'))
    rows: list[tuple[Any, ...]] = []
    endings: list[str] = []
    for number, shard in enumerate(shards):
        for key, files in _samples(shard):
            endings = endings or sorted(files)
            if sorted(files) != endings:
                raise ValueError(
                    f"'{shard}': sample '{key}' has the files "
                    f'{sorted(files)}, others {endings}: all need the same'
                )
            places = [files[ending] for ending in endings]
            columns = map(list, zip(*places, strict=True))
            rows.append((number, key.encode(), *columns))
    if not rows:
        raise ValueError(f"'{folder}' has no *.tar file with a sample")
    modalities = {end.partition('.')[0]: end for end in endings}
    if len(modalities) < len(endings):
        raise ValueError(
            f"'{folder}': a sample has several files of one modality: "
            f'{endings}; leave one of them out'
        )
    length = max(len(key) for _, key, *_ in rows)
    kind = _columns(length, len(endings))
    with atomic_write(folder / 'index.npy') as file:
        np.save(file, np.array([tuple(row) for row in rows], kind))
    described = dict(
        samples=len(rows),
        modalities=modalities,
        shards={shard.name: shard.stat().st_size for shard in shards},
    )
    with atomic_write(folder / 'index.json') as file:
        file.write(json.dumps(described, indent=1).encode())
    return len(rows)


def _columns(length: int, count: int) -> list[Any]:
    """Type of a row: keys of ``length`` bytes, ``count`` modalities."""
    return [
        ('shard', '<u4'),
        ('key', f'S{length}'),
        ('offset', '<u8', (count,)),
        ('size', '<u8', (count,)),
        ('mark', '<u4', (count,)),
    ]


def _samples(shard: Path) -> Iterator[tuple[str, dict[str, File]]]:
    """Key of each sample, and its files by ending."""
    key, files = '', dict[str, File]()
    for name, place in _files(shard):
        stem, _, ending = name.partition('.')
        if '/' in name or len(name.encode()) >= _NAME:
            raise ValueError(
                f"'{shard}': the name '{name}' has a folder, or {_NAME} "
                'bytes: give short names'
            )
        if stem != key:
            if files:
                yield key, files
            key, files = stem, {}
        if not ending or ending in files:
            raise ValueError(
                f"'{shard}': '{name}' has no ending, or is there twice"
            )
        files[ending] = place
    if files:
        yield key, files


def _files(shard: Path) -> Iterator[tuple[str, File]]:
    """Name and place of each file of a shard, links to files among them."""
    try:
        with tarfile.open(shard, 'r:', encoding='utf-8') as tar:
            members, end = tar.getmembers(), tar.offset
    except tarfile.TarError as error:
        raise ValueError(f"'{shard}' is damaged: {error}") from None
    with shard.open('rb') as file:
        # Python takes a header that it cannot read for the end.
        if os.pread(file.fileno(), _BLOCK, end) != bytes(_BLOCK):
            raise ValueError(
                f"'{shard}' is damaged: at byte {end} there is neither a file "
                'nor the end of a tar file'
            )
        file.seek(end)
        rest = iter(partial(file.read, 2**16), b'')
        if any(part.strip(b'\0') for part in rest):
            raise ValueError(
                f"'{shard}' goes on behind its end at byte {end}: it is "
                'several tar files one behind the other; take them apart'
            )
        for member, target in zip(members, _follow(members), strict=True):
            if target is member and not member.isfile():
                continue  # a folder, ...
            found = _checked(shard, member, target)
            offset, size = found.offset_data, found.size
            header = os.pread(file.fileno(), _BLOCK, offset - _BLOCK)
            yield member.name, (offset, size, _mark(header, size))


def _follow(
    members: Sequence[tarfile.TarInfo],
) -> Iterator[tarfile.TarInfo | None]:
    """What each member is or, if it is a link, leads to; None if nowhere."""
    named: dict[str, tarfile.TarInfo | None] = {}
    found = []
    target: tarfile.TarInfo | None
    for member in members:
        target = member
        if member.islnk():  # to what the name stands for so far
            target = named.get(posixpath.normpath(member.linkname))
        named[member.name] = target
        found.append(target)
    for first in found:
        target = first
        for _ in members:  # links in a ring are no longer than that
            if target is None or not target.issym():
                break
            target = named.get(posixpath.normpath(target.linkname))
        yield None if target is None or target.issym() else target


def _checked(
    shard: Path, member: tarfile.TarInfo, target: tarfile.TarInfo | None
) -> tarfile.TarInfo:
    """Refuse a file that could not be read out of the shard."""
    try:
        member.name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"'{shard}': the name {member.name!a} is not in UTF-8: give names "
            'in ASCII'
        ) from None
    if target is None or not target.isfile():
        raise ValueError(
            f"'{shard}': '{member.name}' is a link to '{member.linkname}', "
            'which is no file of this shard: pack the files themselves (tar '
            '--dereference)'
        )
    if target.issparse():
        raise ValueError(
            f"'{shard}': '{member.name}' is stored with holes: pack it "
            'without --sparse'
        )
    return target
