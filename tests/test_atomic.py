from pathlib import Path

import pytest

from mmxdistill.atomic import atomic_write


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
