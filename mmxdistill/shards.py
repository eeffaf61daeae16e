"""A folder of records by key: few large files, memory-mapped, write-once.

Records are collected in memory and written as a *shard*, a file that appears
complete (:func:`atomic_write`) and is never changed. So whoever is killed
loses what is not written yet and damages nothing, any number of processes may
add records at a time, and a reader needs no lock. What has not been used for
the longest time is removed, a shard at a time, when the folder gets too
large.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import time
import zlib
from collections import OrderedDict
from pathlib import Path

import numpy as np

from mmxdistill.atomic import atomic_write

__all__ = ['ShardStore']

_SUFFIX = '.shard'
_MAGIC = b'shards01'
_FOOTER = struct.Struct('<8sQI')  # magic, number of rows, CRC-32 of the rows
_ROW = np.dtype(
    [
        ('high', '<u8'),
        ('low', '<u8'),
        ('offset', '<u8'),
        ('size', '<u8'),
        ('shard', '<u4'),
    ]
)
_ALIGN = 64  # of records in a shard
_MAX_OPEN = 128  # maps at a time, of which each holds a file descriptor
_MAX_RECENT = 1 << 16  # keys beside the sorted table
_LOOK_EVERY = 10.0  # seconds between two looks for shards of others
_TOUCH_EVERY = 600.0  # seconds after which the use of a shard is noted again
_ORPHAN_AGE = 3600.0  # seconds; nobody writes a shard for so long

_log = logging.getLogger(__name__)


class ShardStore:
    """Records (bytes) by keys of 16 bytes, in the shards of a folder.

    Args:
        folder (str | PathLike): Is made if it is missing.
        max_bytes (int, optional): Limit of all shards together. Beyond it,
            the shards that were unused for the longest time are removed, but
            none that this process has used: if all are in use, nothing is
            added any more. Several processes that write may exceed it by a
            shard each. Defaults to None, no limit.
        shard_bytes (int): Size at which a shard is written; this much is held
            in memory. Defaults to 64 MiB.

    Attributes:
        problem (str | None): Why nothing is added any more.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_bytes: int | None = None,
        shard_bytes: int = 64 << 20,
    ) -> None:
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        if max_bytes is not None:  # room for the oldest to leave
            shard_bytes = min(shard_bytes, max(max_bytes // 16, 1))
        self.shard_bytes = shard_bytes
        self.problem: str | None = None
        self._opened = time.time()
        self._paths: list[Path | None] = []  # by number; None: has gone
        self._known: set[str] = set()
        self._table: np.ndarray = np.empty(0, _ROW)  # sorted by key
        # Of the table, side by side.
        self._high: np.ndarray = np.empty(0, '<u8')
        self._recent: dict[bytes, tuple[int, int, int]] = {}
        self._pending: dict[bytes, bytes] = {}
        self._pending_bytes = 0
        self._maps: OrderedDict[int, mmap.mmap] = OrderedDict()
        self._touched: dict[int, float] = {}
        self._looked = -_LOOK_EVERY
        self.folder.mkdir(parents=True, exist_ok=True)
        self._remove_orphans()
        self.look()

    def __len__(self) -> int:
        """Number of records, those that two processes wrote counted twice."""
        return len(self._table) + len(self._recent) + len(self._pending)

    def size(self) -> int:
        """Bytes of all shards in the folder."""
        return sum(size for _, size, _ in self._files())

    def get(self, key: bytes) -> memoryview | bytes | None:
        """Find a record.

        Args:
            key (bytes): 16 bytes.

        Returns:
            memoryview | bytes | None: The record; None if there is none. A
            view stays valid if its shard is removed.
        """
        if key in self._pending:
            return self._pending[key]
        place = self._find(key)
        if place is None and time.monotonic() - self._looked >= _LOOK_EVERY:
            self.look()
            place = self._find(key)
        if place is None:
            return None
        shard, offset, size = place
        opened = self._map(shard)
        if opened is None:
            return None
        return memoryview(opened)[offset : offset + size]

    def put(self, key: bytes, record: bytes) -> None:
        """Add a record; it is in a file after :meth:`flush` at the latest.

        Args:
            key (bytes): 16 bytes.
            record (bytes): What :meth:`get` gives back.
        """
        if self.problem is not None:
            return
        self._pending_bytes += len(record) - len(self._pending.get(key, b''))
        self._pending[key] = record
        if self._pending_bytes >= self.shard_bytes:
            self.flush()

    def flush(self) -> None:
        """Write the records that are in memory only.

        A full disk, a folder without permission and a full store are no
        errors: nothing is added any more, and ``problem`` says why.
        """
        pending, self._pending, self._pending_bytes = self._pending, {}, 0
        if not pending or self.problem is not None:
            return
        name = f'{int(time.time()):010d}-{os.urandom(6).hex()}{_SUFFIX}'
        path = self.folder / name
        rows = np.zeros(len(pending), _ROW)
        offset = 0
        for row, (key, record) in zip(rows, pending.items(), strict=True):
            high, low = struct.unpack('<QQ', key)
            row['high'], row['low'] = high, low
            row['offset'], row['size'] = offset, len(record)
            offset += -(-len(record) // _ALIGN) * _ALIGN
        content = np.sort(rows, order=('high', 'low')).tobytes()
        if not self._make_room(offset + len(content) + _FOOTER.size):
            return
        try:
            with atomic_write(path) as file:
                for record in pending.values():
                    file.write(record)
                    file.write(bytes(-len(record) % _ALIGN))
                file.write(content)
                crc = zlib.crc32(content)
                file.write(_FOOTER.pack(_MAGIC, len(rows), crc))
        except OSError as error:
            self._stop(f'{error.strerror or error}')
            return
        number = self._number(path)
        for key, row in zip(pending, rows, strict=True):
            self._recent[key] = number, int(row['offset']), int(row['size'])
        self._merge(_MAX_RECENT)
        self._touch(number)

    def look(self) -> None:
        """Read what other processes have added."""
        self._looked = time.monotonic()
        added = []
        for _, _, path in self._files():
            if path.name not in self._known:
                rows = _read_rows(path)
                if rows is None:
                    _log.warning('%s is damaged, it is not used', path)
                    self._known.add(path.name)
                elif len(rows):
                    rows['shard'] = self._number(path)
                    added.append(rows)
        if sum(map(len, added)) > _MAX_RECENT:
            self._recent_to_table(added)
            return
        for row in (row for rows in added for row in rows.tolist()):
            high, low, offset, size, shard = row
            key = struct.pack('<QQ', high, low)
            self._recent[key] = shard, offset, size
        self._merge(_MAX_RECENT)

    def clear(self) -> None:
        """Remove all records."""
        for _, _, path in self._files():
            path.unlink(missing_ok=True)
        self._table, self._high = np.empty(0, _ROW), np.empty(0, '<u8')
        self._recent.clear()
        self._pending.clear()
        self._pending_bytes = 0
        self._maps.clear()
        self._paths = [None] * len(self._paths)

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time of the last use, size and path of all shards, by time."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and entry.name[0] != '.':
                    try:
                        info = entry.stat()
                    except FileNotFoundError:  # removed by another process
                        continue
                    found.append(
                        (info.st_mtime, info.st_size, Path(entry.path))
                    )
        return sorted(found)

    def _remove_orphans(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for path in self.folder.glob(f'.*{_SUFFIX}.*.tmp'):
            try:
                if time.time() - path.stat().st_mtime > _ORPHAN_AGE:
                    path.unlink(missing_ok=True)
            except OSError:  # somebody else's
                continue

    def _number(self, path: Path) -> int:
        self._known.add(path.name)
        self._paths.append(path)
        return len(self._paths) - 1

    def _find(self, key: bytes) -> tuple[int, int, int] | None:
        """Shard, offset and size."""
        if key in self._recent:
            return self._recent[key]
        high, low = struct.unpack('<QQ', key)
        index = int(np.searchsorted(self._high, np.uint64(high)))
        found = None
        # Of equal keys the last that is still there.
        while index < len(self._high) and self._high[index] == high:
            row = self._table[index]
            if row['low'] == low and self._paths[row['shard']] is not None:
                found = int(row['shard']), int(row['offset']), int(row['size'])
            index += 1
        return found

    def _merge(self, limit: int) -> None:
        if len(self._recent) > limit:
            self._recent_to_table([])

    def _recent_to_table(self, others: list[np.ndarray]) -> None:
        recent = np.zeros(len(self._recent), _ROW)
        for row, (key, place) in zip(
            recent, self._recent.items(), strict=True
        ):
            row['high'], row['low'] = struct.unpack('<QQ', key)
            row['shard'], row['offset'], row['size'] = place
        table = np.concatenate([self._table, recent, *others])
        self._table = table[np.argsort(table['high'], kind='stable')]
        self._high = np.ascontiguousarray(self._table['high'])
        self._recent.clear()

    def _map(self, number: int) -> mmap.mmap | None:
        """Memory of a shard; None if another process has removed it."""
        opened = self._maps.get(number)
        if opened is None:
            path = self._paths[number]
            if path is None:
                return None
            try:
                with path.open('rb') as file:
                    # Copy on write: PyTorch takes no read-only memory.
                    opened = mmap.mmap(
                        file.fileno(), 0, access=mmap.ACCESS_COPY
                    )
            except FileNotFoundError:
                self._paths[number] = None
                return None
            self._maps[number] = opened
            if len(self._maps) > _MAX_OPEN:
                # Closed when the last view of it has gone.
                self._maps.popitem(last=False)
        self._maps.move_to_end(number)
        self._touch(number)
        return opened

    def _touch(self, number: int) -> None:
        """Note that a shard is in use: the time of its file."""
        now = time.monotonic()
        if now - self._touched.get(number, -_TOUCH_EVERY) < _TOUCH_EVERY:
            return
        self._touched[number] = now
        path = self._paths[number]
        if path is not None:
            # The clock of this host, as of _opened.
            stamp = max(time.time(), self._opened)
            try:
                os.utime(path, (stamp, stamp))
            except OSError:  # removed, or somebody else's
                return

    def _make_room(self, size: int) -> bool:
        """Remove what is unused; whether ``size`` bytes may be added."""
        if self.max_bytes is None:
            return True
        files = self._files()
        total = size + sum(length for _, length, _ in files)
        for used, length, path in files:
            if total <= self.max_bytes or used >= self._opened:
                break
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._stop(str(error))
                return False
            total -= length
        if total > self.max_bytes:
            self._stop(
                f'it has reached its limit of {self.max_bytes / 1e9:g} GB, '
                'and all of it is in use'
            )
        return total <= self.max_bytes

    def _stop(self, reason: str) -> None:
        self.problem = f"nothing more is added to '{self.folder}': {reason}"
        _log.warning('%s', self.problem)


def _read_rows(path: Path) -> np.ndarray | None:
    """Rows of a shard; None if the file is no whole shard."""
    try:
        with path.open('rb') as file:
            end = file.seek(0, os.SEEK_END)
            if end < _FOOTER.size:
                return None
            file.seek(end - _FOOTER.size)
            magic, count, crc = _FOOTER.unpack(file.read(_FOOTER.size))
            start = end - _FOOTER.size - count * _ROW.itemsize
            if magic != _MAGIC or start < 0:
                return None
            file.seek(start)
            content = file.read(count * _ROW.itemsize)
    except FileNotFoundError:
        return np.empty(0, _ROW)
    if zlib.crc32(content) != crc:
        return None
    rows = np.frombuffer(content, _ROW).copy()
    if count and int((rows['offset'] + rows['size']).max()) > start:
        return None
    return rows
