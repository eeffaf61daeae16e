"""The paper's tables with what the runs at hand gave."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mmxdistill.atomic import atomic_write
from mmxdistill.studies.paper import DATA
from mmxdistill.studies.paper_layout import is_absent, lay_out
from mmxdistill.studies.paper_plot import draw_rows
from mmxdistill.studies.paper_results import Result
from mmxdistill.studies.results import provenance
from mmxdistill.tables import format_table

__all__ = ['write_report']

_TITLE = 'The paper and the runs at hand'
_NOTE = """\
AP in per cent, published and ours: the mean and, of several seeds, the
standard deviation. Iterations and images/s are of the trainings, in the order
in which they are run, from their logs. Explained variance: of the teacher's
features, on held-out pairs, per transfer point. Numbers from generated rooms
are comparable with each other, not with the published ones.
"""
_ALT = 'Bars: AP as published, and of each data set; dots are seeds'


def write_report(results: Sequence[Result], stem: Path) -> list[Path]:
    """Write the tables as Markdown, CSV and one HTML page.

    Args:
        results (Sequence[Result]): Of the rows, in the paper's order.
        stem (Path): The files without their suffix.

    Returns:
        list[Path]: The files.
    """
    # Slow to import, and not needed to list or run.
    from matplotlib import rc_context

    from mmxdistill.visualization.page import Cell, Page

    # The runs may be of another commit.
    made = f'Report made: {provenance()}'
    page = Page(_TITLE, _NOTE)
    page.text(made)
    text = f'# {_TITLE}\n\n{_NOTE}\n{made}\n'
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = []
    if figure := draw_rows(results):
        files.append(stem.with_suffix('.svg'))
        with atomic_write(files[0]) as file:
            # The same numbers give the same file.
            with rc_context({'svg.hashsalt': stem.name}):
                figure.savefig(file, format='svg', metadata={'Date': None})
        text += f'\n![{_ALT}]({files[0].name})\n'
        page.section('Rows that were run')
        page.plot(figure, alt=_ALT)
    for table in lay_out(results):
        text += f'\n## {table.title}\n\n'
        text += f'{table.caption}\n\n' if table.caption else ''
        text += f'{format_table(table.header, table.rows)}\n'
        page.section(table.title)
        page.table(
            table.header,
            [
                [Cell(cell, muted=is_absent(cell)) for cell in row]
                for row in table.rows
            ],
            table.caption,
        )
    for suffix, content in (
        ('.md', text),
        ('.csv', _to_csv(results)),
        ('.html', page.html()),
    ):
        files.append(stem.with_suffix(suffix))
        with atomic_write(files[-1]) as file:
            file.write(content.encode())
    return files


def _to_csv(results: Sequence[Result]) -> str:
    numbers = io.StringIO()
    writer = csv.writer(numbers)
    columns = ['table', 'row', 'metric', 'published', 'data set', 'seed']
    writer.writerow([*columns, 'ours', 'status'])
    for result in results:
        for line in _numbers(result):
            writer.writerow(line)
    return numbers.getvalue()


def _numbers(result: Result) -> list[list[object]]:
    """Lines of the CSV file: every seed, classes and explained variance."""
    row, data = result.row, DATA.get(result.data, '')
    status = 'missing'
    if result.lacks:
        status = f'blocked: {", ".join(result.lacks)}'
    lines: list[list[object]] = []
    for metric, published in row.published.items():
        start = [row.table, row.id, metric, published, data]
        values = result.values.get(metric, {})
        lines += [[*start, seed, v, 'done'] for seed, v in values.items()]
        if not values:
            lines.append([*start, '', '', status])
    for kind, found in (
        ('AP', result.classes),
        ('explained variance', result.explained),
    ):
        for name, seeds in found.items():
            start = [row.table, row.id, f'{kind} {name}', '', data]
            lines += [[*start, seed, v, 'done'] for seed, v in seeds.items()]
    return lines
