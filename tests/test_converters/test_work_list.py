"""Finding the files to convert."""

from pathlib import Path

import pytest

from mmxdistill.converters.work_list import (
    check_apart,
    find_files,
    take_shard,
    walk_folders,
)


@pytest.mark.parametrize('parts', [1, 2, 3, 7, 20])
def test_shards_cover_everything_once(parts: int) -> None:
    items = list(range(10))
    shards = [take_shard(items, (part, parts)) for part in range(1, parts + 1)]
    assert sorted(item for shard in shards for item in shard) == items
    lengths = [len(shard) for shard in shards]
    assert max(lengths) - min(lengths) <= 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ('f10.png', 'f9.PNG', 'b/f1.png', 'a.txt', 'b/x.png/y.jpg'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(found: list) -> list[str]:
    return [str(item.name) for item in found]


def test_folder(folder: Path) -> None:
    found = find_files(folder, ('.png',))
    assert names(found) == ['b/f1.png', 'f9.PNG', 'f10.png']
    assert all(item.path == folder / item.name for item in found)


def test_list(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / 'list.txt'
    file.write_text(
        f'# comment\n\nb/f1.png 7\n{folder}/f9.PNG 8\n../f10.png 9\n'
        'a/#1.png 10\n'
    )
    found = find_files(file, ('.png',))
    assert names(found) == ['b/f1.png', 'f9.PNG', 'f10.png', 'a/#1.png']
    assert found[0].path == tmp_path / 'b/f1.png'
    found = find_files(file, ('.png',), Path('/data'))
    assert found[0].path == Path('/data/b/f1.png')
    assert found[1].path == folder / 'f9.PNG'
    file.write_text('b/f1.png\nb/f1.png\n')
    with pytest.raises(ValueError, match=r'b/f1\.png twice'):
        find_files(file, ('.png',))


def test_single_file(folder: Path) -> None:
    found = find_files(folder / 'b/f1.png', ('.png',))
    assert names(found) == ['f1.png']


def test_nothing_found(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match='gone does not exist'):
        find_files(folder / 'gone', ('.png',))
    with pytest.raises(ValueError, match=r'no file of type \.avi, \.mp4'):
        find_files(folder, ('.avi', '.mp4'))


def test_outputs_are_apart(folder: Path) -> None:
    check_apart(folder / 'b', folder / 'c', folder)
    for inside in (folder, folder / 'b' / '..' / 'new'):
        with pytest.raises(ValueError, match='write to another folder'):
            check_apart(folder, folder.parent, inside)


def test_names_with_blanks_in_a_list(tmp_path: Path) -> None:
    for name in ('cam 2.png', 'cam.png', 'cam 3.png'):
        (tmp_path / name).touch()
    file = tmp_path / 'list.txt'
    for text in (
        '"cam 2.png"\n"cam 3.png"\n',
        'cam 2.png\t1\ncam 3.png\t2\n',
        'cam 2.png,1\ncam 3.png,2\n',
        'cam 2.png\ncam 3.png\n',
    ):
        file.write_text(text)
        assert names(find_files(file, ('.png',))) == ['cam 2.png', 'cam 3.png']
    (tmp_path / 'cam').touch()
    file.write_text('cam 2.png\n')
    with pytest.raises(ValueError, match='both exist: separate'):
        find_files(file, ('.png',))


def test_folders_that_are_links(tmp_path: Path) -> None:
    data, other = tmp_path / 'data', tmp_path / 'other'
    for path in (data / 'a/1.png', other / 'b/2.png'):
        path.parent.mkdir(parents=True)
        path.touch()
    (data / 'link').symlink_to(other)
    (other / 'up').symlink_to(data)  # a loop
    (data / 'self').symlink_to(data)
    (data / 'dead').symlink_to(tmp_path / 'gone')
    found = find_files(data, ('.png',))
    assert names(found) == ['a/1.png', 'link/b/2.png']
    places = [place.relative_to(data) for place, _, _ in walk_folders(data)]
    assert [str(place) for place in places] == ['.', 'a', 'link', 'link/b']
