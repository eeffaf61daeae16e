"""How a converter works through its items, goes on later, and reports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmxdistill.converters.work_list import take_shard
from mmxdistill.parallel import map_parallel

__all__ = ['Converted', 'RunOptions', 'convert_items', 'report', 'run_all']


@dataclass(frozen=True)
class RunOptions:
    """How much of the work a run does.

    Attributes:
        jobs: Processes.
        shard: (I, N): the I-th of N parts, from 1.
        overwrite: Make again what is there.
    """

    jobs: int = 1
    shard: tuple[int, int] = (1, 1)
    overwrite: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> RunOptions:
        """Take them from a command line."""
        return cls(args.jobs, args.shard, args.overwrite)


@dataclass
class Converted:
    """What became of all items.

    Attributes:
        status: Exit status: 1 if anything failed, else 0.
        done: The items of this run that succeeded, with their results.
        complete: All items that are there now, also those of other runs.
        failures: A message for each item that failed in this run.
        untried: How many are neither complete nor failed: of other shards.
    """

    status: int
    done: list[tuple[Any, Any]]
    complete: list[Any]
    failures: list[str] = field(default_factory=list)
    untried: int = 0

    def lacking(self, what: str, products: str) -> bool:
        """Whether products must wait for other shards; if so, says that.

        Args:
            what (str): What the items are.
            products (str): What is written when all are there.
        """
        if self.untried:
            total = self.untried + len(self.complete) + len(self.failures)
            print(
                f'{self.untried} of {total} {what} are left to other shards: '
                f'{products} written by the command that finds all'
            )
        return bool(self.untried)


def run_all(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    jobs: int,
    description: str,
) -> tuple[list[tuple[Any, Any]], list[str]]:
    """Call a function for every item, in parallel and with progress.

    Args:
        function (Callable): Takes an item.
        items (Sequence): Its arguments; ``str(item)`` names one in messages.
        jobs (int): Processes.
        description (str): What the progress bar says.

    Returns:
        tuple: ``(item, result)`` of the calls that succeeded, and a message
        for each that failed.
    """
    outcomes = map_parallel(function, items, jobs, description)
    done = [(o.item, o.result) for o in outcomes if o.error is None]
    return done, [f'{o.item}: {o.error}' for o in outcomes if o.error]


def convert_items(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    is_done: Callable[[Any], bool],
    run: RunOptions,
    out: Path,
    description: str,
    before: Callable[[], None] | None = None,
) -> Converted:
    """Do what is not there yet of this run's part, and report it.

    Args:
        function (Callable): Converts an item; it appears when it is complete.
        items (Sequence): All, hashable.
        is_done (Callable): Whether an item is there, complete.
        run (RunOptions): Which of them to do.
        out (Path): What the report names.
        description (str): What the progress bar says.
        before (Callable, optional): Called before anything is written, if
            anything will be.

    Returns:
        Converted: The outcome.
    """
    mine = take_shard(items, run.shard)
    todo = [item for item in mine if run.overwrite or not is_done(item)]
    if todo and before is not None:
        before()
    done, failures = run_all(function, todo, run.jobs, description)
    status = report(out, len(done), len(mine) - len(todo), failures)
    # With --overwrite, files of an earlier run may lie where one failed.
    failed = set(todo) - {item for item, _ in done}
    complete = [i for i in items if i not in failed and is_done(i)]
    untried = len(items) - len(complete) - len(failed)
    return Converted(status, done, complete, failures, untried)


def report(out: Path, written: int, present: int, failures: list[str]) -> int:
    """Print what was done.

    Args:
        out (Path): Output folder.
        written (int): Files written.
        present (int): Files that were there before.
        failures (list[str]): One message per file that failed.

    Returns:
        int: Exit status: 1 if anything failed, else 0.
    """
    print(
        f'{out}: {written} written, {present} already there, '
        f'{len(failures)} failed'
    )
    for failure in failures:
        print(f'  {failure}', file=sys.stderr)
    return int(bool(failures))
