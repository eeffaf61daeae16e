import faulthandler
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import cv2
import pytest

from mmxdistill import process_pool, progress
from mmxdistill.parallel import available_cpus, map_parallel


def double(item: int) -> tuple[int, int]:
    if item == 3:
        raise ValueError('bad file')
    if item == 4:
        raise KeyError('no such key')
    return 2 * item, os.getpid()


@pytest.mark.parametrize('jobs', [1, 2])
def test_errors_are_results(jobs: int) -> None:
    outcomes = map_parallel(double, range(6), jobs)
    assert [outcome.item for outcome in outcomes] == list(range(6))
    assert [outcome.error for outcome in outcomes] == [
        *[None] * 3,
        'ValueError: bad file',
        'KeyError: no such key',
        None,
    ]
    found = [outcome.result for outcome in outcomes if outcome.result]
    assert [number for number, _ in found] == [0, 2, 4, 10]
    assert {pid == os.getpid() for _, pid in found} == {jobs == 1}


@pytest.mark.parametrize('chunk_size', [1, 3, 50])
def test_chunks(chunk_size: int) -> None:
    outcomes = map_parallel(abs, range(-20, 0), 2, chunk_size=chunk_size)
    assert [outcome.result for outcome in outcomes] == [*range(20, 0, -1)]


def test_nothing_to_do() -> None:
    assert map_parallel(double, [], 4) == []


@pytest.mark.parametrize('options', [dict(jobs=0), dict(chunk_size=0)])
def test_bad_numbers(options: dict) -> None:
    with pytest.raises(ValueError, match='must be at least 1'):
        map_parallel(double, [1], **options)


def die(item: int, bad: int, how: Callable[[], None]) -> int:
    if item == bad:
        how()
    time.sleep(0.005)  # so that others are at work then
    return item


def end_by(number: int) -> None:
    faulthandler.disable()  # pytest's would print where
    os.kill(os.getpid(), number)


ENDINGS = {
    'was killed by SIGKILL': partial(end_by, signal.SIGKILL),
    'was killed by SIGSEGV': partial(end_by, signal.SIGSEGV),
    'was killed by SIGTERM': partial(end_by, signal.SIGTERM),
    'ended with status 7': lambda: os._exit(7),
}


@pytest.mark.parametrize('ending', ENDINGS)
@pytest.mark.parametrize('chunk_size', [1, 4])
def test_killed_process_is_named_and_the_rest_goes_on(
    ending: str, chunk_size: int
) -> None:
    lines: list[str] = []
    outcomes = map_parallel(
        partial(die, bad=5, how=ENDINGS[ending]),
        range(12),
        2,
        'reading',
        chunk_size=chunk_size,
        name='file {}'.format,
        log=lines.append,
    )
    failed = [outcome.item for outcome in outcomes if outcome.error]
    assert failed == [5]
    assert [o.result for o in outcomes if not o.error] == [
        item for item in range(12) if item != 5
    ]
    # Ended by the executor, its neighbours look like one ended by SIGTERM.
    known = ending if 'SIGTERM' not in ending else 'was killed'
    assert f'a process {known}' in lines[0]
    assert 'file 5' in lines[0]
    assert 'fewer --jobs' in lines[0]
    assert known in str(outcomes[5].error)


def die_once(item: int, marks: Path) -> int:
    try:
        (marks / str(item)).touch(exist_ok=False)
    except FileExistsError:
        return item
    if item in (2, 5):
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_short_memory_takes_fewer_processes(tmp_path: Path) -> None:
    lines: list[str] = []
    work = partial(die_once, marks=tmp_path)
    outcomes = map_parallel(work, range(8), 4, log=lines.append)
    assert [outcome.result for outcome in outcomes] == list(range(8))
    assert any('going on with 2 processes' in line for line in lines)


def test_processes_that_cannot_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_pool, '_use_one_thread', lambda: os._exit(3))
    with pytest.raises(RuntimeError, match='killed as soon as they start'):
        map_parallel(double, range(4), 2, log=[].append)


