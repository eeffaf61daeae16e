"""Tells a terminal how far the steps of a study are."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmxdistill.studies.results import outcome

__all__ = ['Progress', 'read_progress']

_REPORT = re.compile(
    r'(?:Iter\((?:train|test)\) \[ *|\] )(\d+)/(\d+)[],]'
    r'.*?(?:eta|ETA): *(\d[\d:]*)'
)


def read_progress(text: str) -> tuple[int, int, int] | None:
    """Find the last progress report of mmengine in a log.

    Args:
        text (str): The log, or its end.

    Returns:
        tuple[int, int, int] or None: Done, total, and seconds left.
    """
    found = _REPORT.findall(text)
    if not found:
        return None
    done, total, left = found[-1]
    seconds = 0
    for part in left.split(':'):
        seconds = 60 * seconds + int(part)
    return int(done), int(total), seconds


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


class Progress:
    """Lines that stay, and a last one that says how far what runs is.

    Args:
        steps (Sequence[Mapping]): All of the study: ``name``, ``shows``,
            ``command`` (as typed), ``folder``, ``log``, ``log_name`` (as
            shown) and ``seconds``.
        live (bool, optional): Replace the last line, on a terminal;
            otherwise a line is printed every ten seconds. Defaults to what
            the output is.
    """

    def __init__(
        self, steps: Sequence[Mapping[str, Any]], live: bool | None = None
    ) -> None:
        self._steps = {step['name']: step for step in steps}
        self._number = {
            name: f'[{i}/{len(steps)}]'
            for i, name in enumerate(self._steps, 1)
        }
        self._total = sum(step['seconds'] for step in steps)
        self._running: dict[str, float] = {}
        self._live = sys.stdout.isatty() if live is None else live
        self._next = time.monotonic() + 10
        self._lock = threading.Lock()
        self._why = ''

    def start(self, name: str) -> None:
        """Say what begins, with its command and its log."""
        step = self._steps[name]
        self._running[name] = time.monotonic()
        self._say(
            f'\n{self._number[name]} {step["shows"]} '
            f'({100 * step["seconds"] / self._total:.0f} % of the work)\n'
            f'    {step["command"]}\n    output: {step["log_name"]}'
        )

    def finish(self, name: str) -> None:
        """Say what has ended, and what came out of it."""
        seconds = time.monotonic() - self._running.pop(name)
        result = outcome(Path(self._steps[name]['folder']))
        self._say(
            f'{self._number[name]} {name} done in {clock(seconds)}{result}'
        )

    def explain(self, error: str) -> None:
        """Remember why the next step to fail does."""
        if found := re.search(r'died with <Signals\.(\w+)', error):
            self._why = f'was killed ({found[1]}; out of memory?)'
        elif found := re.search(r'non-zero exit status (\d+)', error):
            code = int(found[1])
            self._why = f'failed (exit status {code})'

    def fail(self, name: str) -> None:
        """Say that a step failed, with the end of its log."""
        self._running.pop(name, None)
        step = self._steps[name]
        log = Path(step['log'])
        text = log.read_text(errors='replace') if log.is_file() else ''
        lines = ''.join(f'    {line}\n' for line in text.splitlines()[-15:])
        why, self._why = self._why or 'failed', ''
        self._say(f'\n{name} {why}. The end of {step["log_name"]}:\n{lines}')
        if self._running:
            self._say(f'Still running: {", ".join(self._running)}')

    def tick(self) -> None:
        """Say how far what runs is; to be called several times a second."""
        running = [self._describe(name) for name in list(self._running)]
        if not running:
            return
        text = ' | '.join(running)
        with self._lock:
            if self._live:
                width = shutil.get_terminal_size().columns - 1
                print(f'\r\033[K{text[:width]}', end='', flush=True)
            elif time.monotonic() >= self._next:
                self._next = time.monotonic() + 10
                print(f'    {text}', flush=True)

    def _describe(self, name: str) -> str:
        log = Path(self._steps[name]['log'])
        try:
            with log.open('rb') as file:
                file.seek(max(0, log.stat().st_size - 4096))
                found = read_progress(file.read().decode(errors='replace'))
        except FileNotFoundError:
            found = None
        if found is None:
            return f'{name}: starting'
        done, total, left = found
        return f'{name}: {done}/{total}, {clock(left)} left'

    def _say(self, text: str) -> None:
        with self._lock:
            print(('\r\033[K' if self._live else '') + text, flush=True)
