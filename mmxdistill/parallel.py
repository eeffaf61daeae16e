"""The one process pool: a function of many items, with progress.

No item can stop the others: an error of the function is a result, and an item
that kills its process (out of memory, a crash inside a library) is found,
named and left out, while the rest goes on.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from mmxdistill.progress import TICK, Progress

__all__ = ['Outcome', 'available_cpus', 'describe_error', 'map_parallel']

Item = TypeVar('Item')
Result = TypeVar('Result')
Log = Callable[[str], None]

# Chunks that wait or are worked on, per process: enough to keep all busy.
_AHEAD = 3
_SHOWN = 5
# Pools in a row that broke before any process had begun an item.
_MAX_STILLBORN = 3


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of an item.

    Attributes:
        item: The item.
        result: What the function returned, None if it failed.
        error: ``'<type>: <message>'`` of what it raised, or how its process
            ended; None if it succeeded.
    """

    item: Item
    result: Result | None = None
    error: str | None = None


def available_cpus() -> int:
    """Number of CPUs that this process may use (``taskset``, SLURM)."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_error(error: BaseException) -> str:
    """Type and message of an error, in the way of all reports."""
    # str() of a KeyError is the quoted message.
    text = error.args[0] if isinstance(error, KeyError) else error
    return f'{type(error).__name__}: {text}'


def map_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int | None = None,
    description: str = 'working',
    *,
    chunk_size: int = 1,
    name: Callable[[Item], str] = str,
    log: Log | None = None,
) -> list[Outcome[Item, Result]]:
    """Call a function for every item, in processes and with progress.

    The processes inherit function and items: neither is copied or pickled
    for a task, so a function may hold a large table, and ``range(n)`` will do
    for items that the function looks up. OpenCV and PyTorch get one thread
    per process (also for ``jobs=1``: some results depend on the number).

    Progress is a bar in a terminal, else a line every ten seconds.

    If a process is killed, the item it was at is named at once and tried
    again alone; if it is killed again, it has failed. The rest goes on, with
    half as many processes if that item passes alone: memory was short.

    Args:
        function (Callable): Takes an item; its result must be picklable.
        items (Sequence): Its arguments.
        jobs (int, optional): Processes; 1 works in this one. Defaults to the
            CPUs that may be used.
        description (str): What the progress says.
        chunk_size (int): Items handed to a process at a time: more than 1
            for those that take less than about a millisecond. Defaults to 1.
        name (Callable): Names an item in messages. Defaults to ``str``.
        log (Callable, optional): Takes the lines where there is no terminal.
            Defaults to printing them.

    Returns:
        list[Outcome]: One per item, in their order.

    Raises:
        KeyboardInterrupt: Ctrl-C; the processes have been ended.
        RuntimeError: Processes are killed before they begin with an item.
        ValueError: ``jobs`` or ``chunk_size`` is below 1.
    """
    jobs = available_cpus() if jobs is None else jobs
    if jobs < 1 or chunk_size < 1:
        raise ValueError(
            f'jobs ({jobs}) and chunk_size ({chunk_size}) must be at least 1'
        )
    if not items:
        return []
    with Progress(description, len(items), log) as progress:
        work = _Work(function, items, chunk_size, name, progress)
        if jobs == 1:
            work.run_here()
        else:
            work.run(min(jobs, -(-len(items) // chunk_size)))
    return work.outcomes()


class _Work(Generic[Item, Result]):
    """Items, and what has become of them so far."""

    def __init__(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        chunk_size: int,
        name: Callable[[Item], str],
        progress: Progress,
    ) -> None:
        self.function = function
        self.items = items
        self.chunk_size = chunk_size
        self.name = name
        self.progress = progress
        self.found: dict[int, Outcome[Item, Result]] = {}

    def outcomes(self) -> list[Outcome[Item, Result]]:
        return [self.found[index] for index in range(len(self.items))]

    def store(self, index: int, result: Any, error: str | None) -> None:
        self.found[index] = Outcome(self.items[index], result, error)
        self.progress.advance()

    def store_chunk(
        self, chunk: list[int], answers: list[tuple[Any, str | None]]
    ) -> None:
        for index, answer in zip(chunk, answers, strict=False):
            self.store(index, *answer)

    def run_here(self) -> None:
        with _one_thread():
            for index, item in enumerate(self.items):
                self.store(index, *_call(self.function, item))

    def run(self, jobs: int) -> None:
        """Work through all items, with a new pool whenever one breaks."""
        stillborn = 0
        while len(self.found) < len(self.items):
            indices = (
                index
                for index in range(len(self.items))
                if index not in self.found
            )
            broken = self.run_pool(indices, jobs)
            if broken is None:
                continue
            stillborn = 0 if broken.at_work else stillborn + 1
            if stillborn == _MAX_STILLBORN:
                raise RuntimeError(
                    f'processes are killed as soon as they start '
                    f'({broken.ending}): use fewer of them (--jobs)'
                )
            self.announce(broken)
            passed = [self.run_alone(index) for index in broken.at_work]
            if passed and all(passed) and jobs > 1:
                jobs = max(1, jobs // 2)
                self.progress.say(
                    f'{self.progress.description}: passed alone, so memory '
                    f'was short; going on with {jobs} processes'
                )

    def announce(self, broken: _Broken) -> None:
        names = [self.name(self.items[index]) for index in broken.at_work]
        more = f' and {len(names) - _SHOWN} more' * (len(names) > _SHOWN)
        self.progress.say(
            f'{self.progress.description}: a process {broken.ending} '
            + (f'at {", ".join(names[:_SHOWN])}{more}. ' if names else '. ')
            + 'Out of memory (use fewer --jobs), or a crash inside a library '
            '(look at that file). '
            + ('Trying again alone, then the rest.' if names else '')
        )

    def run_alone(self, index: int) -> bool:
        """Try an item again; whether its process survived."""
        broken = self.run_pool([index], 1)
        if broken is not None:
            self.store(
                index,
                None,
                f'its process {broken.ending}, also alone: out of memory, or '
                'a crash inside a library',
            )
        return broken is None

    def run_pool(self, indices: Iterable[int], jobs: int) -> _Broken | None:
        """Work until all is done or a process is killed."""
        pool = _Pool(self.function, self.items, jobs)
        chunks = _chunked(indices, self.chunk_size)
        at_work: dict[Future, list[int]] = {}
        try:
            while not pool.broken:
                for chunk in islice(chunks, _AHEAD * jobs - len(at_work)):
                    at_work[pool.submit(chunk)] = chunk
                if not at_work:
                    return None
                done, _ = wait_for(at_work, TICK, FIRST_COMPLETED)
                for future in done:
                    self.store_chunk(at_work.pop(future), pool.answers(future))
                self.progress.show()
            # What was finished before the end is kept.
            for future, chunk in at_work.items():
                self.store_chunk(chunk, pool.answers(future))
        except BaseException:
            pool.kill()
            raise
        finally:
            pool.close()
        return pool.find_broken()


@dataclass(frozen=True)
class _Broken:
    """A pool of which a process was killed.

    Attributes:
        at_work: Indices of the items at which it was.
        ending: How it ended, as a predicate.
    """

    at_work: list[int]
    ending: str


class _Pool:
    """Processes that inherit function and items, and note where they are."""

    def __init__(
        self, function: Callable, items: Sequence[Any], jobs: int
    ) -> None:
        # Forked processes start at once and copy nothing.
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context(
            'fork' if 'fork' in methods else None
        )
        # Of each process its id and the index of its item, -1 for none.
        self._notes = context.RawArray('q', [-1] * 2 * jobs)
        self._executor = ProcessPoolExecutor(
            jobs,
            context,
            _start_process,
            (function, items, self._notes, context.Value('i', 0)),
        )
        self._processes: dict[int | None, Any] = {}
        self.broken = False

    def submit(self, chunk: list[int]) -> Future:
        if self._processes:
            return self._submit(chunk)
        others = {child.pid for child in multiprocessing.active_children()}
        # An interrupt meanwhile would leave processes that nobody ends.
        with _deferred_interrupt():
            future = self._submit(chunk)  # the first starts all processes
            self._processes = {
                child.pid: child
                for child in multiprocessing.active_children()
                if child.pid not in others
            }
        return future

    def _submit(self, chunk: list[int]) -> Future:
        try:
            return self._executor.submit(_call_chunk, chunk)
        except BrokenProcessPool as error:
            future: Future = Future()
            future.set_exception(error)
            return future

    def answers(self, future: Future) -> list[tuple[Any, str | None]]:
        """Results and errors of a chunk, none if its process was killed."""
        try:
            return [_unpack(answer) for answer in future.result()]
        except BrokenProcessPool:
            self.broken = True
            return []

    def find_broken(self) -> _Broken:
        """Who was killed; after :meth:`close`."""
        notes = dict(zip(self._notes[::2], self._notes[1::2], strict=True))
        # The executor ends the others by SIGTERM.
        endings = {
            pid: child.exitcode
            for pid, child in self._processes.items()
            if child.exitcode not in (None, 0, -signal.SIGTERM)
        }
        guilty = endings or notes
        code = next(iter(endings.values()), None)
        indices = [notes[pid] for pid in guilty if notes.get(pid, -1) >= 0]
        return _Broken(sorted(indices), _ending(code))

    def kill(self) -> None:
        """End all processes by force."""
        for child in self._processes.values():
            child.kill()

    def close(self) -> None:
        """Wait until all processes have ended."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _ending(code: int | None) -> str:
    if code is None:
        return 'was killed'
    if code >= 0:
        return f'ended with status {code}'
    return f'was killed by {signal.Signals(-code).name}'


