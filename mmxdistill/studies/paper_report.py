"""The paper's tables with what the runs at hand gave beside them."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmxdistill.atomic import atomic_write
from mmxdistill.studies.paper import DATA, METRICS, Row
from mmxdistill.studies.paper_jobs import (
    blocked,
    load_config,
    test_names,
    training_names,
    trainings_of,
    transfer_tests,
)
from mmxdistill.studies.results import Metrics, provenance, read_metrics
from mmxdistill.tables import format_table

__all__ = ['Result', 'collect', 'write_report']

_EXPLAINED = 'transfer/explained_variance_'
_HEADER = [
    *('row', 'what', 'metric', 'published', 'ours', 'seeds', 'data set'),
    *('iterations', 'images/s', 'explained variance'),
]
_NOT_AT_HAND = 'not at hand'
_TITLE = 'The paper and the runs at hand'
_NOTE = """\
Ours: mean and, of several seeds, standard deviation. AP in per cent;
iterations and images/s of the trainings, in the order in which they are run,
from their logs. Explained variance: of the
teacher's features, on held-out pairs, per transfer point. Numbers from
generated rooms are comparable with each other, not with the published ones.
"""


@dataclass
class Result:
    """What the runs of a row on a data set gave.

    Attributes:
        row: The row.
        data: The data set, or empty if the row has no config at all.
        values: Metric -> seed -> per cent.
        explained: Transfer point -> seed -> share of 1.
        iterations: Of the trainings, in their order; '-' without a log.
        speed: Images a second, likewise.
        why: Why there are no values: ``'missing'``, or what blocks the row.
    """

    row: Row
    data: str
    values: dict[str, dict[int, float]] = field(default_factory=dict)
    explained: dict[str, dict[int, float]] = field(default_factory=dict)
    iterations: list[str] = field(default_factory=list)
    speed: list[str] = field(default_factory=list)
    why: str = ''


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
                result.why = blocked(row, name) if name else row.lacks
                result.why = (
                    f'blocked: {result.why}' if result.why else 'missing'
                )
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
    for seed, folder in chosen.items():
        # On all splits of the data, or it is no result.
        found = [_read(folder / test) for test in test_names(config)]
        for metric in result.row.published:
            key = METRICS[metric]
            if all(key in metrics for metrics in found):
                value = 100 * statistics.mean(m[key] for m in found)
                result.values.setdefault(metric, {})[seed] = value
        for test in transfer_tests(config):
            for key, value in _read(folder / test).items():
                if key.startswith(_EXPLAINED):
                    point = key.removeprefix(_EXPLAINED)
                    result.explained.setdefault(point, {})[seed] = value
    for training in trainings_of(config):
        batch_size = load_config(training).train_dataloader.batch_size
        runs = [
            folder / name
            for folder in chosen.values()
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


def _read(folder: Path) -> Metrics:
    """The results of a step that has ended; else none."""
    if not (folder / 'done').is_file():
        return {}
    return read_metrics(folder)


def _training_log(folder: Path) -> dict[int, float]:
    """Iteration -> seconds per iteration, of mmengine's log of a training."""
    found = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            if {'time', 'loss', 'step'} <= entry.keys():  # no validation
                found[entry['step']] = entry['time']
    return found


def _spread(values: Mapping[int, float], digits: int = 1) -> str:
    text = f'{statistics.mean(values.values()):.{digits}f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values.values()):.{digits}f}'
    return text


def _lines(result: Result) -> list[list[str]]:
    """Cells of a row, one line for each metric."""
    lines = []
    for metric, published in result.row.published.items():
        values = result.values.get(metric, {})
        lines.append(
            [
                result.row.id,
                result.row.what,
                metric,
                _NOT_AT_HAND if published is None else f'{published:.1f}',
                _spread(values) if values else result.why or 'missing',
                ' '.join(map(str, values)),
                DATA.get(result.data, ''),
                *(
                    ' / '.join(cells) if set(cells) - {'-'} else ''
                    for cells in (result.iterations, result.speed)
                ),
                ', '.join(
                    f'{point} {_spread(seeds, 3)}'
                    for point, seeds in result.explained.items()
                ),
            ]
        )
    return lines


def write_report(results: Sequence[Result], stem: Path) -> list[Path]:
    """Write the tables as Markdown, CSV and one HTML page.

    Args:
        results (Sequence[Result]): Of the rows, in the paper's order.
        stem (Path): The files without their suffix.

    Returns:
        list[Path]: The files.
    """
    # Slow to import, and not needed to list or run.
    from mmxdistill.visualization.page import Cell, Page

    tables: dict[str, list[list[str]]] = {}
    for result in results:
        tables.setdefault(result.row.table, []).extend(_lines(result))
    made = f'Made: {provenance()}'
    page = Page(_TITLE, _NOTE)
    page.text(made)
    text = f'# {_TITLE}\n\n{_NOTE}\n{made}\n'
    for table, lines in tables.items():
        text += f'\n## {table}\n\n{format_table(_HEADER, lines)}\n'
        page.section(table)
        page.table(
            _HEADER,
            [[Cell(one, muted=_absent(one)) for one in x] for x in lines],
        )
    numbers = io.StringIO()
    writer = csv.writer(numbers)
    columns = ['table', 'row', 'metric', 'published', 'data set', 'seed']
    writer.writerow([*columns, 'ours', 'status'])
    for result in results:
        for line in _numbers(result):
            writer.writerow(line)
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for suffix, content in (
        ('.md', text),
        ('.csv', numbers.getvalue()),
        ('.html', page.html()),
    ):
        files.append(stem.with_suffix(suffix))
        with atomic_write(files[-1]) as file:
            file.write(content.encode())
    return files


def _numbers(result: Result) -> list[list[object]]:
    """Lines of the CSV file: every seed, explained variance as well."""
    row, data = result.row, DATA.get(result.data, '')
    lines: list[list[object]] = []
    for metric, published in row.published.items():
        start = [row.table, row.id, metric, published, data]
        values = result.values.get(metric, {})
        lines += [[*start, seed, v, 'done'] for seed, v in values.items()]
        if not values:
            lines.append([*start, '', '', result.why or 'missing'])
    for point, seeds in result.explained.items():
        start = [row.table, row.id, f'explained variance {point}', '', data]
        lines += [[*start, seed, v, 'done'] for seed, v in seeds.items()]
    return lines


def _absent(cell: str) -> bool:
    return cell in (_NOT_AT_HAND, 'missing') or cell.startswith('blocked')
