"""Convert NYUD2 for detection: images, HHA, COCO annotations, proposals."""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.nyud2 import (
    CLASSES,
    NUM_FRAMES,
    SPLITS,
    AuthorsFolder,
    LabeledFile,
    coco_annotations,
    image_stem,
    read_mcg_boxes,
)
from mmxdistill.converters.work_list import (
    add_arguments,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.datasets.proposal_file import write_proposals
from mmxdistill.encodings import encode_hha

RECORDS = '.records'
DESCRIPTION = (
    'NYU Depth v2, 19 classes. The last column and row of a box belong to '
    'its object'
)
LABELED = 'nyu_depth_v2_labeled.mat'
MCG = 'nyud2_mcg_boxes.mat'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write images, HHA, COCO annotations with masks and '
        'proposals of NYUD2. Interrupted, the same command goes on.'
    )
    add_arguments(
        parser,
        f"{LABELED}, or the folder of the authors' data (with nyud2/data and "
        'nyud2/benchmarkData)',
        lists=False,
    )
    parser.add_argument(
        '--mcg',
        type=Path,
        metavar='FILE',
        help=f'{MCG}: the proposals are written, too (default: the one '
        'beside SOURCE or in it, if any)',
    )
    parser.add_argument(
        '--hha',
        action=argparse.BooleanOptionalAction,
        default=True,
        help=f'encode the depth of {LABELED} (default: yes)',
    )
    return parser.parse_args()


@dataclass(frozen=True)
class Frame:
    """A frame to convert."""

    source: LabeledFile | AuthorsFolder
    image_id: int
    out: Path
    hha: bool

    def __str__(self) -> str:
        """How messages name the frame."""
        return image_stem(self.image_id)

    @property
    def record(self) -> Path:
        """What is known of the frame; written when its images are."""
        return self.out / RECORDS / f'{self}.json'

    def image(self, folder: str) -> Path:
        """Place of one of its images."""
        return self.out / folder / f'{self}.png'

    def folders(self) -> list[str]:
        """Kinds of images that are written."""
        if isinstance(self.source, AuthorsFolder):
            return ['images', 'hha']
        return ['images', 'depth', 'depth_raw', *['hha'] * self.hha]

    def is_done(self) -> bool:
        """Whether the frame is complete."""
        images = [self.image(folder) for folder in self.folders()]
        return all(path.is_file() for path in [self.record, *images])


def convert(frame: Frame) -> None:
    """Write the images of a frame, then its record."""
    if isinstance(frame.source, AuthorsFolder):
        record = convert_authors(frame, frame.source)
    else:
        record = convert_labeled(frame, frame.source)
    with atomic_write(frame.record) as file:
        file.write(json.dumps(record).encode())


def convert_labeled(frame: Frame, source: LabeledFile) -> dict[str, Any]:
    """Write the images of a frame of the official file."""
    data = source.read(frame.image_id)
    images = dict(
        images=data.image, depth=data.depth, depth_raw=data.depth_raw
    )
    if frame.hha:
        images['hha'] = encode_hha(data.depth, 'nyud2_cropped', data.depth_raw)
    for folder, image in images.items():
        write_png(frame.image(folder), image)
    size = data.image.shape[:2]
    return make_record(frame, size, data.objects, 0, scene=data.scene)


