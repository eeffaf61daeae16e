"""Bars of the paper's rows that were run: published, and ours beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mmxdistill.studies.paper import DATA
from mmxdistill.studies.paper_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ['draw_rows']

# Readable on white and on black.
_PUBLISHED, _OURS = '#8f8f8f', '#2f8fd0'
_WIDTH = 7.0  # inches; a page of a telephone halves it
_LINE = 0.38  # inches per row


def draw_rows(results: Sequence[Result]) -> Figure | None:
    """Draw the rows that have a result.

    Published numbers and each data set have an axis of their own, as they are
    not comparable: what can be compared is the order of the bars.

    Args:
        results (Sequence[Result]): Of the rows, in the paper's order.

    Returns:
        Figure: A bar per row and a dot per seed; None if nothing was run.
    """
    from matplotlib.figure import Figure

    run = [result for result in results if result.values]
    if not run:
        return None
    sets = [data for data in DATA if any(r.data == data for r in run)]
    lines = list(_lines(run))
    figure = Figure((_WIDTH, _LINE * len(lines) + 0.6), layout='constrained')
    columns = figure.subplots(1, 1 + len(sets), sharey=True, squeeze=False)[0]
    titles = ['published', *(DATA[data] for data in sets)]
    for axes, title in zip(columns, titles, strict=True):
        axes.set_title(title, fontsize=10)
    for y, (text, metric, found) in enumerate(lines):
        heading = not found
        columns[0].annotate(
            text,
            (0, y - (0 if heading else 0.14)),
            xytext=(3, 0),
            textcoords='offset points',
            fontsize=8,
            fontweight='bold' if heading else 'normal',
            verticalalignment='center' if heading else 'bottom',
        )
        for result in found:
            published = result.row.published[metric]
            if published is not None:
                _bar(columns[0], y, [published], _PUBLISHED)
            axes = columns[1 + sets.index(result.data)]
            _bar(axes, y, list(result.values[metric].values()), _OURS)
    for axes in columns:
        axes.set_ylim(len(lines) - 0.4, -0.6)
        axes.set_xlim(0, 1.2 * axes.dataLim.x1 or 1)  # room for the numbers
        axes.set_xlabel('AP (%)', fontsize=8)
        axes.tick_params(labelsize=8)
        axes.tick_params(axis='y', left=False, labelleft=False)
        axes.spines[['top', 'right']].set_visible(False)
    return figure


def _lines(
    results: Sequence[Result],
) -> Iterator[tuple[str, str, list[Result]]]:
    """Text, metric and results of each line; headings have no results."""
    blocks: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for result in results:
        for metric in result.values:
            rows = blocks.setdefault((result.row.table, metric), {})
            rows.setdefault(result.row.id, []).append(result)
    for (table, metric), rows in blocks.items():
        yield f'{table}, {metric}', metric, []
        for name, found in rows.items():
            yield f'{name}: {found[0].row.what}', metric, found


def _bar(axes: Axes, y: int, values: Sequence[float], color: str) -> None:
    mean = statistics.mean(values)
    axes.barh(y + 0.12, mean, height=0.42, color=color)
    if len(values) > 1:
        axes.plot(values, [y + 0.12] * len(values), '.', color='black')
    axes.annotate(
        f'{mean:.1f}',
        (max(values), y + 0.12),
        xytext=(4, 0),
        textcoords='offset points',
        fontsize=8,
        verticalalignment='center',
    )
