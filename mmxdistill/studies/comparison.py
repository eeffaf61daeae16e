"""What detectors of several modalities find in one scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mmdet.datasets import BaseDetDataset
from numpy.typing import NDArray

from mmxdistill.visualization.detections import (
    Detections,
    detection_legend,
    draw_boxes,
    draw_detections,
    match_detections,
)
from mmxdistill.visualization.images import (
    HHA_CAPTION,
    draw_depth,
    draw_image,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ['draw_comparison', 'find_telling_image']

_PREDICTED = ('bboxes', 'labels', 'scores')


def find_telling_image(
    dataset: BaseDetDataset, predictions: Sequence[Sequence[dict]]
) -> tuple[int, list[Detections]]:
    """Find the image on which the last detector is furthest ahead.

    It counts its correct minus its wrong detections with a score above 0.5,
    compared with the best of the other detectors. Of equal images, the one
    with more correct detections is taken, then the first.

    Args:
        dataset (BaseDetDataset): Images with boxes.
        predictions (Sequence[Sequence[dict]]): Per detector, its samples as
            ``tools/test.py --out`` writes them.

    Returns:
        tuple[int, list[Detections]]: Index of the image, and what each
        detector finds there.
    """
    by_image = [
        {sample['img_id']: sample['pred_instances'] for sample in samples}
        for samples in predictions
    ]
    best: tuple[tuple[int, int], int, list[Detections]] | None = None
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        truth = [
            [instance[key] for instance in info['instances']]
            for key in ('bbox', 'bbox_label')
        ]
        found = [
            match_detections(
                *(samples[info['img_id']][k] for k in _PREDICTED), *truth
            )
            for samples in by_image
        ]
        *others, last = [one.num_correct - one.num_wrong for one in found]
        rank = (last - max(others), found[-1].num_correct)
        if best is None or rank > best[0]:
            best = rank, index, found
    if best is None:
        raise ValueError('the data set is empty')
    return best[1:]


def draw_comparison(
    figure: Figure,
    scene: Mapping[str, NDArray],
    instances: Sequence[dict[str, Any]],
    panels: Mapping[tuple[str, str], Detections],
    classes: Sequence[str],
) -> None:
    """Draw a scene in its modalities above what the detectors find in it.

    Args:
        figure (Figure): An empty figure.
        scene (Mapping[str, np.ndarray]): The images ``'rgb'`` (BGR),
            ``'depth'`` (millimetres) and ``'hha'`` (angle, height,
            disparity).
        instances (Sequence[dict]): The objects, ``bbox`` and ``bbox_label``,
            as the data set has them.
        panels (Mapping[tuple[str, str], Detections]): (name of a detector,
            image under its boxes) -> what it finds; three of them.
        classes (Sequence[str]): Names of the classes.
    """
    boxes = np.array([one['bbox'] for one in instances]).reshape(-1, 4)
    names = [classes[one['bbox_label']] for one in instances]
    top, bottom = figure.subplots(2, 3)
    draw_image(top[0], scene['rgb'], 'Colour image and its objects')
    draw_boxes(top[0], boxes, names, color='white', linewidth=1)
    draw_depth(top[1], scene['depth'], 'Depth image')
    draw_image(top[2], scene['hha'], 'Depth encoded as HHA', HHA_CAPTION)
    for axes, ((name, image), found) in zip(
        bottom, panels.items(), strict=True
    ):
        draw_image(axes, scene[image], name)
        draw_detections(axes, found, classes, boxes)
    figure.legend(
        handles=detection_legend(),
        loc='outside lower center',
        ncols=3,
        facecolor='0.4',
        labelcolor='white',
    )
