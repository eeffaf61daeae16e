"""Checks all files of a data set: what one sample cannot tell."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset

from mmxdistill.datasets.coco_categories import check_categories
from mmxdistill.datasets.coco_file import read_coco
from mmxdistill.datasets.configured import (
    build_dataset,
    image_loader,
)
from mmxdistill.datasets.paired import PairedDataset
from mmxdistill.datasets.proposal_file import (
    ProposalFile,
    find_proposal_file,
    image_names,
)
from mmxdistill.datasets.sample_checks import (
    KINDS,
    Finding,
    Problem,
    Sample,
    check_sample,
)
from mmxdistill.parallel import describe_error, map_parallel

__all__ = ['Checked', 'check_dataset', 'find_shared', 'list_problems']


def _check_all(
    samples: list[Sample], name: str, jobs: int | None
) -> list[Finding]:
    outcomes = map_parallel(check_sample, samples, jobs, name)
    for outcome in outcomes:
        if outcome.error is not None or outcome.result is None:
            raise RuntimeError(f'{outcome.item}: {outcome.error}')
    return [one.result for one in outcomes if one.result is not None]


def _read_boxes(
    dataset: BaseDataset,
) -> tuple[dict[Any, list[list[float]]], list[Problem]]:
    """Read the boxes as they are in the annotation file.

    The data set itself leaves out boxes that are empty or outside of the
    image.

    Args:
        dataset (BaseDataset): The data set.

    Returns:
        tuple: Image id -> boxes (xyxy), and what is wrong with the
        annotations themselves. Empty for a data set that reads no COCO file.
    """
    if not isinstance(dataset, CocoDataset):
        return {}, []
    content = read_coco(dataset.ann_file)
    images = {image['id'] for image in content['images']}
    categories = {category['id'] for category in content['categories']}
    boxes: dict[Any, list[list[float]]] = defaultdict(list)
    problems = []
    try:
        check_categories(dataset)
    except ValueError as error:
        problems.append(('bad annotation', str(error)))
    for item in content['annotations']:
        name = f"annotation {item.get('id')} of '{dataset.ann_file}'"
        if item['image_id'] not in images:
            text = f'{name}: there is no image {item["image_id"]}'
            problems.append(('bad annotation', text))
        elif item['category_id'] not in categories:
            text = f'{name}: there is no category {item["category_id"]}'
            problems.append(('bad annotation', text))
        elif not item.get('ignore'):
            x, y, w, h = item['bbox']
            boxes[item['image_id']].append([x, y, x + w, y + h])
    return boxes, problems


def _list_samples(
    config: Mapping[str, Any],
    dataset: BaseDataset,
    depth_range: tuple[float, float],
) -> tuple[list[Sample], list[Problem]]:
    """List the samples of a data set, with all there is to check."""
    boxes, problems = _read_boxes(dataset)
    loader = image_loader(dataset)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    paths = [info['img_path'] for info in infos]
    proposals: list[Any] | None = None
    try:
        proposals = _find_entries(config, paths)
    except FileNotFoundError as error:
        problems.append(('missing proposals', str(error)))
    except ValueError as error:
        problems.append(('bad proposals', str(error)))
    samples = []
    for index, (info, name) in enumerate(
        zip(infos, image_names(paths), strict=True)
    ):
        instances = info.pop('instances', [])
        mine = boxes.get(info.get('img_id'), [])
        if not isinstance(dataset, CocoDataset):
            mine = [item['bbox'] for item in instances if 'bbox' in item]
        if isinstance(dataset, PairedDataset):
            # From the file, and no record of which it could be wrong.
            info.pop('width', None)
        entry = proposals[index] if proposals else None
        sample = Sample(
            name=name,
            info=info,
            loader=loader,
            boxes=np.array(mine, np.float64).reshape(-1, 4),
            proposals=entry,
            has_proposals=proposals is None or entry is not None,
            depth_range=depth_range,
        )
        samples.append(sample)
    return samples, problems


def _find_entries(
    config: Mapping[str, Any], paths: list[str]
) -> list[Any] | None:
    """Find what the proposal file has for each image; None if there is none.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: It is damaged, or two images would get the same entry.
    """
    path = find_proposal_file(config)
    if path is None:
        return None
    file = ProposalFile(path, config.get('trust_pickle', False))
    keys = file.match(paths)
    return [None if key is None else file.entries[key] for key in keys]


@dataclass(frozen=True)
class Checked:
    """A data set that was checked.

    Attributes:
        problems: Kind and message.
        paths: Image file of each sample.
        digests: Of the content of each; None if it is missing.
        samples: The samples.
        owners: Index of the sample of each problem; None for what is wrong
            with the data set itself.
    """

    problems: list[Problem]
    paths: list[str]
    digests: list[str | None]
    samples: list[Sample] = field(default_factory=list)
    owners: list[int | None] = field(default_factory=list)


def check_dataset(
    name: str,
    config: Mapping[str, Any],
    depth_range: tuple[float, float],
    jobs: int | None = None,
) -> Checked:
    """Check all files of a data set, in parallel.

    Args:
        name (str): Of the data set, for the progress.
        config (Mapping): Its config; if it cannot even be built, that is its
            problem.
        depth_range (tuple[float, float]): Metres; see :class:`Sample`.
        jobs (int, optional): Processes. Defaults to the CPUs.

    Returns:
        Checked: What was found.
    """
    try:
        dataset = build_dataset(config)
        samples, problems = _list_samples(config, dataset, depth_range)
    except Exception as error:  # whatever: the others are checked, too
        problem = 'data set', describe_error(error)
        return Checked([problem], [], [], owners=[None])
    if not samples:
        problems.append(('data set', 'it has no sample'))
    findings = _check_all(samples, name, jobs)
    owners: list[int | None] = [None] * len(problems)
    for index, finding in enumerate(findings):
        problems += finding.problems
        owners += [index] * len(finding.problems)
    return Checked(
        problems,
        [sample.info['img_path'] for sample in samples],
        [finding.digest for finding in findings],
        samples,
        owners,
    )


def _splits_of(name: str) -> set[str]:
    """Splits that a data set belongs to: 'val.1/test.1' -> val, test."""
    return {part.split('.')[0] for part in name.split('/')}


def find_shared(
    checked: Mapping[str, Checked],
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Find images that are in two splits, as a file or as a copy.

    Args:
        checked (Mapping[str, Checked]): Data set -> what was found.

    Yields:
        tuple[str, str, tuple[str, ...]]: Kind, message and files.
    """
    for first, second in combinations(checked, 2):
        if _splits_of(first) & _splits_of(second):
            continue
        a, b = checked[first], checked[second]
        real = {os.path.realpath(path): path for path in a.paths}
        same = {d: p for d, p in zip(a.digests, a.paths, strict=True) if d}
        for path, digest in zip(b.paths, b.digests, strict=True):
            if os.path.realpath(path) in real:
                text = f"'{path}' is in {first} and {second}"
                yield 'same file in two splits', text, (path,)
            elif digest in same:
                text = f"{first} '{same[digest]}' = {second} '{path}'"
                files = same[digest], path
                yield 'same content in two splits', text, files


def list_problems(problems: Mapping[str, list[Problem]]) -> list[list[str]]:
    """Sort problems by data set and kind.

    Args:
        problems (Mapping[str, list]): Data set -> kind and message of each.

    Returns:
        list[list[str]]: Of each data set and kind that has any, in the order
        of :data:`KINDS`: what they have in common, then their messages.
    """
    groups = []
    for name, found in problems.items():
        for kind in KINDS:
            texts = [text for k, text in found if k == kind]
            if texts:
                groups.append([f'{name}: {kind}', *texts])
    return groups
