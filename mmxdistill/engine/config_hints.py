"""What a config may have meant that mmengine could not build."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import TracebackType
from typing import Any

from mmxdistill import registry

__all__ = ['ConfigError', 'config_hints']

_UNKNOWN_TYPE = re.compile(r'(\S+) is not in the .* registry')
_UNKNOWN_KEY = re.compile(r"unexpected keyword argument '(\w+)'")
_MISSING_KEY = re.compile(r'required .* argument')


class ConfigError(ValueError):
    """Something is wrong with a config, and the message says all of it."""


@contextmanager
def config_hints() -> Iterator[None]:
    """Add a suggestion to mmengine's errors about a ``type`` or a key.

    Raises:
        ConfigError: In place of the error about a type that is not
            registered, or about a key that a component does not take or
            lacks. Other errors of a program keep their traceback.
    """
    try:
        yield
    except KeyError as error:
        message = str(error.args[0]) if error.args else ''
        unknown = _UNKNOWN_TYPE.match(message)
        close = _close_types(unknown[1]) if unknown else []
        if not close:
            raise
        raise ConfigError(
            f'{message}\nDid you mean {_alternatives(close)}? '
            'Components of mmxdistill are written with this scope.'
        ) from error
    except TypeError as error:
        built, message = _built(error), str(error)
        unknown = _UNKNOWN_KEY.search(message)
        known = unknown is not None or _MISSING_KEY.search(message)
        if built is None or not known:
            raise
        close = _close_keys(unknown[1], built) if unknown else []
        if close:
            message += f'. Did you mean {_alternatives(close)}?'
        raise ConfigError(message) from error


def _alternatives(names: list[str]) -> str:
    return ' or '.join(map(repr, names))


def _close_types(name: str) -> list[str]:
    """Name the registered components of mmxdistill that resemble ``name``."""
    names: dict[str, str] = {}
    for attribute in registry.__all__:
        node = getattr(registry, attribute)
        node.import_from_location()
        names |= {key.lower(): key for key in node.module_dict}
    bare = name.rpartition('.')[2].lower()
    close = [bare] if bare in names else get_close_matches(bare, names)
    return [f'mmxdistill.{names[key]}' for key in close]


def _built(error: TypeError) -> Any:
    """The component whose building failed; None if it was something else."""
    built: Any = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == 'build_from_cfg':
            built = trace.tb_frame.f_locals.get('obj_cls')
        trace = trace.tb_next
    return built


def _close_keys(key: str, built: Any) -> list[str]:
    """Arguments of a component that resemble a key."""
    known: set[str] = set()
    for kind in getattr(built, '__mro__', (built,)):  # they are handed on
        known |= inspect.signature(kind.__init__).parameters.keys()
    return get_close_matches(key, known - {'self', 'args', 'kwargs'})
