"""Pictures of a study on real pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mmxdistill.studies.real_pairs import TestSet
from mmxdistill.studies.real_report import Found, labelled, summarise
from mmxdistill.visualization.detections import (
    detection_legend,
    draw_detections,
    match_detections,
)
from mmxdistill.visualization.images import draw_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['draw_curves', 'draw_sheet']

_NAMES = dict(random='random', copy='COCO weights', st='transfer')


def draw_curves(
    test: TestSet, results: Mapping[str, Mapping[int, Found]]
) -> Figure:
    """Draw AP50 over the number of labelled images.

    Args:
        test (TestSet): Arms and images.
        results (dict): Arm -> seed -> detections.

    Returns:
        Figure: A line per start; every seed is a dot.
    """
    from matplotlib.figure import Figure

    figure = Figure((6, 4), layout='constrained')
    axes = figure.subplots()
    for start, arms in labelled(test).items():
        points = [
            (
                max(arm.labels, 1),
                [
                    summarise(one.precision())[0]
                    for one in results[arm.test].values()
                ],
            )
            for arm in arms
            if arm.test in results
        ]
        if not points:
            continue
        numbers = [number for number, _ in points]
        (line,) = axes.plot(
            numbers,
            [float(np.mean(values)) for _, values in points],
            marker='o',
            label=_NAMES[start],
        )
        for number, values in points:
            axes.plot(
                [number] * len(values),
                values,
                '.',
                color=line.get_color(),
                alpha=0.5,
            )
    axes.set_xscale('symlog', linthresh=10)
    ticks = sorted({max(arm.labels, 1) for arm in test.arms if arm.start})
    axes.set_xticks(ticks, ['none' if t == 1 else str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel('labelled images of the new modality')
    axes.set_ylabel('AP50 of the test (%)')
    axes.grid(alpha=0.3)
    axes.legend(title='starts from')
    return figure


def draw_sheet(
    test: TestSet, results: Mapping[str, Mapping[int, Found]]
) -> Figure:
    """Draw what each arm finds on the middle image of every group.

    Args:
        test (TestSet): Arms and images.
        results (dict): Arm -> seed -> detections; the first seed is drawn.

    Returns:
        Figure: Groups below each other, arms beside each other.
    """
    from matplotlib.figure import Figure

    shown = {
        arm.what: next(iter(results[arm.test].values()))
        for arm in test.arms
        if arm.test in results and arm.test in test.sheet
    }
    first = next(iter(shown.values()))
    groups = list(dict.fromkeys(first.groups))
    figure = Figure(
        (4 * len(shown), 3 * len(groups) + 0.5), layout='constrained'
    )
    grid = figure.subplots(len(groups), len(shown), squeeze=False)
    for row, group in zip(grid, groups, strict=True):
        mine = [i for i, name in enumerate(first.groups) if name == group]
        index = mine[len(mine) // 2]
        for axes, (what, found) in zip(row, shown.items(), strict=True):
            _draw(axes, test, what, found.samples[index])
    figure.legend(
        handles=detection_legend(),
        loc='outside lower center',
        ncols=3,
        facecolor='0.4',
        labelcolor='white',
    )
    return figure


def _draw(
    axes: Any, test: TestSet, what: str, sample: Mapping[str, Any]
) -> None:
    image: Any = cv2.imread(sample['img_path'])
    truth, found = sample['gt_instances'], sample['pred_instances']
    boxes = np.asarray(truth['bboxes']).reshape(-1, 4)
    draw_image(axes, image, what)
    matched = match_detections(
        found['bboxes'],
        found['labels'],
        found['scores'],
        boxes,
        truth['labels'],
    )
    draw_detections(axes, matched, test.classes, boxes)
    axes.title.set_fontsize(8)
