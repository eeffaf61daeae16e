"""The one process pool: a function of many items, with progress.

No item can stop the others: an error of the function is a result, and an item
that kills its process (out of memory, a crash inside a library) is found,
named and left out, while the rest goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

from mmxdistill.process_pool import (
    Broken,
    Pool,
    call,
    describe_error,
    one_thread,
)
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
        with one_thread():
            for index, item in enumerate(self.items):
                self.store(index, *call(self.function, item))

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

    def announce(self, broken: Broken) -> None:
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

    def run_pool(self, indices: Iterable[int], jobs: int) -> Broken | None:
        """Work until all is done or a process is killed."""
        pool = Pool(self.function, self.items, jobs)
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


def _chunked(indices: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(indices)
    while chunk := list(islice(rest, size)):
        yield chunk
