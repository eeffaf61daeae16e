"""Tables of numbers that several random seeds gave."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ['format_seeds', 'format_table', 'write_seeds']

# Seed -> row -> column -> number.
Results = Mapping[int, Mapping[str, Mapping[str, float]]]


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a table as Markdown that is legible as plain text.

    Args:
        header (Sequence[str]): Names of the columns.
        rows (Sequence[Sequence[str]]): Cells.

    Returns:
        str: The lines of the table.
    """
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        '| ' + ' | '.join(map(str.ljust, line, widths)) + ' |'
        for line in lines
    ]
    text.insert(1, '|' + '|'.join('-' * (width + 2) for width in widths) + '|')
    return '\n'.join(text)


def format_seeds(corner: str, results: Results) -> str:
    """Format the mean over the seeds and, if there are several, the spread.

    Args:
        corner (str): Header of the first column.
        results (dict): Seed -> row -> column -> number.

    Returns:
        str: A table in Markdown, ``mean ± standard deviation``.
    """
    seeds = list(results.values())
    return format_table(
        [corner, *next(iter(seeds[0].values()))],
        [
            [
                row,
                *(_cell([s[row][column] for s in seeds]) for column in cells),
            ]
            for row, cells in seeds[0].items()
        ],
    )


def _cell(values: Sequence[float]) -> str:
    text = f'{statistics.mean(values):.1f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.1f}'
    return text


def write_seeds(path: str | Path, corner: str, results: Results) -> None:
    """Write the numbers of all seeds, their mean and standard deviation.

    Args:
        path (str or Path): CSV file to write.
        corner (str): Header of the first column.
        results (dict): Seed -> row -> column -> number.
    """
    seeds = list(results.values())
    with Path(path).open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow([corner, 'seed', *next(iter(seeds[0].values()))])
        for row in seeds[0]:
            for seed, numbers in results.items():
                writer.writerow([row, seed, *numbers[row].values()])
            if len(seeds) > 1:
                columns = list(
                    zip(*(s[row].values() for s in seeds), strict=True)
                )
                writer.writerow([row, 'mean', *map(statistics.mean, columns)])
                writer.writerow([row, 'std', *map(statistics.stdev, columns)])
