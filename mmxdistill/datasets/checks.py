"""Check of all samples of a data set before a run starts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.logging import print_log

from mmxdistill.datasets.check_memory import CheckMemory
from mmxdistill.parallel import available_cpus, describe_error, map_parallel

__all__ = ['check_samples']

# Below this, starting worker processes costs more than it saves.
_MIN_PARALLEL = 200
_SHOWN = 10
_PASSED = -1
# Not for the loaders, and the largest part of a sample.
_HEAVY = ('proposals', 'instances')


def _problem(
    check: Callable[[dict], None], dataset: Any, index: int
) -> str | None:
    """Message of the error that loading a sample raises, if any."""
    info = _info(dataset, index)
    try:
        check(info)
    except Exception as error:
        text = describe_error(error)
        path = str(info.get('img_path', ''))
        return text if _names(text, info) else f"'{path}': {text}"
    return None


def _info(dataset: Any, index: int) -> dict:
    """Get a sample as the loaders see it, without a look at its files."""
    get = getattr(dataset, 'get_record', dataset.get_data_info)
    info: dict = get(index)
    for key in _HEAVY:
        info.pop(key, None)
    return info


def _names(text: str, info: dict) -> bool:
    """Whether a message names one of the files of a sample."""
    paths = [info.get('img_path'), *info.get('modality_paths', {}).values()]
    return any(str(path) in text for path in paths if path)


def check_samples(dataset: Any) -> None:
    """Load the files of all samples once and report all bad ones together.

    The check is that of the pipeline's own loaders: every transform with a
    method ``check(results)`` (:class:`LoadModalities`) is asked. The main
    process works for all ranks, in parallel and with a progress bar. What has
    passed is remembered (:class:`CheckMemory`), so that the next start looks
    at new and changed files only.

    Args:
        dataset (mmengine.dataset.BaseDataset): A data set that has been fully
            initialised.

    Raises:
        ValueError: Lists the bad samples.
    """
    checks = [t.check for t in dataset.pipeline.transforms if _has_check(t)]
    if not checks:
        return
    _report_missing(checks[0].__self__, dataset)
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


def _report_missing(loader: Any, dataset: Any) -> None:
    """Say how many samples lack a modality that they may lack.

    Raises:
        ValueError: All do.
    """
    absent: dict[str, list[str]] = {}
    optional = getattr(loader, 'stand_ins', {})
    for index in range(len(dataset) if optional else 0):
        info = dataset.get_data_info(index)
        paths = loader.paths(info)
        for name in loader.absent(info, paths, optional):
            absent.setdefault(name, []).append(paths[name])
    for name, paths in absent.items():
        text = (
            f"modality '{name}' lacks {len(paths)} of {len(dataset)} files, "
            f"e.g. '{paths[0]}'"
        )
        if len(paths) == len(dataset):
            raise ValueError(f'{text}: is its path right?')
        print_log(
            f'{text}: there the other modalities decide alone',
            logger='current',
            level=logging.WARNING,
        )


def _has_check(transform: Any) -> bool:
    return callable(getattr(transform, 'check', None))


def _all_problems(check: Callable[[dict], None], dataset: Any) -> list[str]:
    loader = getattr(check, '__self__', None)
    memory = CheckMemory.of_loader(loader)
    states = _states(memory, loader, dataset)
    todo = [i for i, state in enumerate(states) if state != _PASSED]
    if len(todo) < len(states):
        passed = len(states) - len(todo)
        print_log(
            f'{passed} of {len(states)} samples were checked before and have '
            f'not changed since ({memory and memory.path})',
            'current',
        )
    jobs = available_cpus() if len(todo) >= _MIN_PARALLEL else 1
    outcomes = map_parallel(
        partial(_problem, check, dataset),
        todo,
        jobs,
        'checking samples',
        chunk_size=16,
        name=lambda index: str(_info(dataset, index).get('img_path')),
        log=partial(print_log, logger='current'),
    )
    found, good = [], []
    for outcome in outcomes:
        if outcome.error is not None:  # its process was killed
            path = _info(dataset, outcome.item).get('img_path')
            found.append(f"'{path}': {outcome.error}")
        elif outcome.result is not None:
            found.append(outcome.result)
        else:
            good.append(states[outcome.item])
    if memory is not None and good:
        memory.add(state for state in good if state is not None)
    return found


def _states(
    memory: CheckMemory | None, loader: Any, dataset: Any
) -> list[int | None]:
    """State of the files of each sample, and which have passed already."""
    if memory is None:
        return [None] * len(dataset)
    states: list[int | None] = [
        memory.state(loader, _info(dataset, index))
        for index in range(len(dataset))
    ]
    known = set(memory.known.tolist())
    return [_PASSED if state in known else state for state in states]
