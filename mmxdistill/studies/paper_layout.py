"""The paper's tables, laid out as in the paper, with our runs in them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mmxdistill.studies.paper import CAPTIONS, DATA
from mmxdistill.studies.paper_results import Result

__all__ = ['RUNS', 'Table', 'is_absent', 'lay_out']

# Columns of the table of the runs, which the model index reads.
RUNS = [
    *('row', 'data set', 'ours', 'seeds', 'iterations', 'images/s'),
    'explained variance',
]

_NOT_AT_HAND = 'not at hand'
_MISSING = 'missing'
_BLOCKED = 'blocked by '
_CORNER = ['row', 'what']
_NO_CONFIG = 'No row has a config for the data sets of this report.'


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        title: Its title.
        header: Names of the columns.
        rows: Cells.
        caption: What it compares.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str = ''


def is_absent(cell: str) -> bool:
    """Whether a cell says that there is no number, and why."""
    return cell in (_NOT_AT_HAND, _MISSING) or cell.startswith(_BLOCKED)


def lay_out(results: Sequence[Result]) -> list[Table]:
    """Make the tables of the report.

    Args:
        results (Sequence[Result]): Of the rows, in the paper's order.

    Returns:
        list[Table]: The paper's tables; then the runs, and what blocks rows.
        In the tables, several seeds are ``mean ± standard deviation``.
    """
    lacks = list(dict.fromkeys(x for r in results for x in r.lacks))
    numbers = {name: number for number, name in enumerate(lacks, 1)}
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.row.table, []).append(result)
    tables = []
    for title, group in groups.items():
        by_row: dict[str, dict[str, Result]] = {}
        for result in group:
            by_row.setdefault(result.row.id, {})[result.data] = result
        layout = _by_layer if title.startswith('Table 4') else _by_row
        table = layout(title, by_row, numbers)
        parts = [CAPTIONS[title], '' if _sets(by_row) else _NO_CONFIG]
        caption = ' '.join(filter(None, parts))
        tables.append(replace(table, caption=caption))
        if title.startswith('Table 5'):
            tables += _by_class(title, group)
    tables.append(_runs(results))
    if lacks:
        blocking = [[str(n), name] for name, n in numbers.items()]
        tables.append(Table('Blocked by', ['', 'what is missing'], blocking))
    return tables


def _sets(by_row: Mapping[str, Mapping[str, Result]]) -> list[str]:
    """Data sets of some rows."""
    found = {data for results in by_row.values() for data in results}
    return [data for data in DATA if data in found]


def _by_row(
    title: str,
    by_row: Mapping[str, Mapping[str, Result]],
    numbers: Mapping[str, int],
) -> Table:
    """Table with a line for each row, and columns for each metric."""
    sets = _sets(by_row)
    first = next(iter(next(iter(by_row.values())).values()))
    metrics = list(first.row.published)
    names = ['published', *(DATA[data] for data in sets)]
    header = [
        f'{metric}, {name}' if len(metrics) > 1 else name
        for metric in metrics
        for name in names
    ]
    rows = []
    for name, found in by_row.items():
        row = next(iter(found.values())).row
        cells = [name, row.what]
        for metric in metrics:
            cells.append(_published(row.published[metric]))
            cells += [_ours(found.get(d), metric, numbers) for d in sets]
        rows.append(cells)
    return Table(title, [*_CORNER, *header], rows)


def _by_layer(
    title: str,
    by_row: Mapping[str, Mapping[str, Result]],
    numbers: Mapping[str, int],
) -> Table:
    """Table with a column for each row."""
    columns = [next(iter(found.values())).row for found in by_row.values()]
    header = ['', *(row.what.removeprefix('Transfer at ') for row in columns)]
    rows = [
        ['published', *(_published(row.published['mAP']) for row in columns)]
    ]
    for data in _sets(by_row):
        found = [by_row[row.id].get(data) for row in columns]
        rows.append(
            [DATA[data], *(_ours(one, 'mAP', numbers) for one in found)]
        )
        if any(one is not None and one.explained for one in found):
            cells = [_explained(one, names=False) for one in found]
            rows.append([f'explained variance, {DATA[data]}', *cells])
    return Table(title, header, rows)


def _by_class(title: str, group: Sequence[Result]) -> list[Table]:
    """AP of each class, for each data set that has some."""
    tables = []
    for data, name in DATA.items():
        found = [r for r in group if r.data == data and r.classes]
        if found:
            classes = list(found[0].classes)
            rows = [
                [
                    result.row.id,
                    result.row.what,
                    *(_spread(result.classes[c]) for c in classes),
                    _ours(result, 'mAP', {}),
                ]
                for result in found
            ]
            header = [*_CORNER, *classes, 'mean']
            tables.append(Table(f'{title}: {name}', header, rows))
    return tables


def _runs(results: Sequence[Result]) -> Table:
    """First metric, seeds, iterations and speed of the runs of each row."""
    rows = [
        [
            result.row.id,
            DATA[result.data],
            _spread(next(iter(result.values.values()))),
            ' '.join(map(str, next(iter(result.values.values())))),
            ' / '.join(result.iterations),
            ' / '.join(result.speed),
            _explained(result),
        ]
        for result in results
        if result.values
    ]
    return Table('Runs', RUNS, rows)


def _published(value: float | None) -> str:
    return _NOT_AT_HAND if value is None else f'{value:.1f}'


def _ours(
    result: Result | None, metric: str, numbers: Mapping[str, int]
) -> str:
    if result is None:  # the row does not have this data set
        return ''
    if values := result.values.get(metric):
        return _spread(values)
    if result.lacks:
        return _BLOCKED + ', '.join(str(numbers[x]) for x in result.lacks)
    return _MISSING


def _explained(result: Result | None, names: bool = True) -> str:
    """Explained variance of the transfer points of a row."""
    points = {} if result is None else result.explained
    cells = [
        f'{point} {_spread(seeds, 3)}' if names else _spread(seeds, 3)
        for point, seeds in points.items()
    ]
    return ', '.join(cells)


def _spread(values: Mapping[int, float], digits: int = 1) -> str:
    text = f'{statistics.mean(values.values()):.{digits}f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values.values()):.{digits}f}'
    return text
