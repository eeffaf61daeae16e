"""What the data set converters share."""

import argparse
import os
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest


@pytest.fixture
def parallel() -> ModuleType:
    return import_module('mmxdistill.converters.work_list')


def parse(parallel: ModuleType, *argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parallel.add_arguments(parser, 'files')
    return parser.parse_args(['in', 'out', *argv])


def test_arguments(parallel: ModuleType) -> None:
    args = parse(parallel)
    assert (args.source, args.out) == (Path('in'), Path('out'))
    assert args.jobs >= 1
    assert args.shard == (1, 1)
    assert not args.overwrite
    assert parse(parallel, '--shard', '3/8').shard == (3, 8)


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--shard', '0/4'], "'0/4': write I/N with 1 <= I <= N"),
        (['--shard', '5/4'], "'5/4'"),
        (['--shard', '2'], "'2': write I/N"),
        (['--jobs', '0'], "'0' is no positive number"),
        (['--jobs', 'x'], "'x' is no positive number"),
    ],
)
def test_bad_arguments(
    parallel: ModuleType,
    capsys: pytest.CaptureFixture,
    argv: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        parse(parallel, *argv)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize('parts', [1, 2, 3, 7, 20])
def test_shards_cover_everything_once(
    parallel: ModuleType, parts: int
) -> None:
    items = list(range(10))
    shards = [
        parallel.take_shard(items, (part, parts))
        for part in range(1, parts + 1)
    ]
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


def test_folder(parallel: ModuleType, folder: Path) -> None:
    found = parallel.find_files(folder, ('.png',))
    assert names(found) == ['b/f1.png', 'f9.PNG', 'f10.png']
    assert all(item.path == folder / item.name for item in found)


def test_list(parallel: ModuleType, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / 'list.txt'
    file.write_text(
        f'# comment\n\nb/f1.png 7\n{folder}/f9.PNG\n../f10.png,x\na/#1.png\n'
    )
    found = parallel.find_files(file, ('.png',))
    assert names(found) == ['b/f1.png', 'f9.PNG', 'f10.png', 'a/#1.png']
    assert found[0].path == tmp_path / 'b/f1.png'
    found = parallel.find_files(file, ('.png',), Path('/data'))
    assert found[0].path == Path('/data/b/f1.png')
    assert found[1].path == folder / 'f9.PNG'
    file.write_text('b/f1.png\nb/f1.png\n')
    with pytest.raises(SystemExit, match=r'b/f1\.png twice'):
        parallel.find_files(file, ('.png',))


def test_single_file(parallel: ModuleType, folder: Path) -> None:
    found = parallel.find_files(folder / 'b/f1.png', ('.png',))
    assert names(found) == ['f1.png']


def test_nothing_found(parallel: ModuleType, folder: Path) -> None:
    with pytest.raises(SystemExit, match='gone does not exist'):
        parallel.find_files(folder / 'gone', ('.png',))
    with pytest.raises(SystemExit, match=r'no file of type \.avi, \.mp4'):
        parallel.find_files(folder, ('.avi', '.mp4'))


def test_outputs_are_apart(parallel: ModuleType, folder: Path) -> None:
    parallel.check_apart(folder / 'b', folder / 'c', folder)
    for inside in (folder, folder / 'b' / '..' / 'new'):
        with pytest.raises(SystemExit, match='write to another folder'):
            parallel.check_apart(folder, folder.parent, inside)


def work(item: int) -> tuple[int, int]:
    if item == 3:
        raise ValueError('bad file')
    if item == 4:
        raise KeyError('no such key')
    time.sleep(0.01)
    return 2 * item, os.getpid()


@pytest.mark.parametrize('jobs', [1, 2])
def test_one_bad_item_never_stops_the_rest(
    parallel: ModuleType, jobs: int
) -> None:
    done, failures = parallel.run_all(work, range(6), jobs, 'working')
    assert [(item, result[0]) for item, result in done] == [
        (0, 0),
        (1, 2),
        (2, 4),
        (5, 10),
    ]
    assert failures == ['3: ValueError: bad file', '4: KeyError: no such key']
    in_this_process = {result[1] == os.getpid() for _, result in done}
    assert in_this_process == {jobs == 1}


def test_nothing_to_do(parallel: ModuleType) -> None:
    assert parallel.run_all(work, [], 4, 'working') == ([], [])


def interrupt(item: int) -> None:
    raise KeyboardInterrupt


def test_interrupted(parallel: ModuleType) -> None:
    with pytest.raises(SystemExit, match='goes on from here'):
        parallel.run_all(interrupt, [1], 1, 'working')


def test_report(parallel: ModuleType, capsys: pytest.CaptureFixture) -> None:
    assert parallel.report(Path('out'), 3, 2, []) == 0
    assert '3 written, 2 already there, 0 failed' in capsys.readouterr().out
    failures = [f'{n}.png: bad' for n in range(100)]
    assert parallel.report(Path('out'), 3, 2, failures) == 1
    assert capsys.readouterr().err.split() == ' '.join(failures).split()


def test_png(parallel: ModuleType, tmp_path: Path) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    path = tmp_path / 'new/i.png'
    parallel.write_png(path, image)
    np.testing.assert_array_equal(cv2.imread(str(path)), image)
    assert list(path.parent.iterdir()) == [path]
