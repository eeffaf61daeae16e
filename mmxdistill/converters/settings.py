"""The record of how the files in a folder were made."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.runs import RunOptions
from mmxdistill.converters.work_list import walk
from mmxdistill.text_files import read_json

__all__ = ['SETTINGS_FILE', 'FolderSettings', 'read_settings']

SETTINGS_FILE = 'settings.json'
# Instead of settings while files are made again with others: what was
# interrupted then is a mixture.
_MIXED = 'mixed'
_SHOWN = 3


def read_settings(file: Path) -> dict[str, Any]:
    """Read a record.

    Raises:
        ValueError: It is damaged.
    """
    try:
        content = read_json(file)
    except ValueError as error:
        content = str(error)
    if not isinstance(content, dict):
        raise ValueError(
            f"'{file}' is damaged, so that it is not known how the files "
            'beside it were made: write to another folder, or give '
            f'--overwrite to make all of them again ({str(content)[:200]})'
        )
    return content


class FolderSettings:
    """The settings with which all files in a folder were made.

    :meth:`check` comes before the work, :meth:`begin` before the first file
    is written, and :meth:`end` after the last. Files are made again with
    other settings all together or not at all, and an interruption of that
    is recorded: the folder never holds files of two settings without saying
    so.

    Args:
        out (Path): Output folder.
        settings (dict): All that the files in it depend on, as JSON holds it.
        suffixes (Collection[str]): Of these files.
    """

    def __init__(
        self, out: Path, settings: dict[str, Any], suffixes: Collection[str]
    ) -> None:
        self.out = out
        self.settings = settings
        self.suffixes = tuple(suffixes)
        self.file = out / SETTINGS_FILE
        self._changes = False

    def check(self, run: RunOptions) -> None:
        """Check that new files will be like those that are there.

        Raises:
            ValueError: OUT holds files that were made differently.
        """
        try:
            before = self._before()
        except ValueError:
            if not run.overwrite:
                raise
            before = {_MIXED: []}
        if before is None or before == self.settings:
            return
        if not run.overwrite:
            raise ValueError(self._difference(before))
        if run.shard != (1, 1):
            raise ValueError(
                f'the files in {self.out} were made with other settings, and '
                '--overwrite on a shard would make a mixture: delete them '
                'first, or write to another folder'
            )
        self._changes = True

    def _before(self) -> dict[str, Any] | None:
        """The settings of before, None if there are no files."""
        if self.file.exists():
            return read_settings(self.file)
        if any(self._files()):
            raise ValueError(
                f'{self.out} holds files, but no {SETTINGS_FILE} that says '
                'how they were made: write to another folder, or give '
                '--overwrite to make all of them again'
            )
        return None

    def _difference(self, before: dict[str, Any]) -> str:
        if _MIXED in before:
            return (
                f'the files in {self.out} were made with different settings: '
                'they were being made again when that was interrupted. Give '
                '--overwrite to do so, or write to another folder'
            )
        return (
            f'the files in {self.out} were made with {before}, but now the '
            f'settings are {self.settings}: write to another folder, or give '
            '--overwrite'
        )

    def begin(self, files: Iterable[Path]) -> None:
        """Record the settings, or that the files are becoming others.

        Args:
            files (Iterable[Path]): All files that this run is to write.

        Raises:
            ValueError: Others would stay as they are.
        """
        if not self._changes:
            self._write(self.settings)
            return
        wanted = set(files)
        others = [path for path in self._files() if path not in wanted]
        if others:
            shown = ', '.join(str(path) for path in others[:_SHOWN])
            raise ValueError(
                f'{self.out} holds {len(others)} files of other settings that '
                f'this run would not make again, e.g. {shown}: delete them, '
                'or write to another folder'
            )
        self._write({_MIXED: [self.settings]})

    def end(self, written: Iterable[Path]) -> None:
        """Record that the files are those of the settings.

        Args:
            written (Iterable[Path]): All files of this run. What is there
                else (of items that failed) is of other settings, and removed.
        """
        if not self._changes:
            return
        kept = set(written)
        for path in self._files():
            if path not in kept:
                path.unlink()
        self._write(self.settings)

    def _files(self) -> list[Path]:
        if not self.out.is_dir():
            return []
        return [item.path for item in walk(self.out, self.suffixes)]

    def _write(self, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        if not self.file.exists() or self.file.read_bytes() != text:
            with atomic_write(self.file) as stream:
                stream.write(text)
