"""NYUD2 for detection: images, HHA, COCO annotations, proposals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.images import write_png
from mmxdistill.converters.runs import RunOptions, convert_items
from mmxdistill.datasets.proposal_file import write_proposals
from mmxdistill.encodings import encode_hha
from mmxdistill.text_files import read_json

from .authors import AuthorsFolder, read_mcg_boxes
from .classes import CLASSES, NUM_FRAMES, SPLITS, image_stem
from .coco import coco_annotations
from .labeled import LabeledFile

__all__ = ['convert_detection']

RECORDS = '.records'
DESCRIPTION = (
    'NYU Depth v2, 19 classes. The last column and row of a box belong to '
    'its object'
)
LABELED = 'nyu_depth_v2_labeled.mat'
MCG = 'nyud2_mcg_boxes.mat'


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


def read_record(file: Path) -> dict[str, Any]:
    """Read what :func:`make_record` has made."""
    try:
        content = read_json(file)
    except ValueError as error:
        content = str(error)
    if not isinstance(content, dict) or 'source' not in content:
        raise ValueError(
            f"'{file}' is damaged: delete it, and the frame is converted again"
        )
    return content


def check_same_source(frames: list[Frame]) -> None:
    """Refuse to mix two sources in one folder."""
    record = next((f.record for f in frames if f.record.is_file()), None)
    if record is None:
        return
    found = read_record(record)['source']
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
    records = [read_record(frame.record) for frame in frames]
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


def convert_detection(
    path: Path,
    out: Path,
    run: RunOptions,
    mcg: Path | None = None,
    hha: bool = True,
) -> int:
    """Convert the data set.

    Args:
        path (Path): ``nyu_depth_v2_labeled.mat``, or the authors' folder.
        out (Path): Output folder.
        run (RunOptions): How much of it to do.
        mcg (Path, optional): The authors' proposals. Defaults to those beside
            ``path`` or in it, if any.
        hha (bool): Encode the depth of the labelled file.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is another one, damaged, or does not fit.
    """
    source = find_source(path)
    splits = SPLITS if isinstance(source, LabeledFile) else source.splits
    mcg = mcg or find_mcg(path)
    if mcg is not None and not mcg.is_file():
        raise FileNotFoundError(f"--mcg '{mcg}' does not exist")
    by_split = {
        name: [Frame(source, i, out, hha) for i in ids]
        for name, ids in splits.items()
    }
    frames = by_split['trainval'] + by_split['test']
    check_same_source(frames)

    def remove_annotations() -> None:
        """What is there will not be that of these frames."""
        for split in splits:
            (out / f'annotations_{split}.json').unlink(missing_ok=True)

    converted = convert_items(
        convert, frames, Frame.is_done, run, out, 'frames', remove_annotations
    )
    missing = [frame for frame in frames if not frame.is_done()]
    if missing:
        print(
            f'{len(missing)} of {len(frames)} frames are not converted, e.g. '
            f'{", ".join(map(str, missing[:3]))}: the annotation files are '
            'written by the command that finds all'
        )
        return converted.status
    records = {
        name: write_annotations(out, name, by_split[name]) for name in splits
    }
    print_summary(records)
    if mcg is not None:
        images = [r['image'] for n in ('trainval', 'test') for r in records[n]]
        number = write_mcg(mcg, out, images)
        print(f'{number / len(images):.0f} proposals per image')
    return converted.status
