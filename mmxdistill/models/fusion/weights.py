"""How much each stream counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ['FusionWeights', 'StreamWeights']


class StreamWeights(NamedTuple):
    """Weights of the streams that are there, each sum 1.

    Attributes:
        classes (list[float] | list[Tensor]): For class scores: a number per
            stream, or a tensor (num_classes,) per stream.
        scores (list[float]): For what else is a score: objectness,
            centerness, masks.
        boxes (list[float]): For box outputs.
    """

    classes: list[Any]
    scores: list[float]
    boxes: list[float]


class FusionWeights:
    """Weights of streams, normalised over those that are there.

    Args:
        names (Sequence[str]): The streams.
        num_classes (int): Number of classes.
        weights (Sequence | dict, optional): Per stream (in order, or by
            name) a number, or a list of ``num_classes`` numbers. Their ratios
            matter, not their sum. Defaults to equal weights.
        box_weights (Sequence | dict, optional): Per stream a number for the
            box outputs. Defaults to ``weights``; where these are given per
            class, to their mean.

    Raises:
        ValueError: Other numbers of weights, negative or not finite ones, or
            a class for which all are 0.
    """

    def __init__(
        self,
        names: Sequence[str],
        num_classes: int,
        weights: Sequence | Mapping | None = None,
        box_weights: Sequence | Mapping | None = None,
    ) -> None:
        self.names = list(names)
        given = self._by_name('weights', weights)
        self.per_class = any(isinstance(w, Sequence) for w in given.values())
        self.rows = {
            name: self._row(name, weight, num_classes)
            for name, weight in given.items()
        }
        means = {
            name: math.fsum(row) / len(row) for name, row in self.rows.items()
        }
        self.scores = means
        self.boxes = {
            name: float(self._row(name, weight, 1)[0])
            for name, weight in self._by_name(
                'box_weights', means if box_weights is None else box_weights
            ).items()
        }
        for column in (
            *zip(*self.rows.values(), strict=True),
            self.boxes.values(),
        ):
            if not sum(column):
                raise ValueError(
                    'weights: no stream has a positive weight for a class or '
                    f'for the boxes: {weights}, box_weights: {box_weights}'
                )

    def _by_name(self, key: str, given: Any) -> dict[str, Any]:
        if given is None:
            return dict.fromkeys(self.names, 1.0)
        given = _plain(given)
        if isinstance(given, Mapping):
            if set(given) != set(self.names):
                raise ValueError(
                    f'{key} {dict(given)}: give one per stream {self.names}'
                )
            return {name: given[name] for name in self.names}
        if not isinstance(given, Sequence) or len(given) != len(self.names):
            raise ValueError(
                f'{key} {given!r}: give one per stream {self.names}'
            )
        return dict(zip(self.names, given, strict=True))

    def _row(self, name: str, weight: Any, count: int) -> list[float]:
        weight = _plain(weight)
        row = weight if isinstance(weight, Sequence) else [weight] * count
        numbers = all(isinstance(w, (int, float)) for w in row)
        if (
            not numbers
            or len(row) != count
            or not all(math.isfinite(w) and w >= 0 for w in row)
        ):
            wanted = f' or a list of {count}, one per class' * (count > 1)
            raise ValueError(
                f"weight {weight!r} of stream '{name}': give a number of 0 or "
                f'more{wanted}'
            )
        return [float(w) for w in row]

    def of(self, names: Sequence[str], like: Tensor) -> StreamWeights:
        """Weights of some of the streams.

        Args:
            names (Sequence[str]): The streams that are there.
            like (Tensor): Whose device the weights per class shall have.

        Returns:
            StreamWeights: In the order of ``names``. Streams that have no
            weight at all without the others count alike.
        """
        scores = _shares([self.scores[name] for name in names])
        classes: list[Any] = scores
        if self.per_class:
            columns = zip(*(self.rows[name] for name in names), strict=True)
            table = [_shares(column) for column in columns]
            classes = list(
                torch.tensor(table, device=like.device).t().contiguous()
            )
        boxes = _shares([self.boxes[name] for name in names])
        return StreamWeights(classes, scores, boxes)


def _plain(values: Any) -> Any:
    """Numbers of NumPy and PyTorch as those of Python."""
    return values.tolist() if hasattr(values, 'tolist') else values


def _shares(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if not total:
        return [1 / len(weights)] * len(weights)
    return [weight / total for weight in weights]
