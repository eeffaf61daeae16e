r"""Report how many objects the proposals of a data set cover.

    python tools/analysis_tools/proposal_recall.py CONFIG --split train test \
        --proposals RGB=rgb.pkl union=union.pkl --plot recall.png

Prints tables of the recall in percent against the number of proposals per
image, for all objects and per class.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / 'tools/dataset_converters')]

from mmengine.dataset import BaseDataset
from mmengine.fileio import load
from mmengine.registry import init_default_scope

from mmxdistill.converters.work_list import run_all
from mmxdistill.datasets.configured import (
    SPLITS,
    build_dataset,
    dataset_configs,
    find_proposal_file,
)
from mmxdistill.datasets.proposals import (
    proposal_boxes,
    proposal_key,
    read_proposals,
)
from mmxdistill.evaluation.proposal_recall import (
    IOU_THRS,
    ProposalRecall,
    plot_recall,
)

_IMAGES_PER_TASK = 16


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source',
        type=Path,
        metavar='SOURCE',
        help='a config (.py), or a COCO annotation file (.json)',
    )
    parser.add_argument(
        '--split',
        nargs='+',
        choices=SPLITS,
        default=['test'],
        help='of a config: whose objects (default: test)',
    )
    parser.add_argument(
        '--proposals',
        nargs='+',
        metavar='[NAME=]FILE',
        help='proposal files to compare (default: that of the data set)',
    )
    parser.add_argument(
        '--plot', type=Path, metavar='FILE.png', help='draw the recall'
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=os.cpu_count() or 1,
        help='processes (default: one per CPU)',
    )
    args = parser.parse_args()
    if args.source.suffix not in ('.py', '.json'):
        parser.error(f'{args.source} is neither a config (.py) nor a .json')
    if args.source.suffix == '.json' and not args.proposals:
        parser.error('an annotation file needs --proposals')
    if args.jobs < 1:
        parser.error('--jobs must be at least 1')
    return args


def read_sources(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Configs of the data sets to look at."""
    if args.source.suffix == '.py':
        return list(dataset_configs(args.source, args.split).values())
    init_default_scope('mmdet')
    content = load(str(args.source))
    if not isinstance(content, dict) or 'categories' not in content:
        raise ValueError(f"'{args.source}' is no COCO annotation file")
    classes = tuple(item['name'] for item in content['categories'])
    config = dict(
        type='CocoDataset',
        ann_file=str(args.source),
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        test_mode=True,
    )
    return [config]


def read_files(
    args: argparse.Namespace, configs: list[dict[str, Any]]
) -> dict[str, list[str]]:
    """Proposal files to compare: name -> file of each data set."""
    if not args.proposals:
        files = [find_proposal_file(config) for config in configs]
        if None in files:
            raise ValueError(
                f"a data set of '{args.source}' has no proposal_file: give "
                '--proposals'
            )
        return {'proposals': [file for file in files if file]}
    named = {}
    for text in args.proposals:
        name, equals, file = text.partition('=')
        if not equals:
            name, file = Path(text).stem, text
        if name in named:
            raise ValueError(
                f"two of --proposals are called '{name}': write NAME=FILE"
            )
        named[name] = [file] * len(configs)
    return named


@dataclass(frozen=True)
class Scene:
    """An image with objects.

    Attributes:
        path: Of the image.
        boxes: (g, 4), xyxy in pixels.
        labels: (g,).
    """

    path: str
    boxes: np.ndarray
    labels: np.ndarray


def read_scenes(dataset: BaseDataset) -> list[Scene]:
    """List the images of a data set that have objects."""
    scenes = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        objects = [i for i in info['instances'] if not i.get('ignore_flag')]
        if objects:
            boxes = np.array([item['bbox'] for item in objects], np.float32)
            labels = np.array([item['bbox_label'] for item in objects])
            scenes.append(Scene(info['img_path'], boxes, labels))
    return scenes


def find_boxes(
    file: str, scenes: list[Scene], by_name: bool
) -> list[np.ndarray]:
    """Proposals of each scene.

    Args:
        file (str): The proposal file.
        scenes (list[Scene]): The scenes.
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
class Task:
    """Images of which a process counts the objects found."""

    classes: tuple[str, ...]
    scenes: list[Scene]
    boxes: list[np.ndarray]


def count(task: Task) -> ProposalRecall:
    """Count the objects found in some images."""
    recall = ProposalRecall(task.classes)
    for scene, boxes in zip(task.scenes, task.boxes, strict=True):
        recall.add(scene.boxes, scene.labels, boxes)
    return recall


def measure(
    name: str,
    datasets: list[BaseDataset],
    files: list[str],
    by_name: bool,
    jobs: int,
) -> ProposalRecall:
    """Measure the recall of one or several data sets together."""
    classes = tuple(datasets[0].metainfo['classes'])
    tasks = []
    for dataset, file in zip(datasets, files, strict=True):
        if tuple(dataset.metainfo['classes']) != classes:
            raise ValueError('the data sets have different classes')
        scenes = read_scenes(dataset)
        boxes = find_boxes(file, scenes, by_name)
        tasks += [
            Task(classes, scenes[i:j], boxes[i:j])
            for i in range(0, len(scenes), _IMAGES_PER_TASK)
            for j in [i + _IMAGES_PER_TASK]
        ]
    if not tasks:
        raise ValueError(
            'no image has an object: a data set without boxes (for the '
            'transfer) has no recall'
        )
    done, failures = run_all(count, tasks, jobs, name)
    if failures:
        raise ValueError(failures[0])
    recall = ProposalRecall(classes)
    for _, part in done:
        recall.merge(part)
    return recall


def draw(recalls: dict[str, ProposalRecall], path: Path) -> None:
    """Draw the recall of all proposal files; of a single one, per class."""
    figure = Figure(figsize=(5 * len(IOU_THRS), 4), layout='constrained')
    for axes, iou_thr in zip(
        figure.subplots(1, len(IOU_THRS)), IOU_THRS, strict=True
    ):
        plot_recall(axes, recalls, iou_thr, classes=len(recalls) == 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def run(args: argparse.Namespace) -> None:
    """Print the tables and draw the plot."""
    configs = read_sources(args)
    files = read_files(args, configs)
    datasets = [build_dataset(config) for config in configs]
    by_name = args.source.suffix == '.json'
    recalls = {
        name: measure(name, datasets, paths, by_name, args.jobs)
        for name, paths in files.items()
    }
    for name, recall in recalls.items():
        print(
            f'\n{name}: {recall.total[0]} objects in {recall.num_images} '
            f'images, {recall.num_proposals / recall.num_images:.0f} '
            'proposals per image; recall in percent of the best n\n'
        )
        print('\n\n'.join(recall.format(iou_thr) for iou_thr in IOU_THRS))
    if args.plot:
        draw(recalls, args.plot)


def main() -> None:
    """Report the recall, or say what is wrong."""
    args = parse_args()
    try:
        run(args)
    except (KeyError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None


if __name__ == '__main__':
    main()
