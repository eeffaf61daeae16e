"""Runs what is missing of a study, with Snakemake."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from mmxdistill.atomic import atomic_write
from mmxdistill.studies.jobs import Step, outdated

__all__ = ['PLAN', 'run_steps']

PLAN = 'plan.json'
# Also from a checkout that is not installed.
_ROOT = Path(__file__).resolve().parents[2]
_START = """\
import sys
sys.path.append({root!r})
from mmxdistill.studies.snakemake_progress import main
main(sys.argv[1:])"""


def run_steps(
    steps: Sequence[Step],
    snakefile: Path,
    cores: int,
    options: Sequence[str] = (),
) -> None:
    """Run the steps that are not done, several at a time.

    Whatever ends this call, also ``kill -9``, ends the steps that run; the
    next call continues.

    Args:
        steps (Sequence[Step]): All of one study, in an order in which they
            can run.
        snakefile (Path): The rules: ``tools/Snakefile``.
        cores (int): Number of steps at a time.
        options (Sequence[str]): Further options of ``snakemake``, such as
            ``--keep-going`` or ``--executor``.

    Raises:
        KeyboardInterrupt: By Ctrl-C, SIGTERM or SIGHUP.
        SystemExit: A step failed (which one and why has been printed),
            another process works on this study, what a step made is gone,
            or Snakemake is missing.
    """
    if find_spec('snakemake_interface_logger_plugins') is None:
        raise SystemExit(
            'Snakemake 9, which runs the steps, is not installed:\n'
            "    pip install 'snakemake>=9'    (needs Python 3.11)\n"
            'Without it, run the commands that --list prints.'
        )
    home = steps[0].home
    if set('{}') & set(str(home.resolve())):
        raise SystemExit(
            f'{home.resolve()}: a name with {{ or }} means something else to '
            'Snakemake; choose another folder'
        )
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / '.lock'):
        for step in steps:
            _write_if_changed(step.settings_file, step.settings)
            _check_written(step)
        for step in outdated(steps):
            # Else it would look done if what it needs fails now.
            step.done.unlink()
        plan = home / PLAN
        _write_if_changed(plan, _describe(steps))
        command: list[object] = [*_end_with_parent(), sys.executable]
        command += ['-c', _START.format(root=str(_ROOT))]
        command += ['--snakefile', snakefile, '--configfile', plan]
        command += ['--directory', home, '--cores', cores]
        # Snakemake's own lock would outlive a killed process.
        command += ['--nolock', '--rerun-incomplete']
        command += ['--rerun-triggers', 'mtime', '--scheduler', 'greedy']
        _run([str(word) for word in (*command, *options)])


def _end_with_parent() -> list[str]:
    """Command before a command that then ends when its parent is killed."""
    found = shutil.which('setpriv')  # of util-linux
    return [found, '--pdeathsig', 'KILL'] if found else []


def _describe(steps: Sequence[Step]) -> dict[str, object]:
    """All that ``tools/Snakefile`` and the progress need to know."""
    by_name = {step.name: step for step in steps}
    return {
        'folder': str(Path.cwd()),
        'guard': shlex.join(_end_with_parent()),
        'steps': [
            {
                'name': step.name,
                'shows': step.shows,
                'command': str(step),
                'argv': shlex.join(step.command),
                'seconds': step.seconds,
                'folder': str(step.folder.resolve()),
                'settings': str(step.settings_file.resolve()),
                'log': str(step.log.resolve()),
                'log_name': str(step.log),
                'needs': [str(by_name[n].done.resolve()) for n in step.needs],
                'done': str(step.done.resolve()),
            }
            for step in steps
        ],
    }


def _write_if_changed(path: Path, content: object) -> None:
    """Write JSON; a file that says the same keeps its time."""
    data = json.dumps(content, indent=1, default=_describe_value).encode()
    if not path.is_file() or path.read_bytes() != data:
        with atomic_write(path) as file:
            file.write(data)


def _check_written(step: Step) -> None:
    """Refuse to go on without what a step has made, and is not to make anew.

    To run it again would run anew whatever needs it.
    """
    gone = [path for path in step.writes if not Path(path).exists()]
    if gone and step.done.is_file():
        made = step.done.stat().st_mtime_ns
        if made >= step.settings_file.stat().st_mtime_ns:
            raise SystemExit(
                f"'{gone[0]}' is gone, which step '{step.name}' of "
                f'{step.home} made in {Path.cwd()}. Put it back, or make it '
                f'again, and start again:\n    {step}'
            )


def _describe_value(value: object) -> str:
    """What a config may hold, without addresses that differ every time."""
    if hasattr(value, '__qualname__'):  # class or function
        return f'{value.__module__}.{value.__qualname__}'
    return str(value)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep a study to one process; a killed one leaves no lock."""
    with path.open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f'Another process works in {path.parent.resolve()}; wait for '
                'it, stop it, or choose another --work-dir.'
            ) from None
        yield


def _run(command: Sequence[str]) -> None:
    """Run Snakemake in a session of its own, which ends with this call."""
    process: subprocess.Popen | None = None
    asked: list[int] = []

    def interrupt(number: int, _: object) -> None:
        asked.append(number)
        if process is not None:  # else the one that starts would be lost
            raise KeyboardInterrupt

    old = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True
        )
        if asked:
            raise KeyboardInterrupt
        code = process.wait()
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        if process is not None:
            # The steps are made to be killed: they resume.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        raise SystemExit('Started again, it continues with what is missing.')
