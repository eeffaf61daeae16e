"""How a supervision transfer went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmxdistill.text_files import read_text

__all__ = [
    'TransferHistory',
    'plot_transfer_curve',
    'read_transfer_history',
]

_EXPLAINED = 'transfer/explained_variance_'


@dataclass(frozen=True)
class TransferHistory:
    """Numbers of one transfer run, by iteration.

    Attributes:
        loss: Training loss, all transfer points together.
        explained_variance: Per transfer point, on held-out pairs.
    """

    loss: dict[int, float]
    explained_variance: dict[str, dict[int, float]]


def read_transfer_history(work_dir: str | Path) -> TransferHistory:
    """Read what mmengine has logged, also over several resumed runs.

    Args:
        work_dir (str or Path): ``work_dir`` of the run.

    Returns:
        TransferHistory: Its numbers.

    Raises:
        FileNotFoundError: Nothing was logged in this folder.
        ValueError: A log is damaged.
    """
    # The names start with the time: later runs replace what they repeat.
    logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not logs:
        raise FileNotFoundError(
            f'{work_dir} has no */vis_data/scalars.json: it is no work_dir of '
            'a training run, or the run logged nothing'
        )
    history = TransferHistory({}, {})
    for log in logs:
        # mmengine counts epochs, not iterations, in the rows of validations.
        step = 0
        for number, line in enumerate(read_text(log).splitlines(), 1):
            if not line.endswith('}'):  # killed while it was written
                continue
            try:
                row = json.loads(line)
                if 'loss' in row:
                    step = row['step']
                    history.loss[step] = row['loss']
                    continue
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise ValueError(
                    f"'{log}' line {number} is no row of a log: {line[:80]!r}"
                ) from error
            for key, value in row.items():
                if key.startswith(_EXPLAINED):
                    point = key.removeprefix(_EXPLAINED)
                    curve = history.explained_variance.setdefault(point, {})
                    curve[step] = value
    return history


def plot_transfer_curve(
    figure: Figure, histories: Mapping[str, TransferHistory]
) -> None:
    """Plot losses and explained variance against the iterations.

    Args:
        figure (Figure): An empty figure.
        histories (Mapping[str, TransferHistory]): Runs by their names.
    """
    left, right = figure.subplots(1, 2, sharex=True)
    for index, (run, history) in enumerate(histories.items()):
        style: dict[str, Any] = dict(color=f'C{index}', linewidth=2)
        left.plot(*_xy(history.loss), **style, label=run)
        for marker, (point, curve) in zip(
            'osv^' * len(history.explained_variance),
            history.explained_variance.items(),
            strict=False,
        ):
            right.plot(
                *_xy(curve), **style, marker=marker, label=f'{run}, {point}'
            )
    left.set_title('Training loss', fontweight='bold')
    left.set_ylabel('loss')
    right.set_title('Held-out pairs', fontweight='bold')
    right.set_ylabel('explained variance (1: all, 0: only the mean)')
    right.axhline(0, color='0.5', linewidth=1)
    for axes in (left, right):
        axes.set_xlabel('iteration')
        axes.grid(alpha=0.3)
        axes.legend()
    left.set_ylim(bottom=0)
    right.set_ylim(top=1)


def _xy(curve: dict[int, float]) -> tuple[list[int], list[float]]:
    steps = sorted(curve)
    return steps, [curve[step] for step in steps]