# Of a process of a pool: function, items, its notes, and its place in them.
_task: tuple[Callable, Sequence[Any], Any, int]


def _start_process(
    function: Callable, items: Sequence[Any], notes: Any, counter: Any
) -> None:
    global _task  # noqa: PLW0603
    # Ctrl-C is answered by the main process only, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _use_one_thread()
    with counter.get_lock():
        place = 2 * counter.value
        counter.value += 1
    notes[place] = os.getpid()
    _task = function, items, notes, place + 1


def _end_with_parent() -> None:
    """End when the main process was killed: nobody will send more work."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call_chunk(indices: list[int]) -> list[tuple[bytes, str | None]]:
    function, items, notes, place = _task
    answers = []
    for index in indices:
        notes[place] = index
        result, error = _call(function, items[index])
        try:
            content = pickle.dumps(result)
        except Exception as problem:
            content = pickle.dumps(None)
            error = f'its result cannot be sent: {describe_error(problem)}'
        answers.append((content, error))
    notes[place] = -1
    return answers


def _unpack(answer: tuple[bytes, str | None]) -> tuple[Any, str | None]:
    content, error = answer
    try:
        return pickle.loads(content), error
    except Exception as problem:
        return None, f'its result cannot be read: {describe_error(problem)}'


def _call(function: Callable, item: Any) -> tuple[Any, str | None]:
    """Result or error."""
    try:
        return function(item), None
    except (Exception, SystemExit) as error:
        return None, describe_error(error)


def _use_one_thread() -> None:
    """One thread for the libraries that are here or will be imported."""
    for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'):
        os.environ[variable] = '1'
    if 'cv2' in sys.modules:
        sys.modules['cv2'].setNumThreads(1)
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread in this process, as in those of a pool, for a while."""
    undo = []
    for module, getter, setter in (
        ('cv2', 'getNumThreads', 'setNumThreads'),
        ('torch', 'get_num_threads', 'set_num_threads'),
    ):
        if module in sys.modules:
            library: Any = sys.modules[module]
            number = getattr(library, getter)()
            undo.append((getattr(library, setter), number))
            getattr(library, setter)(1)
    try:
        yield
    finally:
        for restore, number in undo:
            restore(number)


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[None]:
    """Answer a Ctrl-C at the end of the block only."""
    handler = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(handler):  # no KeyboardInterrupt comes here
        yield
        return
    signals: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda *args: signals.append(args))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if signals:
            handler(*signals[0])


def _chunked(indices: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(indices)
    while chunk := list(islice(rest, size)):
        yield chunk
