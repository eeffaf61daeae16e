"""MOTChallenge sequences as flow images and COCO annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmxdistill.converters.clips import Clip
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.frame_folders import link, write_all_flow
from mmxdistill.converters.mot import (
    CLASSES,
    LABEL_FILES,
    MOTSequence,
    read_sequence,
)
from mmxdistill.converters.products import (
    LEFT_OUT,
    report_left_out,
    write_json,
)
from mmxdistill.converters.runs import RunOptions
from mmxdistill.converters.work_list import check_apart

__all__ = ['convert_mot']

DESCRIPTION = 'MOTChallenge sequences {}, boxes of {}'


def convert_mot(
    source: Path,
    out: Path,
    test: Sequence[str],
    method: str,
    run: RunOptions,
    boxes: str = 'gt',
) -> int:
    """Convert sequences.

    Args:
        source (Path): Folder of the sequences.
        out (Path): Output folder.
        test (Sequence[str]): Those for testing.
        method (str): How the flow is computed.
        run (RunOptions): How much of it to do.
        boxes (str): ``gt`` for labels, ``det`` for detections.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: A part is damaged, or does not fit.
    """
    check_apart(source, out)
    sequences = find_sequences(source, test, boxes)
    products = {
        subset: out / f'annotations_{subset}.json'
        for subset in ('train', 'test')
    }
    for product in [*products.values(), out / LEFT_OUT]:
        product.unlink(missing_ok=True)
    clips = []
    for sequence in sequences:
        frames = sequence.frames
        for path in frames:
            link(out / 'frames' / sequence.name / path.name, path)
        clips.append(Clip(Path(sequence.name), None, frames))
    status, incomplete = write_all_flow(clips, out, method, run)
    if incomplete:
        print(
            f'the flow of {len(incomplete)} of {len(clips)} sequences is not '
            f'complete, e.g. of {incomplete[0]}: the annotations are written '
            'by the command that finds all'
        )
        return status
    records: dict[str, list[dict[str, Any]]] = dict(train=[], test=[])
    next_id = 1
    for sequence in sequences:
        subset = 'test' if sequence.name in test else 'train'
        records[subset] += make_records(sequence, next_id)
        next_id += len(sequence.frames)
    for subset, path in products.items():
        names = sorted({record['video'] for record in records[subset]})
        text = DESCRIPTION.format(', '.join(names), LABEL_FILES[boxes])
        write_json(path, coco_file(records[subset], CLASSES, text))
    for sequence in sequences:
        for what, count in sequence.counts.items():
            print(f'{sequence.name}: {count} boxes {what}')
    skipped = [text for sequence in sequences for text in sequence.skipped]
    report_left_out(out, {'boxes left out': skipped})
    return status


def find_sequences(
    source: Path, test: Sequence[str], boxes: str
) -> list[MOTSequence]:
    """Read all sequences of the source.

    Raises:
        ValueError: There are none, or a test sequence is not there.
    """
    if not source.is_dir():
        raise FileNotFoundError(f"'{source}' is no folder")
    folders = sorted(
        path for path in source.iterdir() if (path / 'img1').is_dir()
    )
    names = [folder.name for folder in folders]
    unknown = sorted(set(test) - set(names))
    if unknown or not set(names) - set(test):
        raise ValueError(
            f"'{source}' holds the sequences {names} (folders with "
            f'img1); --test has {unknown or test}: name some of them, '
            'and leave some to train on'
        )
    return [read_sequence(folder, boxes) for folder in folders]


def make_records(sequence: MOTSequence, first_id: int) -> list[dict[str, Any]]:
    """COCO records of a sequence.

    Args:
        sequence (MOTSequence): The sequence.
        first_id (int): Number of its first frame.

    Returns:
        list[dict]: Records with ``annotations``; boxes to ignore are crowds.
    """
    height, width = sequence.size
    frames = zip(sequence.frames, sequence.boxes, strict=True)
    return [
        dict(
            id=first_id + index,
            file_name=f'{sequence.name}/{path.name}',
            width=width,
            height=height,
            video=sequence.name,
            annotations=[
                dict(
                    category_id=1,
                    bbox=[x1, y1, x2 - x1, y2 - y1],
                    area=(x2 - x1) * (y2 - y1),
                    iscrowd=int(box.ignored),
                    track=box.track,
                    score=box.score,
                )
                for box in boxes
                for x1, y1, x2, y2 in [box.box]
            ],
        )
        for index, (path, boxes) in enumerate(frames)
    ]