def convert_authors(frame: Frame, source: AuthorsFolder) -> dict[str, Any]:
    """Link to the images of a frame of the authors."""
    data = source.read(frame.image_id)
    for folder, path in dict(images=data.image, hha=data.hha).items():
        link = frame.image(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    return make_record(frame, data.size, data.objects, data.others)


def make_record(
    frame: Frame,
    size: tuple[int, ...],
    objects: Any,
    others: int,
    **fields: str,
) -> dict[str, Any]:
    """What the annotation files and the report need of a frame."""
    height, width = size
    annotations, skipped = coco_annotations(objects, height, width)
    image = dict(
        id=frame.image_id,
        file_name=f'{frame}.png',
        width=width,
        height=height,
        **fields,
        annotations=annotations,
    )
    return dict(
        source=type(frame.source).__name__,
        image=image,
        others=others,
        skipped=[f'{frame}: {text}' for text in skipped],
    )


def find_source(path: Path) -> LabeledFile | AuthorsFolder:
    """Tell the official file from the authors' folder."""
    if path.is_dir() and not (path / LABELED).is_file():
        return AuthorsFolder(path)
    if path.suffix in ('.tgz', '.gz', '.zip', '.tar'):
        raise ValueError(f"'{path}' is an archive: unpack it first")
    source = LabeledFile(path / LABELED if path.is_dir() else path)
    if len(source) != NUM_FRAMES:
        raise ValueError(
            f"'{source.path}' holds {len(source)} frames, but the data set "
            f'{NUM_FRAMES}: it is incomplete'
        )
    return source


def find_mcg(path: Path) -> Path | None:
    """The proposals beside the source or in it."""
    places = [path / MCG, path.parent / MCG]
    return next(filter(Path.is_file, places), None)


def check_same_source(frames: list[Frame]) -> None:
    """Refuse to mix two sources in one folder."""
    record = next((f.record for f in frames if f.record.is_file()), None)
    if record is None:
        return
    found = json.loads(record.read_text())['source']
    wanted = type(frames[0].source).__name__
    if found != wanted:
        raise ValueError(
            f"'{frames[0].out}' was begun with the data of a {found}, this "
            f'is a {wanted}: choose another folder'
        )


def write_annotations(
    out: Path, name: str, frames: list[Frame]
) -> list[dict[str, Any]]:
    """Write the annotation file of a split; returns its records."""
    records = [json.loads(frame.record.read_text()) for frame in frames]
    images = [record['image'] for record in records]
    if not any(image['annotations'] for image in images):
        raise ValueError(
            f'no object of the {len(CLASSES)} classes in split {name}: the '
            'label files are not those of NYUD2'
        )
    content = coco_file(images, CLASSES, DESCRIPTION)
    with atomic_write(out / f'annotations_{name}.json') as file:
        file.write(json.dumps(content).encode())
    return records


def write_mcg(path: Path, out: Path, images: list[dict]) -> int:
    """Write the proposals of all images; returns their number."""
    boxes = read_mcg_boxes(path)
    proposals = {}
    missing = []
    for image in images:
        stem = Path(image['file_name']).stem
        if stem not in boxes:
            missing.append(stem)
            continue
        found = boxes[stem]['bboxes']
        limit = np.tile([image['width'] - 1, image['height'] - 1], 2)
        outside = int((found > limit).any(axis=1).sum())
        if outside:
            raise ValueError(
                f"'{path}': {outside} boxes of {stem} leave the "
                f'{image["width"]}x{image["height"]} image: the boxes are '
                'not those of these images'
            )
        proposals[f'images/{image["file_name"]}'] = (
            found,
            boxes[stem]['scores'],
        )
    if missing:
        raise ValueError(
            f"'{path}' has no boxes for {len(missing)} of {len(images)} "
            f'images, e.g. {missing[:3]}'
        )
    write_proposals(out / 'proposals.pkl', proposals)
    return sum(len(found) for found, _ in proposals.values())


def print_summary(records: dict[str, list[dict[str, Any]]]) -> None:
    """Print the number of objects, and every one that was left out."""
    splits = [name for name in records if name != 'trainval']
    print(f'{"":12}' + ''.join(f'{name:>8}' for name in splits))
    images = [len(records[name]) for name in splits]
    print(f'{"images":12}' + ''.join(f'{number:8}' for number in images))
    counts = [
        Counter(
            annotation['category_id']
            for record in records[name]
            for annotation in record['image']['annotations']
        )
        for name in splits
    ]
    for number, label in enumerate(CLASSES, 1):
        row = ''.join(f'{count[number]:8}' for count in counts)
        print(f'{label:12}{row}')
    flat = [record for name in splits for record in records[name]]
    others = sum(record['others'] for record in flat)
    if others:
        print(f'{others} objects of other classes')
    skipped = [text for record in flat for text in record['skipped']]
    print(f'{len(skipped)} objects left out')
    for text in skipped:
        print(f'  {text}')


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    source = find_source(args.source)
    labeled = isinstance(source, LabeledFile)
    splits = SPLITS if labeled else source.splits
    mcg = args.mcg or find_mcg(args.source)
    if mcg is not None and not mcg.is_file():
        raise FileNotFoundError(f"--mcg '{mcg}' does not exist")
    by_split = {
        name: [Frame(source, i, args.out, args.hha) for i in ids]
        for name, ids in splits.items()
    }
    frames = by_split['trainval'] + by_split['test']
    check_same_source(frames)
    mine = take_shard(frames, args.shard)
    todo = [f for f in mine if args.overwrite or not f.is_done()]
    if todo:  # what is there will not be that of these frames
        for name in [f'annotations_{split}.json' for split in splits]:
            (args.out / name).unlink(missing_ok=True)
    done, failures = run_all(convert, todo, args.jobs, 'frames')
    status = report(args.out, len(done), len(mine) - len(todo), failures)
    missing = [frame for frame in frames if not frame.is_done()]
    if missing:
        print(
            f'{len(missing)} of {len(frames)} frames are not converted, e.g. '
            f'{", ".join(map(str, missing[:3]))}: the annotation files are '
            'written by the command that finds all'
        )
        return status
    records = {
        name: write_annotations(args.out, name, by_split[name])
        for name in splits
    }
    print_summary(records)
    if mcg is not None:
        images = [r['image'] for n in ('trainval', 'test') for r in records[n]]
        number = write_mcg(mcg, args.out, images)
        print(f'{number / len(images):.0f} proposals per image')
    return status


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
