"""What the runs of the paper's rows gave."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import outdated
from mmxdistill.studies.paper import METRICS, Row
from mmxdistill.studies.paper_jobs import (
    lacking,
    plan_rows,
    test_names,
    training_names,
    trainings_of,
    transfer_tests,
)
from mmxdistill.studies.results import (
    Metrics,
    mean_of_known,
    read_metrics,
)

__all__ = ['Result', 'collect']

_EXPLAINED = 'transfer/explained_variance_'
_CLASS = 'voc/AP_'


@dataclass
class Result:
    """What the runs of a row on a data set gave.

    Attributes:
        row: The row.
        data: The data set; empty if the row has no config for any.
        values: Metric -> seed -> per cent.
        explained: Transfer point -> seed -> share of 1.
        iterations: Of the trainings, in their order; '-' without a log.
        speed: Images a second, likewise.
        classes: Class -> seed -> AP in per cent.
        lacks: If there are no values: the files or parts without which the
            row cannot run.
        outdated: Folders whose results are left out, as they are older than
            what they were made from.
    """

    row: Row
    data: str
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    explained: dict[str, dict[int, float]] = field(default_factory=dict)
    iterations: list[str] = field(default_factory=list)
    speed: list[str] = field(default_factory=list)
    classes: dict[str, dict[int, float]] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    outdated: list[Path] = field(default_factory=list)


def collect(
    rows: Sequence[Row],
    work_dir: Path,
    data: Sequence[str],
    seeds: Sequence[int] | None = None,
) -> list[Result]:
    """Read the results of rows.

    Args:
        rows (Sequence[Row]): The rows.
        work_dir (Path): Has ``<data set>/seed_<seed>/<job>``.
        data (Sequence[str]): The data sets.
        seeds (Sequence[int], optional): Defaults to those that are there.

    Returns:
        list[Result]: One for each row and data set that it has a config for;
        at least one for each row.
    """
    results = []
    for row in rows:
        for name in [d for d in data if d in row.configs] or ['']:
            result = Result(row, name)
            if name:
                _fill(result, work_dir / name, seeds)
                if not result.values:
                    result.lacks = lacking(row, name)
            results.append(result)
    return results


def _fill(result: Result, home: Path, seeds: Sequence[int] | None) -> None:
    config = result.row.configs[result.data]
    folders = {
        int(path.name.removeprefix('seed_')): path
        for path in sorted(home.glob('seed_*'))
    }
    chosen = {
        seed: path
        for seed, path in sorted(folders.items())
        if seeds is None or seed in seeds
    }
    planned = plan_rows(
        [result.row], result.data, home, list(chosen), Path('tools')
    )
    result.outdated = [step.folder for step in outdated(planned)]

    def _read(folder: Path) -> Metrics:
        """The results of a step that has ended; else none."""
        if folder in result.outdated or not (folder / 'done').is_file():
            return {}
        return read_metrics(folder)

    for seed, folder in chosen.items():
        # On all splits of the data, or it is no result.
        found = [_read(folder / test) for test in test_names(config)]
        for metric in result.row.published:
            key = METRICS[metric]
            if all(key in metrics for metrics in found):
                value = 100 * statistics.mean(m[key] for m in found)
                result.values.setdefault(metric, {})[seed] = value
        for key in found[0]:
            if key.startswith(_CLASS) and all(key in m for m in found):
                # NaN: a split has no object of the class.
                value = 100 * mean_of_known(m[key] for m in found)
                if not math.isnan(value):
                    name = key.removeprefix(_CLASS)
                    result.classes.setdefault(name, {})[seed] = value
        for test in transfer_tests(config):
            for key, value in _read(folder / test).items():
                if key.startswith(_EXPLAINED):
                    point = key.removeprefix(_EXPLAINED)
                    result.explained.setdefault(point, {})[seed] = value
    # Of a seed that is not through, a training may have been stopped.
    counted = sorted({seed for v in result.values.values() for seed in v})
    for training in trainings_of(config):
        batch_size = load_config(training).train_dataloader.batch_size
        runs = [
            chosen[seed] / name
            for seed in counted
            for name in training_names(training)
        ]
        logs = [log for run in runs if (log := _training_log(run))]
        # Of the runs, not of the config: they may have been shorter.
        steps = sorted({max(log) for log in logs})
        result.iterations.append(' or '.join(map(str, steps)) or '-')
        speeds = [batch_size / statistics.median(log.values()) for log in logs]
        result.speed.append(
            f'{statistics.median(speeds):.1f}' if speeds else '-'
        )


def _training_log(folder: Path) -> dict[int, float]:
    """Iteration -> seconds per iteration, of mmengine's log of a training."""
    found = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # a line that a killed run has not finished
                continue
            if {'time', 'loss', 'step'} <= entry.keys():  # no validation
                found[entry['step']] = entry['time']
    return found
