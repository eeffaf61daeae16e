"""Recall of the proposal files of whole data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from mmengine.dataset import BaseDataset

from mmxdistill.datasets.proposals import (
    proposal_boxes,
    proposal_key,
    read_proposals,
)
from mmxdistill.evaluation.proposal_recall import ProposalRecall
from mmxdistill.parallel import map_parallel

__all__ = ['measure_recall']

_IMAGES_PER_TASK = 16


@dataclass(frozen=True)
class _Scene:
    """An image with objects.

    Attributes:
        path: Of the image.
        boxes: (g, 4), xyxy in pixels.
        labels: (g,).
    """

    path: str
    boxes: np.ndarray
    labels: np.ndarray


def _read_scenes(dataset: BaseDataset) -> list[_Scene]:
    """List the images of a data set that have objects."""
    scenes = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        objects = [i for i in info['instances'] if not i.get('ignore_flag')]
        if objects:
            boxes = np.array([item['bbox'] for item in objects], np.float32)
            labels = np.array([item['bbox_label'] for item in objects])
            scenes.append(_Scene(info['img_path'], boxes, labels))
    return scenes


def _find_boxes(
    file: str, scenes: list[_Scene], by_name: bool
) -> list[np.ndarray]:
    """Proposals of each scene.

    Args:
        file (str): The proposal file.
        scenes (list[_Scene]): The scenes.
        by_name (bool): The folder of the images is not known: the file name
            alone decides, if it is unique.

    Raises:
        ValueError: The file has none for some of them.
    """
    proposals = read_proposals(file)
    names: dict[str, list[str]] = {}
    for key in proposals if by_name else ():
        names.setdefault(Path(key).name, []).append(key)
    found, missing = [], []
    for scene in scenes:
        key = proposal_key(scene.path)
        same_name = names.get(Path(key).name, [])
        if key not in proposals and len(same_name) == 1:
            key = same_name[0]
        if key not in proposals:
            missing.append(key)
            continue
        try:
            found.append(proposal_boxes(proposals[key]))
        except ValueError as error:
            raise ValueError(f"'{file}', {key}: {error}") from None
    if missing:
        raise ValueError(
            f"'{file}' has no proposals for {len(missing)} of {len(scenes)} "
            f'images, e.g. {missing[:3]}; its keys look like '
            f'{list(islice(proposals, 2))}'
        )
    return found


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
) -> ProposalRecall:
    """Measure the recall of proposals on one or several data sets together.

    Args:
        datasets (Sequence[BaseDataset]): With boxes, of the same classes.
        files (Sequence[str]): Proposal file of each.
        by_name (bool): The folder of the images is not known: the file name
            alone decides, if it is unique. Defaults to False.
        jobs (int, optional): Processes. Defaults to the CPUs.
        description (str): What the progress says. Defaults to 'recall'.

    Returns:
        ProposalRecall: Counted over all images that have objects.

    Raises:
        ValueError: The classes differ, an image has no proposals, or there
            is no object.
    """
    classes = tuple(datasets[0].metainfo['classes'])
    tasks = []
    for dataset, file in zip(datasets, files, strict=True):
        if tuple(dataset.metainfo['classes']) != classes:
            raise ValueError('the data sets have different classes')
        scenes = _read_scenes(dataset)
        boxes = _find_boxes(file, scenes, by_name)
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
