"""Processes that inherit a function and its items, and tell where they are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

__all__ = ['Broken', 'Pool', 'call', 'describe_error', 'one_thread']


def describe_error(error: BaseException) -> str:
    """Type and message of an error, in the way of all reports."""
    # str() of a KeyError is the quoted message.
    text = error.args[0] if isinstance(error, KeyError) else error
    return f'{type(error).__name__}: {text}'


@dataclass(frozen=True)
class Broken:
    """A pool of which a process was killed.

    Attributes:
        at_work: Indices of the items at which it was.
        ending: How it ended, as a predicate.
    """

    at_work: list[int]
    ending: str


class Pool:
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
        """Hand a process the indices of some items."""
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

    def find_broken(self) -> Broken:
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
        return Broken(sorted(indices), _ending(code))

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
        result, error = call(function, items[index])
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


def call(function: Callable, item: Any) -> tuple[Any, str | None]:
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
def one_thread() -> Iterator[None]:
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
