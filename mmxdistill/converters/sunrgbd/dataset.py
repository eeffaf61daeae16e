"""SUN RGB-D: images, depth, HHA, pair lists, COCO annotations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.images import read_image, write_png
from mmxdistill.converters.nyud2 import CLASSES
from mmxdistill.converters.products import (
    LEFT_OUT,
    report_left_out,
    write_json,
)
from mmxdistill.converters.runs import RunOptions, convert_items, run_all
from mmxdistill.converters.work_list import check_apart
from mmxdistill.datasets.lists import write_list
from mmxdistill.encodings import encode_hha

from .frames import (
    NYUD2_FOLDER,
    SENSORS,
    SUNRGBDFrame,
    find_root,
    find_sequences,
    read_splits,
)
from .labels import SUNRGBDLabel, annotate, read_boxes, read_polygons

__all__ = ['convert_sunrgbd']

SPLIT_FILE = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'
FOLDERS = ('depth', 'depth_raw', 'hha')
DESCRIPTION = (
    'SUN RGB-D, the 19 classes of NYUD2. The last column and row of a box '
    'belong to its object'
)


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
    comments = [f'left out: {failure}' for failure in failures]
    write_list(path, [f'{frame.name}.jpg' for frame in frames], comments)
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


def convert_sunrgbd(
    source: Path,
    out: Path,
    run: RunOptions,
    split_file: Path | None = None,
    box_file: Path | None = None,
) -> int:
    """Convert the data set.

    Args:
        source (Path): Folder into which SUNRGBD.zip was unpacked.
        out (Path): Output folder.
        run (RunOptions): How much of it to do.
        split_file (Path, optional): ``allsplit.mat``. Defaults to that of the
            toolbox below ``source``.
        box_file (Path, optional): ``SUNRGBDMeta2DBB_v2.mat`` or the like.
            Defaults to the outlines of the frames.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is another one, damaged, or does not fit.
    """
    root = find_root(source)
    check_apart(root, out)
    split_file = split_file or source / SPLIT_FILE
    if not split_file.is_file():
        raise FileNotFoundError(
            f"'{split_file}' does not exist: give --splits FILE, the "
            'allsplit.mat of SUNRGBDtoolbox.zip'
        )
    splits = read_splits(split_file)
    boxes = None if box_file is None else read_boxes(box_file)
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
        (out / product).unlink(missing_ok=True)
    writer = Writer(out)
    converted = convert_items(
        writer, frames, writer.is_done, run, out, 'frames'
    )
    if converted.lacking('frames', 'the lists and annotations are'):
        return converted.status
    complete = set(converted.complete)
    by_split = {
        name: [frame for frame in by_split[name] if frame in complete]
        for name in ('train', 'test')
    }
    write_products(out, run.jobs, by_split, boxes, converted.failures)
    return converted.status


def write_products(
    out: Path,
    jobs: int,
    by_split: dict[str, list[SUNRGBDFrame]],
    boxes: dict[str, list[SUNRGBDLabel]] | None,
    failures: list[str],
) -> None:
    """Write lists and annotations of the frames that were written."""
    records = {}
    work = partial(make_record, writer=Writer(out), boxes=boxes)
    for name, frames in by_split.items():
        found, broken = run_all(work, frames, jobs, f'labels {name}')
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
        write_pairs(out / f'pairs_{name}.txt', frames, failures)
    for name, items in records.items():
        write_annotations(out / f'annotations_{name}.json', items)
    print_counts(records)
    report_others(out, flat, failures)
