"""Average the AP of test runs on the splits of a data set (JHMDB: three).

Each run is named by the work directory that tools/test.py was given.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.studies.results import mean_of_known
from mmxdistill.tables import format_table

PREFIX = 'voc/'
MEAN = 'mAP'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'runs',
        nargs='+',
        type=Path,
        help='work directory of a test run on each split (its newest result '
        'is taken), or a result file',
    )
    return parser.parse_args()


def find_result(run: Path) -> Path:
    """The newest result of a test run.

    Raises:
        FileNotFoundError: There is none.
    """
    if run.is_file():
        return run
    # <time>/<time>.json of tools/test.py; training writes to vis_data.
    found = [
        path for path in run.glob('*/*.json') if path.stem == path.parent.name
    ]
    if not found:
        raise FileNotFoundError(
            f"'{run}' holds no <time>/<time>.json: give the --work-dir of "
            'tools/test.py'
        )
    return max(found)


def read_result(path: Path) -> dict[str, float]:
    """AP of the classes, in percent, and their mean.

    Raises:
        ValueError: It is another file.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        found = {
            key.removeprefix(PREFIX): 100 * float(value)
            for key, value in content.items()
            if key.startswith(PREFIX)
        }
    except (ValueError, AttributeError, TypeError):
        found = {}
    if MEAN not in found:
        raise ValueError(
            f"'{path}' holds no {PREFIX}{MEAN}: it is no result of "
            'tools/test.py with mmxdistill.ClasswiseVOCMetric'
        )
    return found


def average(runs: list[Path]) -> str:
    """Table of the runs and their mean.

    Raises:
        ValueError: A run is there twice, or the classes differ.
    """
    paths = [find_result(run) for run in runs]
    if len({path.resolve() for path in paths}) < len(paths):
        raise ValueError(
            f'the same result twice: {", ".join(map(str, paths))}'
        )
    results = [read_result(path) for path in paths]
    for path, result in zip(paths, results, strict=True):
        different = set(result) ^ set(results[0])
        if different:
            raise ValueError(
                f"'{path}' and '{paths[0]}' are not of the same classes: "
                f'{sorted(different)[:5]}'
            )
    rows = [
        [
            name.removeprefix('AP_'),
            *(f'{result[name]:.1f}' for result in results),
            f'{mean_of_known(result[name] for result in results):.1f}',
        ]
        for name in [key for key in results[0] if key != MEAN] + [MEAN]
    ]
    header = ['AP (%)', *(run.name for run in runs), 'mean']
    return format_table(header, rows)


def main() -> None:
    """Print the table."""
    args = parse_args()
    run_command(lambda: print(average(args.runs)))


if __name__ == '__main__':
    main()
