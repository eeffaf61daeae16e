"""What a batch tells of a transfer: error, norms, dead channels."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor

__all__ = ['TransferStatistics']


class TransferStatistics:
    """Statistics of one transfer point over a batch, of all processes.

    Args:
        student (Tensor): (N, C', h', w') or (R, C'), as the student gives it.
        adapted (Tensor): (N, C, h, w) or (R, C), after the adaptation.
        teacher (Tensor): The same shape, scaled.
        seen (Tensor, optional): (N, 1, h', w') bool: the cells of ``student``
            that are no padding; None for all.
        valid (Tensor, optional): (N, 1, h, w) bool: those of the others.
    """

    def __init__(
        self,
        student: Tensor,
        adapted: Tensor,
        teacher: Tensor,
        seen: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> None:
        own = _cells(student, seen)
        made, wanted = _cells(adapted, valid), _cells(teacher, valid)
        self._sums = torch.stack(
            [
                own.new_tensor(len(own)),
                own.norm(dim=1).sum(),
                made.new_tensor(len(made)),
                made.norm(dim=1).sum(),
                wanted.norm(dim=1).sum(),
                (made - wanted).square().sum(),
                wanted.square().sum(),
            ]
        )
        self._total = wanted.sum(dim=0)
        self._ranges = [_range(own), _range(made)]

    def reduce(self) -> dict[str, float]:
        """Put the processes together; all must call it.

        Returns:
            dict[str, float]: ``explained_variance``; ``student_norm``,
            ``adapted_norm`` and ``teacher_norm``, average L2 norms of a cell;
            ``dead_student`` and ``dead_adapted``, shares of the channels that
            are the same in all cells. What cannot be told (of a single cell,
            say) is left out.
        """
        all_reduce(self._sums)
        all_reduce(self._total)
        for range_ in self._ranges:
            all_reduce(range_, 'max')
        seen, student, cells, adapted, teacher, error, square = (
            self._sums.tolist()
        )
        found = {}
        variance = square - float(self._total.square().sum()) / max(cells, 1)
        if variance > 0:
            found['explained_variance'] = 1 - error / variance
        for name, norm, count in (
            ('student', student, seen),
            ('adapted', adapted, cells),
            ('teacher', teacher, cells),
        ):
            if count:
                found[f'{name}_norm'] = norm / count
        for name, range_, count in (
            ('student', self._ranges[0], seen),
            ('adapted', self._ranges[1], cells),
        ):
            if count > 1:
                dead = range_[0] + range_[1] == 0  # highest = lowest
                found[f'dead_{name}'] = float(dead.double().mean())
        return found


def _cells(feature: Tensor, valid: Tensor | None) -> Tensor:
    """The cells of a feature that are no padding: (cells, C), float64."""
    feature = feature.detach().double()
    if feature.dim() == 2:
        return feature
    cells = feature.movedim(1, -1).flatten(0, -2)
    return cells if valid is None else cells[valid.flatten()]


def _range(cells: Tensor) -> Tensor:
    """Highest value and negated lowest one of each channel: (2, C)."""
    if not len(cells):
        return cells.new_full((2, cells.shape[1]), -torch.inf)
    return torch.stack([cells.amax(dim=0), (-cells).amax(dim=0)])
