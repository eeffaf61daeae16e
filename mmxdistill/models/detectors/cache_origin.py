"""What stored features were made with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmdet.models.data_preprocessors import BatchFixedSizePad
from mmengine.dist import barrier, is_main_process

from mmxdistill.atomic import atomic_write
from mmxdistill.models.features.fingerprint import (
    architecture,
    differs,
    probe,
    weights_digest,
)
from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.shards import ShardStore

__all__ = ['claim', 'describe_teachers']

_FILE = 'store.json'
_FORMAT = 2
_ID = 'id'  # drawn at random, of one owner of a folder
_SHOWN = 3
_HASH = 64  # digits of a hash of weights


def describe_teachers(
    model: Any, modalities: Mapping[str, Sequence[str]], loading: Sequence[Any]
) -> dict[str, Any]:
    """Tell what the features of the teachers depend on, beside the image.

    Args:
        model (SupervisionTransfer): Its teachers and their preprocessing.
        modalities (Mapping[str, Sequence[str]]): Role of a teacher -> what it
            reads.
        loading (Sequence): How images are loaded; see
            :func:`mmxdistill.datasets.repeatable.describe_loading`.

    Returns:
        dict[str, Any]: Plain values (JSON).

    Raises:
        ValueError: The data preprocessor gives an image other values each
            time.
    """
    preprocessor = model.data_preprocessor
    pad_value = float(getattr(preprocessor, 'pad_value', 0))
    for augment in getattr(preprocessor, 'batch_augments', None) or ():
        if type(augment) is not BatchFixedSizePad:
            raise ValueError(
                f'teacher_cache: {type(augment).__name__} in batch_augments '
                'of the data_preprocessor gives other images each time: leave '
                'it out'
            )
        if augment.img_pad_value != pad_value:
            raise ValueError(
                'teacher_cache: BatchFixedSizePad in batch_augments of the '
                f'data_preprocessor has img_pad_value={augment.img_pad_value}'
                f', the data_preprocessor itself pad_value={pad_value:g}, so '
                'what surrounds an image depends on the others of its batch: '
                'give both the same value'
            )
    encoders = getattr(preprocessor, 'encoders', ())
    for role, names in modalities.items():
        encoded = [name for name in names if name in encoders]
        if encoded:
            raise ValueError(
                f'teacher_cache: {encoded}, which the {role} reads, is '
                'encoded by the data_preprocessor: let the data pipeline do '
                'it (on_device=False)'
            )
    teachers, probes = {}, {}
    for role, extractor in model.teacher_features.items():
        inputs = {
            name: Preprocessing.of_module(preprocessor, name)
            for name in modalities[role]
        }
        teachers[role] = dict(
            weights=weights_digest(extractor.network),
            architecture=architecture(extractor.network),
            features=sorted(extractor.infos),
            modalities={k: v.as_modality() for k, v in inputs.items()},
        )
        statistics = list(inputs.values())
        mean = [value for one in statistics for value in one.mean]
        std = [value for one in statistics for value in one.std]
        probes[role] = probe(extractor, mean, std)
    return dict(
        teachers=teachers,
        loading=list(loading),
        pad_value=pad_value,
        probe=probes,
    )


def claim(folder: Path, made_with: Mapping[str, Any], replace: bool) -> bytes:
    """Make sure that a folder is for these features, and no others.

    Args:
        folder (Path): Is begun if it has no features.
        made_with (Mapping): Plain values, with a ``probe``.
        replace (bool): Whether to empty a folder of others.

    Returns:
        bytes: 64 bytes that are the same for all runs with this
        ``made_with``, until the folder is emptied: what somebody adds who
        has not heard of it, has other ones.

    Raises:
        ValueError: It has features of something else; the message names it.
    """
    made_with = json.loads(json.dumps(dict(format=_FORMAT, **made_with)))
    file = folder / _FILE
    try:
        if is_main_process():
            _begin(file, made_with, replace)
    finally:  # whatever happens, nobody waits for this process
        barrier()
    there = _read(file) or {}
    different = _differences(there, made_with)
    if different:
        raise ValueError(
            f"teacher_cache: '{folder}' has features of something else: "
            f'{"; ".join(different[:_SHOWN])}. Give another path, or '
            "teacher_cache=dict(stale='replace', ...) to empty it"
        )
    content = json.dumps([there.get(_ID), _settings(made_with)])
    return hashlib.blake2b(content.encode()).digest()


def _begin(file: Path, made_with: Mapping[str, Any], replace: bool) -> None:
    """Write what a folder is for, if it is new or to be emptied."""
    there = _read(file)
    if there is not None:
        if not replace or not _differences(there, made_with):
            return
        ShardStore(file.parent).clear()
    content = json.dumps({_ID: os.urandom(16).hex(), **made_with}, indent=1)
    # Of several that begin a folder, one does; the others read it.
    with (
        contextlib.suppress(FileExistsError),
        atomic_write(file, overwrite=there is not None) as out,
    ):
        out.write(content.encode())


def _settings(made_with: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same; a probe only nearly so."""
    return {
        key: made_with[key]
        for key in sorted(made_with)
        if key not in (_ID, 'probe')
    }


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content: Any = json.loads(file.read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError(f'it holds a {type(content).__name__}')
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(
            f"teacher_cache: '{file}' is damaged ({error}): delete the folder"
        ) from None
    return content


def _differences(
    there: Mapping[str, Any], here: Mapping[str, Any]
) -> list[str]:
    """What two stores were made with, where it differs."""
    rows, others = (_flat(_settings(made)) for made in (there, here))
    found = [
        f'{name} is {_short(rows.get(name))} there and '
        f'{_short(others.get(name))} here'
        for name in dict.fromkeys((*rows, *others))
        if rows.get(name) != others.get(name)
    ]
    probes = there.get('probe', {})
    return found or [
        f'the same weights of the {role} give other features: another '
        'architecture, or another version of a library'
        for role, values in here['probe'].items()
        if differs(values, probes.get(role, {}))
    ]


def _flat(node: Any, prefix: str = '') -> dict[str, str]:
    """Values as JSON, in which NaN is itself, by the path to them."""
    if isinstance(node, Mapping) and node:
        items = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list) and node:
        items = [(str(index), value) for index, value in enumerate(node)]
    else:
        return {prefix: json.dumps(node)}
    rows: dict[str, str] = {}
    for key, value in items:
        rows |= _flat(value, f'{prefix}.{key}' if prefix else key)
    return rows


def _short(value: str | None) -> str:
    if value is None:
        return 'missing'
    # With quotation marks.
    return value[1:13] if len(value) == _HASH + 2 else value
