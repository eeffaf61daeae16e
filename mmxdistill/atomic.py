"""Writing a file completely or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ['atomic_write']

# Permissions of a new file before the umask takes its share.
_NEW_FILE = 0o666
_MAX_STEM = 64


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], overwrite: bool = True
) -> Iterator[BinaryIO]:
    """Open ``path`` for writing; it appears only if the block succeeds.

    The bytes go to a temporary file in the same folder (made if needed),
    which is renamed at the end and removed if the block raises. Its name is
    nobody else's, so any number of threads, processes and hosts may write
    the same file: it is that of the last one, complete.

    A file that is there keeps its permissions; a new one gets those that
    ``open`` gives.

    Args:
        path: The file.
        overwrite: Without it, of several that write a new file at the same
            moment the first wins, and the others hear of it.

    Yields:
        The temporary file.

    Raises:
        FileExistsError: There is such a file, and ``overwrite`` is not set.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Random, and made by O_EXCL: ids of processes are the same in containers
    # that share a folder.
    handle, name = tempfile.mkstemp(
        '.tmp', f'.{path.name[:_MAX_STEM]}.', path.parent
    )
    temporary = Path(name)
    try:
        with os.fdopen(handle, 'wb') as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), _permissions(path))
            os.fsync(file.fileno())
        if not overwrite:
            _link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    """Give a file a second name, which must be new."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: nearly as good
        if path.exists():
            raise FileExistsError(f"'{path}' exists") from None
        temporary.replace(path)


def _permissions(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o7777
    except FileNotFoundError:
        return _NEW_FILE & ~_umask()


def _umask() -> int:
    """The umask, without changing it even for a moment where possible."""
    try:
        status = Path('/proc/self/status').read_text(encoding='ascii')
        return int(status.partition('Umask:')[2].split()[0], 8)
    except (OSError, IndexError, ValueError):
        mask = os.umask(0o022)
        os.umask(mask)
        return mask
