"""Lists and runs the rows of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmxdistill.studies.configs import load_config
from mmxdistill.studies.engine import run_steps
from mmxdistill.studies.jobs import Step
from mmxdistill.studies.paper import Row
from mmxdistill.studies.paper_cost import expected_hours
from mmxdistill.studies.paper_jobs import (
    lacking,
    plan_rows,
    test_names,
    trainings_of,
    transfer_tests,
)
from mmxdistill.studies.rooms import SMOKE_OPTIONS, generate_rooms

__all__ = ['describe', 'run_rows']

# A step that crashed is tried once more, and the others go on without it.
_OPTIONS = ('--keep-going', '--retries', '1')


def describe(rows: Sequence[Row]) -> str:
    """List rows with all their configs, and what blocks them.

    Args:
        rows (Sequence[Row]): The rows.

    Returns:
        str: Their text.
    """
    lines = [
        'Hours of the full-size networks are those of the GPU of the paper, '
        'projected from its only time, 2.5 h for 100K iterations of transfer.'
    ]
    for row in rows:
        numbers = ', '.join(
            f'{metric} {"not at hand" if value is None else value}'
            for metric, value in row.published.items()
        )
        lines.append(f'{row.id}: {row.table}, {row.what}; published {numbers}')
        for data, config in row.configs.items():
            trained = trainings_of(config)
            lines += [
                f'    {data}: {one}{_cost(one) if one in trained else ""}'
                for one in dict.fromkeys([*trained, config])
            ]
            if reasons := lacking(row, data):
                lines.append(f'    {data} blocked: {", ".join(reasons)}')
    return '\n'.join(lines)


def _cost(config: str) -> str:
    """Iterations of a training; of the full-size networks hours, too."""
    iterations = load_config(config).train_cfg.max_iters
    if config.endswith('_synthetic.py'):
        return f' ({iterations} iterations)'
    return f' ({iterations} iterations, about {expected_hours(config):.1f} h)'


def run_rows(
    rows: Sequence[Row],
    data: str,
    home: Path,
    seeds: Sequence[int],
    tools: Path,
    smoke: bool = False,
    cores: int = 2,
    options: Sequence[str] = (),
) -> int:
    """Run what is missing of rows, and say which are blocked or crashed.

    Args:
        rows (Sequence[Row]): The rows.
        data (str): The data set.
        home (Path): Folder of the data set's runs.
        seeds (Sequence[int]): Everything is repeated for each.
        tools (Path): Folder of the command lines.
        smoke (bool): Only a few images and iterations. Defaults to False.
        cores (int): Steps at a time. Defaults to 2.
        options (Sequence[str]): Further options of Snakemake.

    Returns:
        int: Number of rows that were begun and have no result.
    """
    free = []
    for row in rows:
        if reasons := lacking(row, data):
            reason = ', '.join(reasons)
            print(f'{row.id} on {data} is blocked: it lacks {reason}')
        else:
            free.append(row)
    if not free:
        return 0
    needs = [generate_rooms(home, tools, smoke)] if data == 'generated' else []
    steps = plan_rows(
        *(free, data, home, seeds, tools),
        overrides=SMOKE_OPTIONS if smoke else None,
        needs=needs,
    )
    print(f'{len(free)} rows, {len(steps)} steps, in {home}', flush=True)
    try:
        run_steps(steps, tools / 'Snakefile', cores, (*_OPTIONS, *options))
    except SystemExit as error:
        print(error)
    return _report_crashes(free, data, steps, seeds)


def _report_crashes(
    rows: Sequence[Row], data: str, steps: Sequence[Step], seeds: Sequence[int]
) -> int:
    by_name = {step.name: step for step in steps}

    def culprit(step: Step) -> Step:
        """The first step that is not done of those that one needs."""
        for name in step.needs:
            if not by_name[name].done.is_file():
                return culprit(by_name[name])
        return step

    failed = 0
    for row in rows:
        config = row.configs[data]
        tests = [*test_names(config), *transfer_tests(config)]
        found = {
            found.name: found
            for seed in seeds
            for test in tests
            if not (step := by_name[f'seed_{seed}/{test}']).done.is_file()
            for found in [culprit(step)]
        }
        failed += bool(found)
        for name, step in found.items():
            log = f'see {step.log}' if step.log.is_file() else 'not begun'
            print(f'{row.id}: no result, as {name} is not done; {log}')
    return failed
