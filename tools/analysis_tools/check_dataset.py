r"""Check all files of a config's data sets, in parallel.

    python tools/analysis_tools/check_dataset.py CONFIG --list problems.txt

Reports missing and unreadable files, images of a pair (or of a record) whose
sizes differ, depth in another unit, boxes that are empty or outside of the
image, annotations that belong to nothing, missing and wrong proposals, and
images that are in two splits. The exit status is 1 if there is any of it.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / 'tools/dataset_converters'),
    str(Path(__file__).resolve().parent),
]

from mmdet.datasets import CocoDataset
from mmengine.dataset import BaseDataset
from mmengine.fileio import load

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.work_list import run_all
from mmxdistill.datasets.configured import (
    SPLITS,
    build_dataset,
    dataset_configs,
    find_proposal_file,
    image_loader,
)
from mmxdistill.datasets.proposals import proposal_key, read_proposals
from mmxdistill.datasets.sample_checks import (
    KINDS,
    Finding,
    Problem,
    Sample,
    check_sample,
)

_SHOWN = 5
_SAMPLES_PER_TASK = 8


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, metavar='CONFIG')
    parser.add_argument(
        '--split',
        nargs='+',
        choices=SPLITS,
        default=list(SPLITS),
        help='data sets to check (default: all)',
    )
    parser.add_argument(
        '--depth-range',
        nargs=2,
        type=float,
        default=(0.4, 12.0),
        metavar='METRES',
        help='in a depth image of the right unit, half of the pixels are '
        'farther than the first and nearly all nearer than the second '
        '(default: 0.4 12, for Kinects indoors)',
    )
    parser.add_argument(
        '--list', type=Path, metavar='FILE', help='write all problems to FILE'
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=os.cpu_count() or 1,
        help='processes (default: one per CPU)',
    )
    args = parser.parse_args()
    args.depth_range = tuple(args.depth_range)
    if args.jobs < 1:
        parser.error('--jobs must be at least 1')
    if not 0 <= args.depth_range[0] < args.depth_range[1]:
        parser.error('--depth-range: write the smaller number first')
    return args


@dataclass(frozen=True)
class Task:
    """Samples for one call of a process."""

    samples: list[Sample]

    def __call__(self) -> list[Finding]:
        """Check them."""
        return [check_sample(sample) for sample in self.samples]


def check_all(samples: list[Sample], name: str, jobs: int) -> list[Finding]:
    """Check samples in parallel, with progress."""
    tasks = [
        Task(samples[i : i + _SAMPLES_PER_TASK])
        for i in range(0, len(samples), _SAMPLES_PER_TASK)
    ]
    done, failures = run_all(Task.__call__, tasks, jobs, name)
    if failures:
        raise RuntimeError(failures[0])
    return [finding for _, part in done for finding in part]


def read_boxes(
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
    content = load(dataset.ann_file)
    images = {image['id'] for image in content['images']}
    categories = {category['id'] for category in content['categories']}
    boxes: dict[Any, list[list[float]]] = defaultdict(list)
    problems = []
    for item in content['annotations']:
        name = f"annotation {item.get('id')} of '{dataset.ann_file}'"
        if item['image_id'] not in images:
            text = f'{name}: there is no image {item["image_id"]}'
            problems.append(('bad annotation', text))
        elif item['category_id'] not in categories:
            text = f'{name}: there is no category {item["category_id"]}'
            problems.append(('bad annotation', text))
        elif len(item.get('bbox', ())) != 4:
            text = f'{name}: bbox {item.get("bbox")} is no x, y, w, h'
            problems.append(('bad annotation', text))
        elif not item.get('ignore'):
            x, y, w, h = item['bbox']
            boxes[item['image_id']].append([x, y, x + w, y + h])
    return boxes, problems


def list_samples(
    config: Mapping[str, Any],
    dataset: BaseDataset,
    depth_range: tuple[float, float],
) -> tuple[list[Sample], list[Problem]]:
    """List the samples of a data set, with all there is to check."""
    boxes, problems = read_boxes(dataset)
    proposals: Mapping[str, Any] | None = None
    try:
        file = find_proposal_file(config)
        proposals = read_proposals(file) if file else None
    except (FileNotFoundError, ValueError) as error:
        problems.append(('missing proposals', str(error)))
    loader = image_loader(dataset)
    samples = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        instances = info.pop('instances', [])
        mine = boxes.get(info.get('img_id'), [])
        if not isinstance(dataset, CocoDataset):
            mine = [item['bbox'] for item in instances if 'bbox' in item]
        key = proposal_key(info['img_path'])
        sample = Sample(
            name=key,
            info=info,
            loader=loader,
            boxes=np.array(mine, np.float64).reshape(-1, 4),
            proposals=None if proposals is None else proposals.get(key),
            has_proposals=proposals is None or key in proposals,
            depth_range=depth_range,
        )
        samples.append(sample)
    return samples, problems


@dataclass(frozen=True)
class Checked:
    """A data set that was checked.

    Attributes:
        problems: Kind and message.
        paths: Image file of each sample.
        digests: Of the content of each; None if it is missing.
    """

    problems: list[Problem]
    paths: list[str]
    digests: list[str | None]


def check_dataset(
    name: str, config: Mapping[str, Any], args: argparse.Namespace
) -> Checked:
    """Check a data set; if it cannot even be built, that is its problem."""
    try:
        dataset = build_dataset(config)
        samples, problems = list_samples(config, dataset, args.depth_range)
    except Exception as error:  # whatever: the others are checked, too
        text = error.args[0] if isinstance(error, KeyError) else error
        problem = ('data set', f'{type(error).__name__}: {text}')
        return Checked([problem], [], [])
    if not samples:
        problems.append(('data set', 'it has no sample'))
    findings = check_all(samples, name, args.jobs)
    problems += [p for finding in findings for p in finding.problems]
    return Checked(
        problems,
        [sample.info['img_path'] for sample in samples],
        [finding.digest for finding in findings],
    )


def splits_of(name: str) -> set[str]:
    """Splits that a data set belongs to: 'val.1/test.1' -> val, test."""
    return {part.split('.')[0] for part in name.split('/')}


def find_shared(checked: Mapping[str, Checked]) -> Iterable[Problem]:
    """Find images that are in two splits, as a file or as a copy."""
    for first, second in combinations(checked, 2):
        if splits_of(first) & splits_of(second):
            continue
        a, b = checked[first], checked[second]
        real = {os.path.realpath(path): path for path in a.paths}
        same = {d: p for d, p in zip(a.digests, a.paths, strict=True) if d}
        for path, digest in zip(b.paths, b.digests, strict=True):
            if os.path.realpath(path) in real:
                text = f"'{path}' is in {first} and {second}"
                yield 'same file in two splits', text
            elif digest in same:
                text = f"{first} '{same[digest]}' = {second} '{path}'"
                yield 'same content in two splits', text


def report(problems: Mapping[str, list[Problem]], path: Path | None) -> int:
    """Print how many problems there are, and some; returns their number."""
    lines = []
    total = 0
    for name, found in problems.items():
        for kind in KINDS:
            texts = [text for k, text in found if k == kind]
            if not texts:
                continue
            total += len(texts)
            print(f'{name}: {kind}: {len(texts)}')
            for text in texts[:_SHOWN]:
                print(f'  {text}')
            if len(texts) > _SHOWN:
                print(f'  ... and {len(texts) - _SHOWN} more')
            lines += [f'{name}: {kind}: {text}\n' for text in texts]
    if path is not None:
        with atomic_write(path) as file:
            file.writelines(line.encode() for line in lines)
        print(f'{path}: all problems')
    print(f'problems: {total}')
    return total


def main() -> None:
    """Check the data sets; the exit status tells."""
    args = parse_args()
    try:
        configs = dataset_configs(args.config, args.split)
    except (OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    checked = {
        name: check_dataset(name, config, args)
        for name, config in configs.items()
    }
    for name, data in checked.items():
        print(f'{name}: {len(data.paths)} samples')
    problems = {name: data.problems for name, data in checked.items()}
    problems['between splits'] = list(find_shared(checked))
    raise SystemExit(int(report(problems, args.list) > 0))


if __name__ == '__main__':
    main()
