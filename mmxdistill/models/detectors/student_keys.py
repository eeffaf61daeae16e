"""A student's weights under the keys of its own checkpoint."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ['use_student_keys']

_OWN_PREFIXES = ('transfer_points.', 'data_preprocessor.', 'student.')


def use_student_keys(module: nn.Module) -> None:
    """Save and load the sub-module ``student`` without that prefix.

    Args:
        module (nn.Module): Has ``student``, a detector, beside what
            ``_OWN_PREFIXES`` names.
    """
    module._register_state_dict_hook(_strip_student)
    module.register_load_state_dict_pre_hook(_prepend_student)


def _strip_student(
    module: nn.Module, state: dict, prefix: str, metadata: dict
) -> None:
    """Save a student detector under its own keys."""
    inner = f'{prefix}student.'
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key[len(inner) :]] = state.pop(key)


def _prepend_student(
    module: nn.Module, state: dict, prefix: str, *args: Any
) -> None:
    """Load a student detector from its own keys."""
    own = tuple(prefix + name for name in _OWN_PREFIXES)
    for key in list(state):
        if key.startswith(prefix) and not key.startswith(own):
            state[f'{prefix}student.{key[len(prefix) :]}'] = state.pop(key)
