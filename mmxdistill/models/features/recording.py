"""Run a network until its wanted features are there, and keep them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from mmxdistill.models.features.names import FeatureName

__all__ = ['Recorded', 'record']


class _FinishedError(BaseException):
    """The last wanted feature is there: leave the network.

    No Exception, so that no network catches it.
    """


class Recorded(NamedTuple):
    """A feature as the network computed it.

    Attributes:
        value (Any): The tensor, or what else is there.
        output (Any): Whole output of the module.
        args (tuple): Positional arguments of the call.
        version (int): Of the tensor when it was recorded: operations in place
            count it up.
    """

    value: Any
    output: Any
    args: tuple
    version: int

    @property
    def overwritten(self) -> bool:
        """Whether an operation in place has changed the feature since."""
        return _version(self.value) != self.version


def _version(value: Any) -> int:
    if not isinstance(value, Tensor) or value.is_inference():
        return 0  # tensors of inference mode are not counted
    return value._version


def record(
    network: nn.Module,
    names: Sequence[FeatureName],
    run: Callable[[], object],
    copies: Collection[str] = (),
    stop: bool = True,
) -> tuple[dict[str, Recorded], Counter]:
    """Record features while the network runs.

    Args:
        network (nn.Module): The network.
        names (Sequence[FeatureName]): Its features; the paths exist.
        run (Callable): Runs the network, or a part of it.
        copies (Collection[str]): Names (``text``) of features that are copied
            because an operation in place would overwrite them.
        stop (bool): Whether to leave the network with the last feature.
            Defaults to True.

    Returns:
        tuple[dict[str, Recorded], Counter]: Feature per name (``text``),
        without those that were not computed; and how often each path was
        called. What ``run`` raises is raised; ``found`` of the exception is
        then this tuple.
    """
    found: dict[str, Recorded] = {}
    calls: Counter = Counter()
    by_path = defaultdict(list)
    for name in names:
        by_path[name.path].append(name)

    def hook_of(path: str) -> Callable:
        def hook(module: nn.Module, args: tuple, output: Any) -> None:
            for name in by_path[path]:
                if calls[path] == (name.call or 0):
                    value = name.pick(output)
                    if name.text in copies and isinstance(value, Tensor):
                        value = value.clone()
                    found[name.text] = Recorded(
                        value, output, args, _version(value)
                    )
            calls[path] += 1
            if stop and len(found) == len(names):
                raise _FinishedError

        return hook

    handles = [
        network.get_submodule(path).register_forward_hook(hook_of(path))
        for path in by_path
    ]
    try:
        run()
    except _FinishedError:
        pass
    except Exception as error:
        error.found = found, calls  # type: ignore[attr-defined]
        raise
    finally:
        for handle in handles:
            handle.remove()
    return found, calls
