"""What the rows of the paper run, as their configs name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmxdistill import config_path
from mmxdistill.models.networks import names_weights, resolve_network
from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import Evaluation, Job, Step, Training, make_steps
from mmxdistill.studies.paper import DATA, SPLITS, Row

__all__ = [
    'jobs_of',
    'lacking',
    'plan_rows',
    'test_names',
    'training_names',
    'trainings_of',
    'transfer_tests',
]

_TRAINED = re.compile(r'work_dirs/([^/]+)/iter_\d+\.pth')
_ITERATION = 0.065  # seconds, of the networks for the generated rooms


@cache
def _files() -> dict[str, str]:
    """Name of a config -> where it is below ``configs/``."""
    root = Path(config_path('_base_/default_runtime.py')).parents[1]
    return {
        path.stem: path.relative_to(root).as_posix()
        for path in root.glob('[a-z]*/*.py')
    }


def _strings(node: Any, key: str = '') -> Iterator[tuple[str, str]]:
    """Dotted key and value of all strings in a config."""
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, Mapping):
        for name, child in node.items():
            yield from _strings(child, f'{key}.{name}' if key else name)
    elif isinstance(node, (list, tuple)):
        for i, child in enumerate(node):
            yield from _strings(child, f'{key}.{i}')


@cache
def _starts(config: str) -> dict[str, str]:
    """Settings that name a checkpoint -> the config that is trained to it."""
    cfg = load_config(config)
    paths = dict(_strings(cfg.to_dict()))
    for name, stream in (cfg.model.get('streams') or {}).items():
        if 'checkpoint' not in stream and isinstance(stream.model, str):
            last = resolve_network(stream.model).checkpoint
            paths[f'model.streams.{name}.checkpoint'] = last or ''
    return {
        key: _files()[found[1]]
        for key, path in paths.items()
        # Not variables of a config, which another one may read.
        if (key == 'load_from' or key.startswith('model.'))
        and (found := _TRAINED.fullmatch(path))
    }


def trainings_of(config: str) -> list[str]:
    """Configs that are trained for a row, in this order."""
    found = [
        t for start in _starts(config).values() for t in trainings_of(start)
    ]
    if not names_weights(load_config(config).model):
        found.append(config)
    return list(dict.fromkeys(found))


def _splits(config: str) -> tuple[int, ...]:
    """Splits of the data set of a config; 0 if it has no others."""
    return SPLITS.get(Path(config).stem.rpartition('_')[2], (0,))


def _name(config: str, split: int) -> str:
    return Path(config).stem + (f'-split{split}' if split else '')


def training_names(config: str) -> list[str]:
    """Names of the jobs that train a config, on all splits of its data."""
    return [_name(config, split) for split in _splits(config)]


def test_names(config: str) -> list[str]:
    """Names of the jobs that test a config, likewise."""
    return [f'test_{name}' for name in training_names(config)]


def transfer_tests(config: str) -> list[str]:
    """Names of the jobs that measure the transfers of a row."""
    return [
        name
        for training in trainings_of(config)
        if 'transfer_points' in load_config(training).model
        for name in test_names(training)
    ]


def jobs_of(configs: Sequence[str]) -> list[Job]:
    """Build the trainings and tests of rows, each of them once.

    Args:
        configs (Sequence[str]): The configs that are tested.

    Returns:
        list[Job]: In an order in which they can run.
    """
    jobs: dict[str, Job] = {}
    for row in configs:
        trained = trainings_of(row)
        for config in trained:
            measured = 'transfer_points' in load_config(config).model
            for split in _splits(config):
                job = _training(config, split)
                jobs.setdefault(job.name, job)
                if config == row or measured:
                    test = _test(config, split, job.name)
                    jobs.setdefault(test.name, test)
        if row not in trained:
            for split in _splits(row):
                test = _test(row, split)
                jobs.setdefault(test.name, test)
    return list(jobs.values())


def _training(config: str, split: int) -> Training:
    iterations = load_config(config).train_cfg.max_iters
    return Training(
        name=_name(config, split),
        config=config,
        shows=f'Trains {config}.',
        seconds=round(iterations * _ITERATION),
        checkpoints=_names_of_starts(config, split),
        settings=_split_settings(split, ('train', 'val')),
    )


def _test(config: str, split: int, tests: str = '') -> Evaluation:
    return Evaluation(
        name=f'test_{_name(config, split)}',
        config=config,
        tests=tests,
        predictions=False,
        shows=f'Tests {config}.',
        seconds=15,
        checkpoints={
            key: start
            for key, start in _names_of_starts(config, split).items()
            if key.startswith('model.') and '.init_cfg.' not in key
        },
        settings=_split_settings(split, ('test',)),
    )


def _names_of_starts(config: str, split: int) -> dict[str, str]:
    return {
        key: _name(start, split if split in _splits(start) else 0)
        for key, start in _starts(config).items()
    }


def _split_settings(split: int, loaders: Sequence[str]) -> dict[str, str]:
    """Annotations of a split; configs are written for the first one."""
    if not split:
        return {}
    return {
        f'{name}_dataloader.dataset.ann_file': 'annotations_'
        f'{"train" if name == "train" else "test"}{split}.json'
        for name in loaders
    }


def lacking(row: Row, data: str) -> list[str]:
    """List what a row cannot run without, here and now.

    Args:
        row (Row): The row.
        data (str): The data set.

    Returns:
        list[str]: Missing files or parts; none if it can run.
    """
    if data not in row.configs:
        return [f'a config for {DATA[data]}']
    missing: dict[str, None] = {}
    for config in (*trainings_of(row.configs[data]), row.configs[data]):
        cfg = load_config(config).to_dict()
        for _, value in _strings(cfg):
            if value.startswith('checkpoints/') and not Path(value).is_file():
                missing[f'checkpoint {value}'] = None
        if data == 'generated':  # they are made by the first step
            continue
        for split in _splits(config):
            for path in _annotations(cfg, split):
                if not path.is_file():
                    missing[f'data {path}'] = None
    return list(missing)


def _annotations(node: Any, split: int) -> Iterator[Path]:
    """Annotations and proposals that the data sets of a config read."""
    if isinstance(node, Mapping):
        if 'data_root' in node:
            for key in ('ann_file', 'proposal_file'):
                name = node.get(key)
                if name and split and key == 'ann_file':
                    name = re.sub(r'\d(?=\.json$)', str(split), name)
                if name:
                    yield Path(node['data_root'], name)
        for child in node.values():
            yield from _annotations(child, split)
    elif isinstance(node, (list, tuple)):
        for child in node:
            yield from _annotations(child, split)


def plan_rows(
    rows: Sequence[Row],
    data: str,
    home: Path,
    seeds: Sequence[int],
    tools: Path,
    overrides: Mapping[str, Any] | None = None,
    needs: Sequence[Step] = (),
) -> list[Step]:
    """List the steps of rows that are not blocked.

    Args:
        rows (Sequence[Row]): Rows with a config for the data set.
        data (str): The data set.
        home (Path): Folder of the data set's runs.
        seeds (Sequence[int]): Everything is repeated for each.
        tools (Path): Folder of the command lines.
        overrides (Mapping, optional): Settings of all trainings.
        needs (Sequence[Step]): Steps that come before all of them.

    Returns:
        list[Step]: In an order in which they can run, ``needs`` included.
    """
    jobs = jobs_of([row.configs[data] for row in rows])
    return [
        *needs,
        *(
            step
            for seed in seeds
            for step in make_steps(jobs, home, seed, tools, overrides, needs)
        ),
    ]
