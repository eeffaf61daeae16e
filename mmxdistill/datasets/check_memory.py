"""Remembering which samples have passed their check."""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from mmengine.logging import print_log

import mmxdistill
from mmxdistill.atomic import atomic_write
from mmxdistill.datasets.shards import on_disk

__all__ = ['CheckMemory', 'cache_folder']

_VARIABLE = 'MMXDISTILL_CACHE'
_TAG = b'mmxdistill checks 1\n'
# Other splits of the same files share a memory, old states must not fill it.
_ROOM = 100_000


def cache_folder() -> Path | None:
    """Folder for what can be computed again.

    Returns:
        Path | None: ``$MMXDISTILL_CACHE``, else ``mmxdistill`` in the user's
        cache; None if that variable is empty.
    """
    given = os.environ.get(_VARIABLE)
    if given is not None:
        return Path(given) if given else None
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'mmxdistill'


class CheckMemory:
    """Samples of a data set that have passed the check of their loader.

    A sample is known by the path, size and time of change of all its files
    and by what its record says about its size; the memory by all settings of
    the loader and by the versions of what decodes. So whatever changes is
    checked again, and only what was good is remembered. Eight bytes a sample,
    in a file that is replaced as a whole: of two processes that write at the
    same time, one is forgotten, and a damaged file is as none.

    Args:
        path (Path): The file.

    Attributes:
        known (np.ndarray): uint64 (n,) of the samples that passed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = self._read()

    @classmethod
    def of_loader(cls, loader: Any) -> CheckMemory | None:
        """Find the memory of a loader.

        Args:
            loader (BaseTransform): :class:`LoadModalities`.

        Returns:
            CheckMemory | None: None if there is nowhere to keep it, or the
            files of a sample are not known.
        """
        folder = cache_folder()
        if folder is None or not hasattr(loader, 'paths'):
            return None
        versions = mmxdistill.__version__, cv2.__version__, PIL.__version__
        try:
            settings = pickle.dumps((versions, loader))
        except Exception:  # of somebody else's transform
            return None
        name = blake2b(settings, digest_size=16).hexdigest()
        return cls(folder / 'checked_samples' / name)

    def _read(self) -> np.ndarray:
        nothing = np.empty(0, np.uint64)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return nothing
        except OSError as error:
            print_log(f"'{self.path}' is not read: {error}", 'current')
            return nothing
        body, sum_ = content[len(_TAG) : -4], content[-4:]
        whole = content.startswith(_TAG) and len(body) % 8 == 0
        if not whole or zlib.crc32(body) != int.from_bytes(sum_, 'little'):
            print_log(
                f"'{self.path}' is damaged and left out: all samples are "
                'checked again',
                'current',
            )
            return nothing
        return np.frombuffer(body, '<u8').astype(np.uint64)

    @staticmethod
    def state(loader: Any, info: dict[str, Any]) -> int | None:
        """Tell the state of a sample's files by a number.

        Args:
            loader (BaseTransform): :class:`LoadModalities`.
            info (dict): Sample before the pipeline.

        Returns:
            int | None: 64 bits; None if a file is not there, or not local.
        """
        try:
            paths = loader.paths(info)
            stats = [os.stat(on_disk(path)) for path in paths.values()]
        except (OSError, KeyError, ValueError):
            return None
        state = (
            [
                (name, os.path.abspath(path), stat.st_size, stat.st_mtime_ns)
                for (name, path), stat in zip(
                    paths.items(), stats, strict=True
                )
            ],
            info.get('modalities'),
            info.get('width'),
            info.get('height'),
        )
        digest = blake2b(repr(state).encode(errors='surrogateescape'))
        return int.from_bytes(digest.digest()[:8], 'little')

    def add(self, states: Iterable[int]) -> None:
        """Remember samples that have passed; a full disk is no error.

        Args:
            states (Iterable[int]): Of :meth:`state`.
        """
        new = np.fromiter(states, np.uint64)
        # Somebody else may have written meanwhile.
        both = np.union1d(self._read(), new)
        if len(both) > 2 * len(new) + _ROOM:
            both = np.unique(new)
        body = both.astype('<u8').tobytes()
        try:
            with atomic_write(self.path) as file:
                file.write(_TAG + body)
                file.write(zlib.crc32(body).to_bytes(4, 'little'))
        except OSError as error:
            print_log(f"'{self.path}' is not written: {error}", 'current')
        self.known = both
