"""Recall of the proposal files of whole data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.dataset import BaseDataset

from mmxdistill.datasets.proposal_file import ProposalFile
from mmxdistill.evaluation.proposal_recall import ProposalRecall
from mmxdistill.parallel import map_parallel

__all__ = ['measure_recall']

_IMAGES_PER_TASK = 16


@dataclass(frozen=True)
class _Scene:
    """An image.

    Attributes:
        path: Of the image.
        boxes: (g, 4), xyxy in pixels.
        labels: (g,).
    """

    path: str
    boxes: np.ndarray
    labels: np.ndarray


def _read_scenes(dataset: BaseDataset) -> list[_Scene]:
    """List the images of a data set, also those without objects."""
    scenes = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        objects = [i for i in info['instances'] if not i.get('ignore_flag')]
        boxes = np.array([item['bbox'] for item in objects], np.float32)
        labels = np.array([item['bbox_label'] for item in objects])
        scenes.append(_Scene(info['img_path'], boxes.reshape(-1, 4), labels))
    return scenes


def _find_boxes(
    file: ProposalFile, scenes: list[_Scene], by_name: bool
) -> tuple[list[_Scene], list[np.ndarray]]:
    """Find the proposals of all scenes that have objects.

    Args:
        file (ProposalFile): The proposal file.
        scenes (list[_Scene]): All scenes of a data set.
        by_name (bool): The folder of the images is not known.

    Returns:
        tuple: These scenes, and the boxes (n, 4) of each.

    Raises:
        KeyError: The file has none for some of them.
        ValueError: Its content is wrong.
    """
    keys = file.match([scene.path for scene in scenes], rooted=not by_name)
    wanted = [p for p in zip(scenes, keys, strict=True) if len(p[0].boxes)]
    scenes = [scene for scene, _ in wanted]
    keys = [key for _, key in wanted]
    file.require(keys, [scene.path for scene in scenes])
    return scenes, [file.boxes(key).bboxes for key in keys if key is not None]


@dataclass(frozen=True)
class _Task:
    """Images of which a process counts the objects found."""

    classes: tuple[str, ...]
    scenes: list[_Scene]
    boxes: list[np.ndarray]


def _count(task: _Task) -> ProposalRecall:
    """Count the objects found in some images."""
    recall = ProposalRecall(task.classes)
    for scene, boxes in zip(task.scenes, task.boxes, strict=True):
        recall.add(scene.boxes, scene.labels, boxes)
    return recall


def measure_recall(
    datasets: Sequence[BaseDataset],
    files: Sequence[str],
    by_name: bool = False,
    jobs: int | None = None,
    description: str = 'recall',
    trust_pickle: bool = False,
) -> ProposalRecall:
    """Measure the recall of proposals on one or several data sets together.

    Args:
        datasets (Sequence[BaseDataset]): With boxes, of the same classes.
        files (Sequence[str]): Proposal file of each.
        by_name (bool): The folder of the images is not known: the file name
            alone decides, if it is unique. Defaults to False.
        jobs (int, optional): Processes. Defaults to the CPUs.
        description (str): What the progress says. Defaults to 'recall'.
        trust_pickle (bool): See :class:`ProposalFile`. Defaults to False.

    Returns:
        ProposalRecall: Counted over all images that have objects.

    Raises:
        KeyError: An image has no proposals.
        ValueError: The classes differ, or there is no object.
    """
    classes = tuple(datasets[0].metainfo['classes'])
    opened = {path: ProposalFile(path, trust_pickle) for path in files}
    tasks = []
    for dataset, path in zip(datasets, files, strict=True):
        if tuple(dataset.metainfo['classes']) != classes:
            raise ValueError('the data sets have different classes')
        scenes, boxes = _find_boxes(
            opened[path], _read_scenes(dataset), by_name
        )
        tasks += [
            _Task(classes, scenes[i:j], boxes[i:j])
            for i in range(0, len(scenes), _IMAGES_PER_TASK)
            for j in [i + _IMAGES_PER_TASK]
        ]
    if not tasks:
        raise ValueError(
            'no image has an object: a data set without boxes (for the '
            'transfer) has no recall'
        )
    recall = ProposalRecall(classes)
    for outcome in map_parallel(_count, tasks, jobs, description):
        if outcome.result is None:
            raise ValueError(outcome.error)
        recall.merge(outcome.result)
    return recall
