"""Check of all samples of a data set before a run starts."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log
from mmengine.utils import track_progress_rich

__all__ = ['check_samples']

# Below this, starting worker processes costs more than it saves.
_MIN_PARALLEL = 200
_SHOWN = 10


def _problem(check: Any, info: dict) -> str | None:
    """Message of the error that loading a sample raises, if any."""
    try:
        check(info)
    except Exception as error:
        # str() of a KeyError is the quoted message.
        text = error.args[0] if isinstance(error, KeyError) else error
        return f'{type(error).__name__}: {text}'
    return None


def check_samples(dataset: Any) -> None:
    """Load the files of all samples once and report all bad ones together.

    The check is that of the pipeline's own loaders: every transform with a
    method ``check(results)`` (:class:`LoadModalities`) is asked. The main
    process works for all ranks, in parallel and with a progress bar.

    Args:
        dataset (mmengine.dataset.BaseDataset): A data set that has been fully
            initialised.

    Raises:
        ValueError: Lists the bad samples.
    """
    checks = [t.check for t in dataset.pipeline.transforms if _has_check(t)]
    if not checks:
        return
    problems: list[list[str]] = [[]]
    if is_main_process():
        problems = [_all_problems(checks[0], dataset)]
    broadcast_object_list(problems)
    if problems[0]:
        total = len(dataset)
        shown = '\n  '.join(problems[0][:_SHOWN])
        more = len(problems[0]) - _SHOWN
        raise ValueError(
            f'{len(problems[0])} of {total} samples cannot be loaded:\n'
            f'  {shown}'
            + (f'\n  ... and {more} more' if more > 0 else '')
            + '\nMend or remove them (or set check_pairs=False to skip this '
            'check)'
        )


def _has_check(transform: Any) -> bool:
    return callable(getattr(transform, 'check', None))


def _all_problems(check: Any, dataset: Any) -> list[str]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    problem = partial(_problem, check)
    if len(infos) < _MIN_PARALLEL:
        found = map(problem, infos)
    else:
        print_log(f'checking {len(infos)} samples', logger='current')
        found = track_progress_rich(
            problem,
            [(info,) for info in infos],
            nproc=os.cpu_count() or 1,
            chunksize=16,
            description='checking samples',
        )
    return [message for message in found if message is not None]
