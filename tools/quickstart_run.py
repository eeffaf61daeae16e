"""Run commands side by side, show how far they are, and say what failed."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRESS = re.compile(
    r'(?:Iter\((?:train|test)\) \[ *|\] )(\d+)/(\d+)[],]'
    r'.*?(?:eta|ETA): *(\d[\d:]*)'
)


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: Unique name.
        shows: What it does and what for.
        command: Arguments of the process.
        folder: Where its results are.
        log: File for its output.
        seconds: Roughly, on one core.
        needs: Names of the steps that come before.
        checkpoint: Name of the last checkpoint of a training.
        results: Of others: patterns of the files that a finished one has.
        always: Run it even then: it knows itself what is left to do.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    folder: Path
    log: Path
    seconds: int
    needs: tuple[str, ...] = ()
    checkpoint: str = ''
    results: tuple[str, ...] = ()
    always: bool = False

    def finished(self) -> bool:
        """Whether its results are there, complete."""
        if self.checkpoint:
            # mmengine names a checkpoint there once it is written.
            last = self.folder / 'last_checkpoint'
            if not last.is_file():
                return False
            return Path(last.read_text()).name == self.checkpoint
        return all(any(self.folder.glob(name)) for name in self.results)

    def __str__(self) -> str:
        """Return the command as it is typed."""
        return f'OMP_NUM_THREADS=1 {shlex.join(self.command)}'


class Terminal:
    """Lines that stay, and a last one that tells the progress."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._next = 0.0

    def say(self, text: str) -> None:
        """Print lines that stay."""
        print(('\r\033[K' if self._live else '') + text, flush=True)

    def show(self, text: str) -> None:
        """Replace the last line; without a terminal, every 10 s a line."""
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f'\r\033[K{text[:width]}', end='', flush=True)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 10
            print(f'    {text}', flush=True)


def read_progress(text: str) -> tuple[int, int, int] | None:
    """Find the last progress report: done, total, seconds left."""
    found = PROGRESS.findall(text)
    if not found:
        return None
    done, total, left = found[-1]
    seconds = 0
    for part in left.split(':'):
        seconds = 60 * seconds + int(part)
    return int(done), int(total), seconds


def describe_progress(step: Step) -> str:
    """Say how far a running step is."""
    with step.log.open('rb') as log:
        log.seek(max(0, step.log.stat().st_size - 4096))
        progress = read_progress(log.read().decode(errors='replace'))
    if progress is None:
        return f'{step.name}: starting'
    done, total, left = progress
    return f'{step.name}: {done}/{total}, {clock(left)} left'


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02d}'


def run_steps(
    steps: Sequence[Step], slots: int, outcome: Callable[[Step], str]
) -> None:
    """Run what is not finished, up to ``slots`` commands at a time.

    Args:
        steps: In an order in which they can run.
        slots: Number of commands at a time.
        outcome: Says what came out of a finished step; may be empty.

    Raises:
        SystemExit: A step failed; says where and why.
    """
    terminal = Terminal()
    begin_all = time.monotonic()
    total = sum(step.seconds for step in steps)
    number = {s.name: f'[{i}/{len(steps)}]' for i, s in enumerate(steps, 1)}
    waiting = [s for s in steps if s.always or not s.finished()]
    done = {step.name for step in steps if step not in waiting}
    running: dict[subprocess.Popen, tuple[Step, float]] = {}
    try:
        while waiting or running:
            ready = [s for s in waiting if done.issuperset(s.needs)]
            for step in ready[: slots - len(running)]:
                waiting.remove(step)
                terminal.say(
                    f'\n{number[step.name]} {step.shows} '
                    f'({100 * step.seconds / total:.0f} % of the work)\n'
                    f'    {step}\n    output: {step.log}'
                )
                running[start(step)] = step, time.monotonic()
            for process in [p for p in running if p.poll() is not None]:
                step, begin = running.pop(process)
                if process.returncode or not step.finished():
                    raise SystemExit(failure(step, process.returncode))
                done.add(step.name)
                terminal.say(
                    f'{number[step.name]} {step.name} done in '
                    f'{clock(time.monotonic() - begin)}{outcome(step)}'
                )
            if running:
                current = [step for step, _ in running.values()]
                terminal.show(' | '.join(map(describe_progress, current)))
                time.sleep(0.2)
        terminal.say(
            f'\nAll steps done in {clock(time.monotonic() - begin_all)}; '
            'writing the report'
        )
    finally:
        stop(running)


def start(step: Step) -> subprocess.Popen:
    """Start the command of a step, away from the signals of the terminal."""
    step.log.parent.mkdir(parents=True, exist_ok=True)
    with step.log.open('wb') as log:
        return subprocess.Popen(
            step.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            start_new_session=True,
        )


def stop(processes: Iterable[subprocess.Popen]) -> None:
    """End processes together with their workers."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        os.killpg(process.pid, signal.SIGTERM)
    for process in left:
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def failure(step: Step, code: int) -> str:
    """Say which step failed, with the end of its log."""
    if code < 0:
        what = f'was killed ({signal.Signals(-code).name}; out of memory?)'
    elif code:
        what = f'failed (exit status {code})'
    else:
        what = f'ended without its results in {step.folder}'
    lines = step.log.read_text(errors='replace').splitlines()[-15:]
    text = '\n'.join(f'    {line}' for line in lines)
    return (
        f'\n{step.name} {what}. The end of {step.log}:\n{text}\n'
        'Started again, the quickstart continues with this step.'
    )