class Table:
    """Must never be pickled: it would be for every item."""

    def __init__(self) -> None:
        self.rows = {item: -item for item in range(5)}

    def __getstate__(self) -> None:
        raise AssertionError('pickled')

    def __call__(self, item: int) -> int:
        return self.rows[item]


def test_function_and_items_are_not_pickled() -> None:
    outcomes = map_parallel(Table(), range(5), 2)
    assert [outcome.result for outcome in outcomes] == [0, -1, -2, -3, -4]
    outcomes = map_parallel(lambda table: len(table.rows), [Table()] * 3, 2)
    assert [outcome.result for outcome in outcomes] == [5, 5, 5]


def test_result_that_cannot_be_sent() -> None:
    outcomes = map_parallel(lambda item: lambda: item, range(2), 2)
    assert 'its result cannot be sent' in str(outcomes[1].error)


def test_few_tasks_are_submitted_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_tasks = []
    submit = process_pool.Pool.submit
    futures: list = []

    def spy(self, chunk):
        futures.append(submit(self, chunk))
        open_tasks.append(sum(not future.done() for future in futures))
        return futures[-1]

    monkeypatch.setattr(process_pool.Pool, 'submit', spy)
    assert len(map_parallel(abs, range(1000), 2, chunk_size=10)) == 1000
    assert len(open_tasks) == 100
    assert max(open_tasks) <= 6


def wait_long(item: int, folder: Path) -> None:
    time.sleep(60)
    (folder / f'{item}').touch()


@pytest.mark.parametrize('at_start', [True, False])
def test_interrupt_ends_the_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_start: bool
) -> None:
    def submit(pool: ProcessPoolExecutor, *args: Any) -> Any:
        future = start(pool, *args)
        if at_start:  # the processes run, and the caller does not know them
            os.kill(os.getpid(), signal.SIGINT)
        else:
            Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            monkeypatch.undo()
        return future

    start = ProcessPoolExecutor.submit
    monkeypatch.setattr(ProcessPoolExecutor, 'submit', submit)
    others = multiprocessing.active_children()
    with pytest.raises(KeyboardInterrupt):
        map_parallel(partial(wait_long, folder=tmp_path), range(4), 2)
    assert multiprocessing.active_children() == others
    assert not list(tmp_path.iterdir())  # nobody waited for the items


def note_and_wait(item: int, folder: Path) -> None:
    (folder / f'{os.getpid()}').touch()
    time.sleep(60)


def test_processes_end_with_their_parent(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        map_parallel(partial(note_and_wait, folder=tmp_path), range(2), 2)
        os._exit(0)
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    for _ in range(1000):
        if not any(map(is_running, workers)):
            return
        time.sleep(0.01)
    pytest.fail('the processes are still there')


def is_running(pid: int) -> bool:
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.split()[0] != 'Z'  # ended, but nobody asked yet


def test_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    map_parallel(abs, range(3), 1, 'reading')
    assert capsys.readouterr().out == ''  # it took no ten seconds
    monkeypatch.setattr(progress, '_LOG_EVERY', 0)
    map_parallel(abs, range(3), 1, 'reading')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'reading: 1/3, 0:00:00 left'
    assert lines[-1] == 'reading: 3/3, took 0:00:00'


@pytest.mark.parametrize('jobs', [1, 2])
def test_bar_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, jobs: int
) -> None:
    monkeypatch.setenv('FORCE_COLOR', '1')
    map_parallel(abs, range(3), jobs, 'reading')
    out = capsys.readouterr().out
    assert 'reading' in out
    assert '3/3' in out


def test_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'cpu_count', lambda: 64)
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {3, 5})
    assert available_cpus() == 2


def cv2_threads(_: int) -> int:
    return cv2.getNumThreads()


@pytest.mark.parametrize('jobs', [1, 2])
def test_one_thread_per_process(jobs: int) -> None:
    cv2.setNumThreads(2)
    try:
        (outcome,) = map_parallel(cv2_threads, [0], jobs)
        assert outcome.result == 1
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(0)
