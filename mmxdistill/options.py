"""Options that several command lines share; imports nothing slow."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmxdistill.parallel import available_cpus

__all__ = [
    'PROPOSAL_METHODS',
    'SPLITS',
    'add_jobs_option',
    'add_split_option',
    'add_study_options',
    'positive_float',
    'positive_int',
    'split_names',
]

SPLITS = ('train', 'val', 'test')
PROPOSAL_METHODS = ('selective_search', 'edge_boxes', 'windows')


def add_split_option(
    parser: argparse.ArgumentParser,
    what: str,
    default: Sequence[str] = SPLITS,
) -> None:
    """Add ``--split``, which chooses data sets of a config.

    Args:
        parser (ArgumentParser): Of the command line.
        what (str): What is done with them, such as 'data sets to check'.
        default (Sequence[str]): Those chosen without it. Defaults to all.
    """
    names = 'all' if tuple(default) == SPLITS else ' '.join(default)
    parser.add_argument(
        '--split',
        nargs='+',
        choices=SPLITS,
        default=list(default),
        help=f'{what} (default: {names})',
    )


def add_jobs_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs``, the number of processes."""
    parser.add_argument(
        '--jobs',
        type=positive_int,
        default=available_cpus(),
        metavar='N',
        help='processes (default: one per CPU, here %(default)s)',
    )


def add_study_options(
    parser: argparse.ArgumentParser,
    work_dir: str,
    seeds: Sequence[int] | None,
    without_seeds: str,
) -> None:
    """Add what studies share: ``--work-dir``, ``--seeds``, ``--snakemake``.

    Args:
        parser (ArgumentParser): Of the command line.
        work_dir (str): Default of the folder.
        seeds (Sequence[int], optional): Default of the seeds.
        without_seeds (str): What happens without them.
    """
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path(work_dir),
        help='folder of the runs and of the report (default: %(default)s)',
    )
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=int,
        action=_Seeds,
        default=seeds,
        help=f'random seeds (default: {without_seeds})',
    )
    parser.add_argument(
        '--snakemake',
        nargs=argparse.REMAINDER,
        default=[],
        metavar='OPTION',
        help='the rest are options of snakemake, which runs the steps, such '
        'as --executor slurm',
    )


class _Seeds(argparse.Action):
    """Checks random seeds, and keeps the first of equal ones."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store the seeds."""
        if min(values) < 0:
            parser.error('--seeds must not be negative')
        if max(values) >= 2**32:  # NumPy's limit
            parser.error(f'--seeds: {max(values)} is not below 2^32')
        setattr(namespace, self.dest, list(dict.fromkeys(values)))


def positive_float(text: str) -> float:
    """Option type: a number above 0."""
    if not float(text) > 0:
        raise argparse.ArgumentTypeError(f'{text} is not positive')
    return float(text)


def positive_int(text: str) -> int:
    """Option type: a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no number; it must be at least 1'
        )
    return number


def split_names(
    parser: argparse.ArgumentParser, texts: Sequence[str]
) -> dict[str, str]:
    """Split options ``NAME=FILE``; ends the command if one is none.

    Args:
        parser (ArgumentParser): Of the command line.
        texts (Sequence[str]): The options.

    Returns:
        dict[str, str]: Name -> file.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, file = text.partition('=')
        if not (name and equals and file) or name in found:
            parser.error(f'{text!r}: write NAME=FILE, each name once')
        found[name] = file
    return found
