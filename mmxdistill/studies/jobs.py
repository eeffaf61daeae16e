"""Rows of a study and the commands that they stand for."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmxdistill.studies.configs import load_config

__all__ = [
    'Comparison',
    'Evaluation',
    'Job',
    'Step',
    'Training',
    'make_steps',
    'outdated',
    'tool',
]

PREDICTIONS = 'predictions.pkl'
TABLE = 'comparison.md'


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is run once for every seed.

    Attributes:
        name: Unique name.
        config: Below ``configs/``.
        shows: What it does and what for.
        seconds: Roughly, on one core.
        checkpoints: Settings of the config -> the training whose last
            checkpoint they are set to.
        settings: Further settings of the config.
    """

    name: str
    config: str
    shows: str
    seconds: int
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Training(Job):
    """Trains the config to its last iteration."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Job):
    """Tests the config.

    Attributes:
        tests: The training whose last checkpoint is tested; empty if
            ``checkpoints`` or ``weights`` name all that there is.
        weights: A checkpoint that is there.
        predictions: Whether the predictions are kept.
    """

    tests: str = ''
    weights: str = ''
    predictions: bool = True


@dataclass(frozen=True, kw_only=True)
class Comparison(Job):
    """Compares the fusion of the config with its streams and baselines."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a study.

    Attributes:
        name: Unique name, and path below the study's folder.
        shows: What it does and what for.
        command: Arguments of the process.
        home: The study's folder.
        seconds: Roughly, on one core.
        needs: Names of the steps that come before.
        settings: What its result depends on; if that changes, it is run
            anew.
        writes: What it writes outside of its folder, and others read.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    home: Path
    seconds: int
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    writes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Of its results."""
        return self.home / self.name

    @property
    def done(self) -> Path:
        """Exists once it has succeeded."""
        return self.folder / 'done'

    @property
    def begun(self) -> Path:
        """Exists since it was begun, anew if it does not resume."""
        return self.folder / 'begun'

    @property
    def log(self) -> Path:
        """Its output."""
        return self.home / f'{self.name}.log'

    @property
    def settings_file(self) -> Path:
        """Holds the settings, and is rewritten only when they change."""
        return self.home / f'{self.name}.json'

    def __str__(self) -> str:
        """Return the command as it is typed."""
        return f'OMP_NUM_THREADS=1 {shlex.join(self.command)}'


def make_steps(
    jobs: Sequence[Job],
    home: Path,
    seed: int,
    tools: Path,
    overrides: Mapping[str, Any] | None = None,
    needs: Sequence[Step] = (),
) -> list[Step]:
    """Build the commands of jobs for one seed.

    Args:
        jobs (Sequence[Job]): In an order in which they can run.
        home (Path): The study's folder; results go to
            ``<home>/seed_<seed>/<job>``.
        seed (int): ``randomness.seed`` of the trainings.
        tools (Path): Folder of ``train.py`` and ``test.py``.
        overrides (Mapping, optional): Settings of all trainings.
        needs (Sequence[Step]): Steps that come before all of them.

    Returns:
        list[Step]: One for each job.

    Raises:
        ValueError: If a job uses a training that does not come before it.
    """
    overrides = dict(overrides or {})
    prefix = f'seed_{seed}'
    # Training -> its last checkpoint.
    last: dict[str, Path] = {}
    steps = []
    for job in jobs:
        used = [*job.checkpoints.values()]
        if isinstance(job, Evaluation) and job.tests:
            used.append(job.tests)
        if missing := [name for name in used if name not in last]:
            raise ValueError(
                f'job {job.name!r} uses {missing}, which is no training '
                f'before it; those are {list(last)}'
            )
        folder = home / prefix / job.name
        settings: dict[str, Any] = {
            **job.settings,
            **{key: last[name] for key, name in job.checkpoints.items()},
        }
        command: list[Any]
        if isinstance(job, Evaluation):
            command = ['test.py', f'configs/{job.config}']
            command += [last[job.tests]] if job.tests else []
            command += [job.weights] if job.weights else []
            command += ['--work-dir', folder]
            if job.predictions:
                command += ['--out', folder / PREDICTIONS]
        elif isinstance(job, Comparison):
            command = ['analysis_tools/compare_fusion.py']
            command += [f'configs/{job.config}', '--work-dir', folder]
            command += ['--out', folder / TABLE]
        else:
            command = ['train.py', f'configs/{job.config}']
            command += ['--work-dir', folder, '--resume']
            settings = {'randomness.seed': seed, **settings, **overrides}
            number = settings.get('train_cfg.max_iters')
            number = number or load_config(job.config).train_cfg['max_iters']
            last[job.name] = folder / f'iter_{number}.pth'
        if settings:
            command.append('--cfg-options')
            command += [
                # No blanks: mmengine does not read them.
                f'{key}={str(value).replace(" ", "")}'
                for key, value in settings.items()
            ]
        name, *arguments = command
        line = tool(tools / name, *arguments)
        steps.append(
            Step(
                name=f'{prefix}/{job.name}',
                shows=job.shows,
                command=line,
                home=home,
                seconds=job.seconds,
                needs=(
                    *(step.name for step in needs),
                    *(f'{prefix}/{name}' for name in used),
                ),
                settings=dict(
                    arguments=line[1:],
                    config=load_config(job.config).to_dict(),
                ),
            )
        )
    return steps


def outdated(steps: Sequence[Step]) -> list[Step]:
    """List the steps that were done before something that they need.

    That is then about to be run anew, or has failed when it was.

    Args:
        steps (Sequence[Step]): In an order in which they can run.

    Returns:
        list[Step]: Those whose results are of older settings, or of an older
        run of a step that they need.
    """
    latest: dict[str, int] = {}
    found = []
    for step in steps:
        times = [latest.get(name, 0) for name in step.needs]
        times += [_time(step.settings_file), _time(step.begun)]
        made = _time(step.done)
        if 0 < made < max(times):
            found.append(step)
        latest[step.name] = max(made, *times)
    return found


def _time(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0


def tool(script: Path, *args: Any) -> tuple[str, ...]:
    """Return the command line of a tool, short from the current folder."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return tuple(map(str, (python, os.path.relpath(script), *args)))
