"""Convert SUN RGB-D: images, depth, HHA, pair lists, COCO annotations."""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.images import read_image
from mmxdistill.converters.nyud2 import CLASSES
from mmxdistill.converters.products import (
    LEFT_OUT,
    report_left_out,
    write_json,
    write_lines,
)
from mmxdistill.converters.sunrgbd import (
    NYUD2_FOLDER,
    SENSORS,
    SUNRGBDFrame,
    SUNRGBDLabel,
    annotate,
    find_root,
    find_sequences,
    read_boxes,
    read_polygons,
    read_splits,
)
from mmxdistill.converters.work_list import (
    add_arguments,
    check_apart,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.encodings import encode_hha

SPLIT_FILE = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'
FOLDERS = ('depth', 'depth_raw', 'hha')
DESCRIPTION = (
    'SUN RGB-D, the 19 classes of NYUD2. The last column and row of a box '
    'belong to its object'
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write images, depth, HHA, lists of pairs and COCO '
        'annotations of the 19 NYUD2 classes from SUN RGB-D. Interrupted, '
        'the same command goes on.'
    )
    add_arguments(
        parser, 'folder into which SUNRGBD.zip was unpacked', lists=False
    )
    parser.add_argument(
        '--splits',
        type=Path,
        metavar='FILE',
        help=f'allsplit.mat (default: SOURCE/{SPLIT_FILE})',
    )
    parser.add_argument(
        '--boxes',
        type=Path,
        metavar='FILE',
        help='SUNRGBDMeta2DBB_v2.mat or SUNRGBDMeta.mat: take its boxes '
        '(default: the outlines of annotation2Dfinal, boxes and masks)',
    )
    return parser.parse_args()


class Writer:
    """Writes the images of a frame.

    Args:
        out (Path): Output folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def image(self, frame: SUNRGBDFrame) -> Path:
        """Place of the colour image."""
        return self.out / 'images' / f'{frame.name}.jpg'

    def others(self, frame: SUNRGBDFrame) -> list[Path]:
        """Places of the other images."""
        return [self.out / name / f'{frame.name}.png' for name in FOLDERS]

    def is_done(self, frame: SUNRGBDFrame) -> bool:
        """Whether all images are there; each is complete if it is."""
        places = [self.image(frame), *self.others(frame)]
        return all(place.is_file() for place in places)

    def __call__(self, frame: SUNRGBDFrame) -> None:
        """Read and encode a frame."""
        found = frame.read()
        hha = encode_hha(
            found.depth, found.camera, found.raw_depth, gravity=found.gravity
        )
        images = (found.depth, found.raw_depth, hha)
        for place, image in zip(self.others(frame), images, strict=True):
            write_png(place, image)
        with atomic_write(self.image(frame)) as file:
            file.write(found.color.read_bytes())


@dataclass
class Record:
    """Labels of a frame, and what the report needs.

    Attributes:
        image: COCO record with ``annotations``, None without labels.
        skipped: A message per label of a wanted class that is left out.
        others: Number of labels with each of the other names.
        tilted: Whether the frame's tilt is known.
    """

    image: dict[str, Any] | None
    skipped: list[str] = field(default_factory=list)
    others: Counter = field(default_factory=Counter)
    tilted: bool = True


def make_record(
    frame: SUNRGBDFrame,
    writer: Writer,
    boxes: dict[str, list[SUNRGBDLabel]] | None,
) -> Record:
    """Read the labels of a frame that has been written."""
    tilted = any((frame.folder / 'extrinsics').glob('*.txt'))
    if boxes is not None:
        if frame.sequence not in boxes:
            return Record(None, [f'{frame}: no labels'], tilted=tilted)
        labels = boxes[frame.sequence]
    else:
        try:
            labels = read_polygons(frame.polygons)
        except (OSError, ValueError) as error:
            return Record(None, [f'{frame}: {error}'], tilted=tilted)
    height, width = read_image(writer.image(frame)).shape[:2]
    annotations, skipped, others = annotate(labels, height, width)
    record = dict(
        id=frame.image_id,
        file_name=writer.image(frame).name,
        width=width,
        height=height,
        sensor=frame.sensor,
        sequence=frame.sequence,
        annotations=annotations,
    )
    messages = [f'{frame}: {text}' for text in skipped]
    return Record(record, messages, others, tilted)


def find_frames(
    root: Path, splits: dict[str, list[str]]
) -> dict[str, list[SUNRGBDFrame]]:
    """List the frames of the sensors that are there, by split."""
    there = [name for name in SENSORS if (root / name).is_dir()]
    numbered = enumerate(splits['test'] + splits['train'], 1)
    numbers = {sequence: number for number, sequence in numbered}
    frames = {
        name: [
            SUNRGBDFrame(root, sequence, numbers[sequence])
            for sequence in sequences
            if sequence.split('/')[0] in there
        ]
        for name, sequences in splits.items()
    }
    for sensor in SENSORS:
        if sensor not in there:
            print(f'{sensor}: no such folder, its frames are left out')
    unknown = sorted(find_sequences(root) - set(numbers))
    if unknown:
        print(
            f'{len(unknown)} frames of no split are left out, e.g. '
            f'{", ".join(unknown[:3])}'
        )
    return frames


def write_pairs(
    path: Path, frames: list[SUNRGBDFrame], failures: list[str]
) -> None:
    """Write a list of pairs."""
    comments = [f'# left out: {failure}' for failure in failures]
    write_lines(path, [*comments, *(f'{f.name}.jpg' for f in frames)])
    print(f'{path}: {len(frames)} pairs')


def write_annotations(path: Path, records: list[Record]) -> None:
    """Write an annotation file if there are labels."""
    images = [record.image for record in records if record.image is not None]
    if images:
        write_json(path, coco_file(images, CLASSES, DESCRIPTION))
    else:
        print(f'{path} is not written: there are no labels')


def print_counts(records: dict[str, list[Record]]) -> None:
    """Print the number of objects of every class."""
    print(f'{"":12}' + ''.join(f'{name:>8}' for name in records))
    counts = [
        Counter(
            annotation['category_id']
            for record in items
            if record.image is not None
            for annotation in record.image['annotations']
        )
        for items in records.values()
    ]
    for number, label in enumerate(CLASSES, 1):
        row = ''.join(f'{count[number]:8}' for count in counts)
        print(f'{label:12}{row}')


def report_others(
    out: Path, records: list[Record], failures: list[str]
) -> None:
    """Report what was left out and estimated."""
    others = sum((record.others for record in records), Counter())
    report_left_out(
        out,
        {
            'frames failed': failures,
            'frames without readable labels, in no annotations': [
                text for r in records if r.image is None for text in r.skipped
            ],
            'objects of wanted classes left out': [
                text for r in records if r.image for text in r.skipped
            ],
            f'other names, of {sum(others.values())} objects': [
                f'{name}: {count}' for name, count in others.most_common()
            ],
        },
    )
    estimated = sum(not record.tilted for record in records)
    if estimated:
        print(f'{estimated} frames without tilt: gravity was estimated')


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    root = find_root(args.source)
    check_apart(root, args.out)
    split_file = args.splits or args.source / SPLIT_FILE
    if not split_file.is_file():
        raise FileNotFoundError(
            f"'{split_file}' does not exist: give --splits FILE, the "
            'allsplit.mat of SUNRGBDtoolbox.zip'
        )
    splits = read_splits(split_file)
    boxes = None if args.boxes is None else read_boxes(args.boxes)
    by_split = find_frames(root, splits)
    frames = by_split['train'] + by_split['test']
    if not frames:
        raise ValueError(f"'{split_file}' has no frame of the sensors there")
    products = [
        *(f'pairs_{name}.txt' for name in ('train', 'test', 'not_nyud2')),
        *(f'annotations_{name}.json' for name in by_split),
        LEFT_OUT,
    ]
    for product in products:  # they are not those of this run
        (args.out / product).unlink(missing_ok=True)
    writer = Writer(args.out)
    mine = take_shard(frames, args.shard)
    todo = [f for f in mine if args.overwrite or not writer.is_done(f)]
    done, failures = run_all(writer, todo, args.jobs, 'frames')
    status = report(args.out, len(done), len(mine) - len(todo), failures)
    failed = set(todo) - {frame for frame, _ in done}
    complete = {f for f in frames if f not in failed and writer.is_done(f)}
    untried = len(frames) - len(complete) - len(failed)
    if untried:
        print(
            f'{untried} of {len(frames)} frames are left to other shards: '
            'the lists and annotations are written by the command that finds '
            'all'
        )
        return status
    by_split = {
        name: [frame for frame in by_split[name] if frame in complete]
        for name in ('train', 'test')
    }
    write_products(args, by_split, boxes, failures)
    return status


def write_products(
    args: argparse.Namespace,
    by_split: dict[str, list[SUNRGBDFrame]],
    boxes: dict[str, list[SUNRGBDLabel]] | None,
    failures: list[str],
) -> None:
    """Write lists and annotations of the frames that were written."""
    records = {}
    work = partial(make_record, writer=Writer(args.out), boxes=boxes)
    for name, frames in by_split.items():
        found, broken = run_all(work, frames, args.jobs, f'labels {name}')
        if broken:
            raise ValueError('; '.join(broken))
        records[name] = [record for _, record in found]
    flat = [record for items in records.values() for record in items]
    labelled = [record.image for record in flat if record.image is not None]
    if labelled and not any(image['annotations'] for image in labelled):
        raise ValueError(
            f'no object of the {len(CLASSES)} classes in the labels of '
            f'{len(labelled)} frames: they are not those of SUN RGB-D'
        )
    others = [
        frame
        for frames in by_split.values()
        for frame in frames
        if not frame.sequence.startswith(f'{NYUD2_FOLDER}/')
    ]
    for name, frames in dict(by_split, not_nyud2=others).items():
        write_pairs(args.out / f'pairs_{name}.txt', frames, failures)
    for name, items in records.items():
        write_annotations(args.out / f'annotations_{name}.json', items)
    print_counts(records)
    report_others(args.out, flat, failures)


def main() -> None:
    """Convert, or say what is wrong."""
    args = parse_args()
    try:
        status = run(args)
    except (ImportError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    raise SystemExit(status)


if __name__ == '__main__':
    main()
