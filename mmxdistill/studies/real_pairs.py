"""Studies on real pairs: a detector of colour teaches another modality."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmxdistill.studies.jobs import Job, Step, make_steps, tool

__all__ = [
    'Arm',
    'Claim',
    'Study',
    'TestSet',
    'draw_indices',
    'make_step',
    'plan',
]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A line of the table.

    Attributes:
        test: Name of the job whose predictions are evaluated.
        what: As the table says it.
        start: What a labelled arm starts from, for the learning curves.
        labels: Number of labelled images of the new modality.
    """

    test: str
    what: str
    start: str = ''
    labels: int = 0


@dataclass(frozen=True)
class Claim:
    """What was expected: the first arm is better than the second."""

    better: str
    worse: str
    what: str


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """A table of the report: arms that were tested on the same images.

    Attributes:
        title: Of the table.
        config: Its test images are those of all arms.
        arms: Lines of the table, in their order.
        claims: What was expected.
        group: Names the group of a test image (its video) by its path; images
            without one are left out.
        block: Neighbouring images of a group that are drawn together.
        classes: Of the data set.
        pooled: Whether the summary is of all images together, not the mean
            over the groups.
        sheet: Arms of the contact sheet; none without them.
    """

    __test__ = False  # for pytest

    title: str
    config: str
    arms: Sequence[Arm]
    claims: Sequence[Claim]
    group: Callable[[str], str]
    block: int
    classes: Sequence[str]
    pooled: bool = False
    sheet: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a study runs and reports.

    Attributes:
        name: Of its folder and of its report.
        title: Of its report.
        head: First lines of its report.
        data: Makes the commands that make data sets and teachers; arguments
            are the study's folder and that of the tools.
        jobs: Makes what is repeated for a seed.
        once: What does not depend on the seed.
        tests: Tables of the report.
        transfers: Jobs that measure the explained variance.
        comparison: Job that compares fusions; its table goes into the report.
    """

    name: str
    title: str
    head: str
    data: Callable[[Path, Path], list[Step]]
    jobs: Callable[[int], list[Job]]
    once: Sequence[Job]
    tests: Sequence[TestSet]
    transfers: Sequence[str]
    comparison: str = ''


def draw_indices(total: int, number: int, seed: int) -> list[int]:
    """Choose labelled images: for a seed the same in all arms.

    Args:
        total (int): Images to choose from.
        number (int): How many.
        seed (int): Of the draw.

    Returns:
        list[int]: Indices, ascending; a smaller number is a part of a larger.
    """
    order = random.Random(seed).sample(range(total), total)
    return sorted(order[:number])


def plan(
    study: Study, home: Path, seeds: Sequence[int], tools: Path
) -> list[Step]:
    """List the steps of a study.

    Args:
        study (Study): The study.
        home (Path): Its folder.
        seeds (Sequence[int]): Of the trainings.
        tools (Path): Folder of the command lines.

    Returns:
        list[Step]: In an order in which they can run; what does not depend on
        the seed belongs to the first one.
    """
    steps = study.data(home, tools)
    data = list(steps)
    for seed in seeds:
        jobs = study.jobs(seed)
        if seed == seeds[0]:
            jobs = [*jobs, *study.once]
        steps += make_steps(jobs, home, seed, tools, needs=data)
    return steps


def make_step(
    name: str,
    home: Path,
    shows: str,
    seconds: int,
    script: Path,
    *args: object,
    writes: str,
) -> Step:
    """Build a step that is done once, for what it ``writes``."""
    command = tool(script, *args)
    return Step(
        name=name,
        shows=shows,
        command=command,
        home=home,
        seconds=seconds,
        settings=dict(arguments=command[1:]),
        writes=(writes,),
    )
