import os
import stat
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from mmxdistill.atomic import atomic_write
from mmxdistill.parallel import map_parallel


def test_writes_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'file'
    with atomic_write(path) as file:
        file.write(b'content')
        assert not path.exists()
    assert path.read_bytes() == b'content'
    assert list(path.parent.iterdir()) == [path]


def test_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'file'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write(b'half of the n')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def write_often(number: int, path: Path) -> None:
    os.getpid = lambda: 7
    content = bytes([number]) * 10_000
    for _ in range(50):
        with atomic_write(path) as file:
            file.write(content[:5_000])
            file.write(content[5_000:])
        written = path.read_bytes()
        assert written == written[:1] * 10_000  # of one writer, complete


def test_writers_with_equal_process_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in containers that share a folder.
    monkeypatch.setattr(os, 'fsync', lambda _: None)
    write = partial(write_often, path=tmp_path / 'file')
    outcomes = map_parallel(write, range(4), 4)
    assert [outcome.error for outcome in outcomes] == [None] * 4
    monkeypatch.setattr(os, 'getpid', os.getpid)  # is put back at the end
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(4)))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize('links', [True, False])
def test_first_of_two_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:  # as on some network shares
        monkeypatch.setattr(os, 'link', refuse)
    path = tmp_path / 'file'
    with pytest.raises(FileExistsError), atomic_write(path, False) as late:
        late.write(b'late')
        with atomic_write(path, overwrite=False) as file:
            file.write(b'first')
    assert path.read_bytes() == b'first'
    assert list(tmp_path.iterdir()) == [path]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize('mask', [0o022, 0o002, 0o077])
def test_permissions(tmp_path: Path, mask: int) -> None:
    path, plain = tmp_path / 'file', tmp_path / 'plain'
    before = os.umask(mask)
    try:
        with atomic_write(path) as file:
            file.write(b'1')
        plain.write_bytes(b'1')
        assert mode(path) == mode(plain)
        path.chmod(0o640)
        with atomic_write(path) as file:
            file.write(b'2')
        assert mode(path) == 0o640
    finally:
        os.umask(before)


def test_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ('n' * 255)
    with atomic_write(path) as file:
        file.write(b'1')
    assert path.read_bytes() == b'1'
