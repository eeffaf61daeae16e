"""Working through items, and reporting."""

import os
from pathlib import Path

import pytest

from mmxdistill.converters.runs import (
    RunOptions,
    convert_items,
    report,
    run_all,
)


def work(item: int) -> tuple[int, int]:
    if item == 3:
        raise ValueError('bad file')
    if item == 4:
        raise KeyError('no such key')
    return 2 * item, os.getpid()


@pytest.mark.parametrize('jobs', [1, 2])
def test_one_bad_item_never_stops_the_rest(jobs: int) -> None:
    done, failures = run_all(work, range(6), jobs, 'working')
    assert [(item, result[0]) for item, result in done] == [
        (0, 0),
        (1, 2),
        (2, 4),
        (5, 10),
    ]
    assert failures == ['3: ValueError: bad file', '4: KeyError: no such key']
    in_this_process = {result[1] == os.getpid() for _, result in done}
    assert in_this_process == {jobs == 1}


def test_nothing_to_do() -> None:
    assert run_all(work, [], 4, 'working') == ([], [])


def test_report(capsys: pytest.CaptureFixture) -> None:
    assert report(Path('out'), 3, 2, []) == 0
    assert '3 written, 2 already there, 0 failed' in capsys.readouterr().out
    failures = [f'{n}.png: bad' for n in range(100)]
    assert report(Path('out'), 3, 2, failures) == 1
    assert capsys.readouterr().err.split() == ' '.join(failures).split()


class Folder:
    """Converts numbers to files of that name; negative ones fail."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, item: int) -> Path:
        return self.root / str(item)

    def __call__(self, item: int) -> None:
        if item < 0:
            raise ValueError('negative')
        self.file(item).write_text('new')

    def is_done(self, item: int) -> bool:
        return self.file(item).exists()

    def convert(self, items: list[int], **options: object) -> object:
        run = RunOptions(**options)  # type: ignore[arg-type]
        return convert_items(self, items, self.is_done, run, self.root, 'x')


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.file(2).write_text('old')
    found = folder.convert([1, 2, -3])
    assert (found.status, found.untried) == (1, 0)
    assert found.complete == [1, 2]
    assert [item for item, _ in found.done] == [1]
    assert found.failures == ['-3: ValueError: negative']
    assert folder.file(2).read_text() == 'old'
    folder.convert([1, 2], overwrite=True)
    assert folder.file(2).read_text() == 'new'


def test_overwritten_without_success_is_not_complete(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.file(-3).write_text('old')
    assert folder.convert([1, -3]).complete == [1, -3]
    assert folder.convert([1, -3], overwrite=True).complete == [1]


def test_other_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path)
    found = folder.convert([1, 2, 3, 4, 5], shard=(2, 2))
    assert (found.complete, found.untried) == ([2, 4], 3)
    assert found.lacking('files', 'the list is')
    assert (
        '3 of 5 files are left to other shards: the list is written by the '
        'command that finds all'
    ) in capsys.readouterr().out
    found = folder.convert([1, 2, 3, 4, 5], shard=(1, 2))
    assert found.untried == 0 and not found.lacking('files', 'the list is')
