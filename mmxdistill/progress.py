"""Progress of many items: a bar in a terminal, else lines now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

__all__ = ['Progress']

TICK = 0.1  # seconds between two refreshes of the bar
_LOG_EVERY = 10.0  # seconds between two lines where there is no terminal


class Progress:
    """A bar in a terminal, else lines; a context manager.

    Args:
        description (str): What is done.
        total (int): Number of items.
        log (Callable): Takes the lines where there is no terminal.
    """

    def __init__(
        self,
        description: str,
        total: int,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.description = description
        self.total = total
        self.done = 0
        self._log = log or _print
        self._start = self._shown = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.progress import (
            Progress as Bar,
        )

        console = Console()
        if console.is_terminal:
            self._bar = Bar(
                TextColumn('{task.description}'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                # By a thread, it could hold a lock while a process is forked.
                auto_refresh=False,
            )
            self._task = self._bar.add_task(self.description, total=self.total)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar:
            self._bar.refresh()
            self._bar.stop()
        elif kind is None and self._shown > self._start:
            self._line()  # the last, if there were others

    def say(self, text: str) -> None:
        """Show a message."""
        if self._bar:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            self._log(text)

    def advance(self) -> None:
        """Count an item."""
        self.done += 1
        if self._bar:
            self._bar.advance(self._task)
        self.show()

    def show(self) -> None:
        """Refresh the bar, or write a line if it is time."""
        now = time.monotonic()
        if now - self._shown >= (TICK if self._bar else _LOG_EVERY):
            self._shown = now
            if self._bar:
                self._bar.refresh()
            else:
                self._line()

    def _line(self) -> None:
        passed = time.monotonic() - self._start
        text = f'{self.description}: {self.done}/{self.total}'
        if self.done == self.total:
            text += f', took {timedelta(seconds=round(passed))}'
        elif self.done:
            left = passed / self.done * (self.total - self.done)
            text += f', {timedelta(seconds=round(left))} left'
        self._log(text)


def _print(line: str) -> None:
    print(line, flush=True)
