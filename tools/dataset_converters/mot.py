"""Convert MOTChallenge sequences: flow images and COCO annotations."""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from frame_folders import build_parser, link, write_flow

from mmxdistill.converters.clips import Clip
from mmxdistill.converters.coco import coco_file
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
from mmxdistill.converters.work_list import check_apart

DESCRIPTION = 'MOTChallenge sequences {}, boxes of {}'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = build_parser(
        'Write the flow images of MOTChallenge sequences and COCO '
        'annotations of persons. Interrupted, the same command goes on.',
        'folder of sequences (each with img1 and gt/gt.txt)',
    )
    parser.add_argument(
        '--test',
        nargs='+',
        required=True,
        metavar='SEQUENCE',
        help='sequences of annotations_test.json; the others make '
        'annotations_train.json',
    )
    parser.add_argument(
        '--boxes',
        choices=LABEL_FILES,
        default='gt',
        help='labels, or the detections that come with the sequences '
        '(default: %(default)s)',
    )
    return parser.parse_args()


def find_sequences(args: argparse.Namespace) -> list[MOTSequence]:
    """Read all sequences of the source.

    Raises:
        ValueError: There are none, or a test sequence is not there.
    """
    if not args.source.is_dir():
        raise FileNotFoundError(f"'{args.source}' is no folder")
    folders = sorted(
        path for path in args.source.iterdir() if (path / 'img1').is_dir()
    )
    names = [folder.name for folder in folders]
    unknown = sorted(set(args.test) - set(names))
    if unknown or not set(names) - set(args.test):
        raise ValueError(
            f"'{args.source}' holds the sequences {names} (folders with "
            f'img1); --test has {unknown or args.test}: name some of them, '
            'and leave some to train on'
        )
    return [read_sequence(folder, args.boxes) for folder in folders]


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


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    check_apart(args.source, args.out)
    sequences = find_sequences(args)
    products = {
        subset: args.out / f'annotations_{subset}.json'
        for subset in ('train', 'test')
    }
    for product in [*products.values(), args.out / LEFT_OUT]:
        product.unlink(missing_ok=True)
    clips = []
    for sequence in sequences:
        frames = sequence.frames
        for path in frames:
            link(args.out / 'frames' / sequence.name / path.name, path)
        clips.append(Clip(Path(sequence.name), None, frames))
    status, incomplete = write_flow(clips, args)
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
        subset = 'test' if sequence.name in args.test else 'train'
        records[subset] += make_records(sequence, next_id)
        next_id += len(sequence.frames)
    for subset, path in products.items():
        names = sorted({record['video'] for record in records[subset]})
        text = DESCRIPTION.format(', '.join(names), LABEL_FILES[args.boxes])
        write_json(path, coco_file(records[subset], CLASSES, text))
    for sequence in sequences:
        for what, count in sequence.counts.items():
            print(f'{sequence.name}: {count} boxes {what}')
    skipped = [text for sequence in sequences for text in sequence.skipped]
    report_left_out(args.out, {'boxes left out': skipped})
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
