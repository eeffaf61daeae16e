"""Recall of region proposals, as curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmxdistill.evaluation.proposal_recall import IOU_THRS, ProposalRecall

__all__ = ['draw_recalls', 'plot_recall']


def plot_recall(
    axes: Axes,
    recalls: Mapping[str, ProposalRecall],
    iou_thr: float,
    classes: bool = False,
) -> None:
    """Draw recall against the number of proposals.

    Args:
        axes (Axes): Where to draw.
        recalls (Mapping[str, ProposalRecall]): Name of the proposals ->
            their recall.
        iou_thr (float): One of the thresholds.
        classes (bool): Draw a line for every class as well. Defaults to
            False.
    """
    for name, recall in recalls.items():
        values = recall.recall[..., list(recall.iou_thrs).index(iou_thr)]
        style: dict[str, Any] = dict(marker='o', markersize=3)
        color = 'black' if classes else None
        axes.plot(recall.limits, values[0], label=name, color=color, **style)
        if classes:
            style |= dict(linestyle='--', linewidth=1)
            axes.set_prop_cycle(color=colormaps['tab20'](np.arange(20)))
            for label, row in zip(recall.classes, values[1:], strict=True):
                axes.plot(recall.limits, row, label=label, **style)
    axes.set_xscale('log')
    axes.set_xticks(limits := next(iter(recalls.values())).limits)
    axes.set_xticklabels([str(limit) for limit in limits])
    axes.minorticks_off()
    axes.set_ylim(0, 1)
    axes.grid(alpha=0.3)
    axes.set_xlabel('proposals per image')
    axes.set_ylabel('recall')
    axes.set_title(f'IoU {iou_thr:g}', fontweight='bold')
    axes.legend(fontsize=8)


def draw_recalls(recalls: Mapping[str, ProposalRecall]) -> Figure:
    """Draw the recall at all thresholds side by side.

    Args:
        recalls (Mapping[str, ProposalRecall]): Name of the proposals -> their
            recall; of a single one, every class is drawn as well.

    Returns:
        Figure: The plots.
    """
    figure = Figure(figsize=(5 * len(IOU_THRS), 4), layout='constrained')
    for axes, iou_thr in zip(
        figure.subplots(1, len(IOU_THRS)), IOU_THRS, strict=True
    ):
        plot_recall(axes, recalls, iou_thr, classes=len(recalls) == 1)
    return figure
