"""Names of features: ``path``, ``path#call``, ``path[index]``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

__all__ = [
    'FeatureName',
    'describe_output',
    'named_features',
    'require_stages',
    'resolve_name',
    'suggest',
    'tensors_of',
]

_SYNTAX = re.compile(
    r'(?P<path>[^#\[\]]*)(#(?P<call>\d+))?(?P<keys>(\[[^\[\]]+\])*)'
)


class FeatureName(NamedTuple):
    """A feature of one network.

    Attributes:
        text (str): As the config writes it.
        path (str): Dotted path of the sub-module whose output it is; empty
            for the network itself.
        call (int | None): Which call of the module in one pass, from 0; None
            if there is only one.
        keys (tuple[int | str, ...]): Where it is in the module's output.
    """

    text: str
    path: str
    call: int | None
    keys: tuple[int | str, ...]

    def pick(self, output: Any) -> Any:
        """Find the feature in the output of the module.

        Args:
            output (Any): Tensor, or sequences and dicts of such.

        Returns:
            Any: What is there; the only element of a sequence of one is found
            without a key.

        Raises:
            LookupError: There is no such element.
        """
        for key in self.keys:
            sequence = isinstance(output, (tuple, list))
            if not (sequence and isinstance(key, int)) and not isinstance(
                output, dict
            ):
                raise LookupError(f'[{key}] of a {type(output).__name__}')
            items: Any = output
            output = items[key]
        while isinstance(output, (tuple, list)) and len(output) == 1:
            output = output[0]
        return output


def resolve_name(network: nn.Module, text: str) -> FeatureName:
    """Find the module that a name means.

    Args:
        network (nn.Module): Backbone, or detector with ``backbone``.
        text (str): A stage (``'pool5'``), an RoI feature (``'fc6'``), or the
            dotted path of any sub-module (``'backbone.layer3'``), each with an
            optional number of the call (``'bbox_head.cls_convs.0#2'``) and
            index of the output (``'neck[1]'``).

    Returns:
        FeatureName: The name, parsed. Its path need not exist.
    """
    match = _SYNTAX.fullmatch(text)
    if match is None or not match['path']:
        return FeatureName(text, text or '?', None, ())  # no such path
    path = match['path']
    aliases = named_features(network)
    if path in aliases:
        path = aliases[path]
    elif not hasattr(network, 'backbone'):
        path = '' if path == 'backbone' else path.removeprefix('backbone.')
    call = match['call']
    keys = re.findall(r'\[([^\[\]]+)\]', match['keys'])
    return FeatureName(
        text,
        path,
        None if call is None else int(call),
        tuple(int(k) if re.fullmatch(r'-?\d+', k) else k for k in keys),
    )


def named_features(network: nn.Module) -> dict[str, str]:
    """List the features that have a name of their own.

    Args:
        network (nn.Module): Backbone, or detector with ``backbone``.

    Returns:
        dict[str, str]: Name -> path: the stages of a backbone (``'pool5'``)
        and the RoI features of a head (``'fc6'``) that have
        ``feature_modules``.
    """
    aliases: dict[str, str] = {}
    for path in ('', 'backbone', 'roi_head.bbox_head'):
        try:
            module: Any = network.get_submodule(path)
        except AttributeError:
            continue
        named: Mapping[str, str] = getattr(module, 'feature_modules', {})
        for name, inner in named.items():
            aliases.setdefault(name, f'{path}.{inner}'.lstrip('.'))
    return aliases


def require_stages(network: nn.Module, path: str | None = None) -> None:
    """Let a backbone compute a stage that it does not return.

    Args:
        network (nn.Module): Backbone, or detector with ``backbone``.
        path (str, optional): Of the sub-module. Defaults to all stages.
    """
    backbone: Any = getattr(network, 'backbone', network)
    if not hasattr(backbone, 'require'):
        return
    prefix = '' if backbone is network else 'backbone.'
    for stage, inner in backbone.feature_modules.items():
        if path in (None, prefix + inner, prefix + stage):
            backbone.require(stage)


def suggest(name: str, known: Iterable[str]) -> str:
    """Tell what there is, near matches first.

    Args:
        name (str): What was asked for.
        known (Iterable[str]): What there is, possibly with a description in
            parentheses behind a blank.

    Returns:
        str: For an error message.
    """
    rows = {row.split(' ')[0]: row for row in known}
    path = re.split(r'[#\[]', name)[0]
    bare = {re.split(r'[#\[]', row)[0]: row for row in reversed(rows)}
    close = difflib.get_close_matches(path, bare, 3, 0.5)
    # 'layer3' of a detector is 'backbone.layer3'.
    last = path.split('.')[-1]
    close += [r for r in bare if r.endswith(f'.{last}') and r not in close]
    near = [rows[bare[row]] for row in close[:5]]
    return (
        f'did you mean {" or ".join(near)}? ' if near else ''
    ) + f'There are: {", ".join(rows.values())}'


def describe_output(value: Any) -> str:
    """Say what a module gave.

    Args:
        value (Any): Its output, or a part of it.

    Returns:
        str: ``'1 x 256 x 8 x 12'`` of a tensor, else the type.
    """
    if isinstance(value, Tensor):
        return ' x '.join(str(n) for n in value.shape)
    if isinstance(value, (tuple, list)):
        return f'a {type(value).__name__} of {len(value)}'
    return f'a {type(value).__name__}'


def tensors_of(name: str, value: Any) -> list[str]:
    """Name all tensors in an output.

    Args:
        name (str): Of the output.
        value (Any): Tensor, or sequences and dicts of such.

    Returns:
        list[str]: Names with shapes, ``'neck[1] (1 x 256 x 8 x 12)'``.
    """
    if isinstance(value, Tensor):
        if value.dim() < 2:
            return []
        return [f'{name} ({describe_output(value)})']
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (tuple, list)):
        items = enumerate(value)
    return [
        row
        for key, item in items
        for row in tensors_of(f'{name}[{key}]', item)
    ]
