"""What stored features were made with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, is_main_process

from mmxdistill.atomic import atomic_write
from mmxdistill.models.features.fingerprint import (
    differs,
    probe,
    weights_digest,
)
from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.shards import ShardStore

__all__ = ['claim', 'describe_teachers']

_FILE = 'store.json'
_FORMAT = 1
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
    for augment in getattr(preprocessor, 'batch_augments', None) or ():
        if type(augment).__name__ != 'BatchFixedSizePad':
            raise ValueError(
                f'teacher_cache: {type(augment).__name__} in batch_augments '
                'of the data_preprocessor gives other images each time: leave '
                'it out'
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
    features = model.teacher_features
    return dict(
        teachers={
            role: dict(
                weights=weights_digest(extractor.network),
                features=sorted(extractor.infos),
                modalities={
                    name: Preprocessing.of_module(
                        preprocessor, name
                    ).as_modality()
                    for name in modalities[role]
                },
            )
            for role, extractor in features.items()
        },
        loading=list(loading),
        pad_value=float(getattr(preprocessor, 'pad_value', 0)),
        probe={role: probe(one) for role, one in features.items()},
    )


def claim(folder: Path, made_with: Mapping[str, Any], replace: bool) -> bytes:
    """Make sure that a folder is for these features, and no others.

    Args:
        folder (Path): Is begun if it has no features.
        made_with (Mapping): Plain values, with a ``probe``.
        replace (bool): Whether to empty a folder of others.

    Returns:
        bytes: 64 bytes that are the same for the same ``made_with``.

    Raises:
        ValueError: It has features of something else; the message names it.
    """
    made_with = json.loads(json.dumps(dict(format=_FORMAT, **made_with)))
    file = folder / _FILE
    if is_main_process():
        there = _read(file)
        if there is not None and replace and _differences(there, made_with):
            ShardStore(folder).clear()
            there = None
        if there is None:
            with atomic_write(file) as out:
                out.write(json.dumps(made_with, indent=1).encode())
    barrier()
    different = _differences(_read(file) or {}, made_with)
    if different:
        raise ValueError(
            f"teacher_cache: '{folder}' has features of something else: "
            f'{"; ".join(different[:_SHOWN])}. Give another path, or '
            "teacher_cache=dict(stale='replace', ...) to empty it"
        )
    rest = {key: made_with[key] for key in made_with if key != 'probe'}
    content = json.dumps(rest, sort_keys=True).encode()
    return hashlib.blake2b(content).digest()


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding='utf-8'))
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
    rows, others = (
        _flat({key: made[key] for key in made if key != 'probe'})
        for made in (there, here)
    )
    found = [
        f'{name} is {_short(rows.get(name))} there and '
        f'{_short(others.get(name))} here'
        for name in dict.fromkeys((*rows, *others))
        if not name.startswith('probe.') and rows.get(name) != others.get(name)
    ]
    probes = there.get('probe', {})
    return found or [
        f'the same weights of the {role} give other features: another '
        'architecture, or another version of a library'
        for role, values in here['probe'].items()
        if differs(values, probes.get(role, {}))
    ]


def _flat(node: Any, prefix: str = '') -> dict[str, Any]:
    if isinstance(node, Mapping):
        items = [(str(key), value) for key, value in node.items()]
    elif isinstance(node, list):
        items = [(str(index), value) for index, value in enumerate(node)]
    else:
        return {prefix: node}
    rows: dict[str, Any] = {}
    for key, value in items:
        rows |= _flat(value, f'{prefix}.{key}' if prefix else key)
    return rows


def _short(value: Any) -> str:
    if isinstance(value, str) and len(value) == _HASH:
        return value[:12]
    return 'missing' if value is None else json.dumps(value)
