"""Compare what two trees of configs mean.

Every leaf of both trees is resolved; what the runner reads of it is compared
value by value, helper variables are left out. Differences are printed as
``key: old -> new``, and the exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

# What tools/train.py reads besides the arguments of the runner.
TOOLS = {'auto_scale_lr', 'custom_imports', 'find_unused_parameters'}
ABSENT = '(absent)'


def leaves(tree: Path) -> dict[str, Path]:
    """The configs of a tree that are no bases, by their path below it."""
    folder = tree / 'configs'
    if not folder.is_dir():
        raise SystemExit(f"'{tree}' has no folder 'configs'")
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob('*.py'))
        if '_base_' not in path.parts
    }


def meaning(path: Path) -> dict[str, Any]:
    """The part of a config that the runner reads."""
    cfg = Config.fromfile(path).to_dict()
    known = (set(signature(Runner).parameters) | TOOLS) - {'cfg'}
    # The runner hands this one to a model that has none of its own.
    if 'data_preprocessor' in cfg.get('model', {}):
        known.discard('data_preprocessor')
    return {key: value for key, value in cfg.items() if key in known}


def differences(old: Any, new: Any, key: str = '') -> Iterator[str]:
    """Lines that tell how two configs differ.

    Args:
        old (Any): Value of the old config.
        new (Any): Value of the new one.
        key (str): Dotted path to these values.

    Yields:
        str: ``key: old -> new`` of the outermost values that differ.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            inner = (config.get(name, ABSENT) for config in (old, new))
            yield from differences(*inner, f'{key}.{name}'.lstrip('.'))
    elif (
        isinstance(old, (list, tuple))
        and isinstance(new, (list, tuple))
        and len(old) == len(new)
    ):
        for index, inner in enumerate(zip(old, new, strict=True)):
            yield from differences(*inner, f'{key}.{index}')
    elif old != new:
        yield f'{key}: {old!r} -> {new!r}'


def main() -> int:
    """Compare and print.

    Returns:
        int: 1 if a config of the old tree is missing or means something else.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('old', type=Path, help='checkout')
    parser.add_argument('new', type=Path, help='checkout')
    args = parser.parse_args()
    old, new = leaves(args.old), leaves(args.new)
    status = 0
    for name, path in old.items():
        if name not in new:
            print(f'{name}: missing')
            status = 1
            continue
        found = list(differences(meaning(path), meaning(new[name])))
        print(f'{name}: {len(found) or "no"} differences')
        for line in found:
            print(f'  {line}')
        status |= bool(found)
    added = [name for name in new if name not in old]
    print(f'{len(old)} compared, {len(added)} new')
    return status


if __name__ == '__main__':
    raise SystemExit(main())
