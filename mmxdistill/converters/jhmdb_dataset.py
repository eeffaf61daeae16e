"""JHMDB as flow images and COCO annotations of its splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmxdistill.converters.clips import Clip
from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.frame_folders import link, write_all_flow
from mmxdistill.converters.jhmdb import CLASSES, JHMDBFolder, JHMDBVideo
from mmxdistill.converters.products import (
    LEFT_OUT,
    report_left_out,
    write_json,
)
from mmxdistill.converters.runs import RunOptions, run_all
from mmxdistill.converters.work_list import check_apart

__all__ = ['convert_jhmdb']

DESCRIPTION = (
    'JHMDB, {} of split {}. The last column and row of a box belong to its '
    'actor'
)


def convert_jhmdb(root: Path, out: Path, method: str, run: RunOptions) -> int:
    """Convert the data set.

    Args:
        root (Path): See :class:`JHMDBFolder`.
        out (Path): Output folder.
        method (str): How the flow is computed.
        run (RunOptions): How much of it to do.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: A part is missing.
        ValueError: A part is another one, or damaged.
    """
    source = JHMDBFolder(root)
    check_apart(source.frames, out)
    products = [
        out / f'annotations_{subset}{number}.json'
        for number, split in source.splits.items()
        for subset in split
    ]
    for product in [*products, out / LEFT_OUT]:
        product.unlink(missing_ok=True)
    link(out / 'frames', source.frames)
    found, failures = run_all(source.read, source.videos, run.jobs, 'labels')
    videos = dict(found)
    if not videos:
        raise ValueError(f'no video can be read, e.g. {failures[0]}')
    clips = [
        Clip(Path(name), None, video.frames) for name, video in videos.items()
    ]
    status, incomplete = write_all_flow(clips, out, method, run)
    if incomplete:
        print(
            f'the flow of {len(incomplete)} of {len(clips)} videos is not '
            f'complete, e.g. of {incomplete[0]}: the annotations are written '
            'by the command that finds all'
        )
        return status
    records = {}
    next_id = 1
    for name, video in videos.items():
        records[name] = make_records(video, next_id)
        next_id += len(video.frames)
    for number, split in source.splits.items():
        for subset, names in split.items():
            images = [r for n in sorted(names) for r in records.get(n, [])]
            text = DESCRIPTION.format(subset, number)
            path = out / f'annotations_{subset}{number}.json'
            write_json(path, coco_file(images, CLASSES, text))
    unlabelled = {
        name: len(video.frames) - len(records[name])
        for name, video in videos.items()
    }
    report_left_out(
        out,
        {
            'videos left out': failures,
            f'videos with frames without a box, {sum(unlabelled.values())} '
            'frames': [
                f'{name}: {count} frames'
                for name, count in unlabelled.items()
                if count
            ],
            'frames with boxes left out': [
                text for video in videos.values() for text in video.skipped
            ],
        },
    )
    return status or int(bool(failures))


def make_records(video: JHMDBVideo, first_id: int) -> list[dict[str, Any]]:
    """COCO records of the labelled frames of a video.

    Args:
        video (JHMDBVideo): The video.
        first_id (int): Number of its first frame.

    Returns:
        list[dict]: Records with ``annotations``.
    """
    height, width = video.size
    records = []
    frames = zip(video.frames, video.boxes, strict=True)
    for index, (path, boxes) in enumerate(frames):
        annotations = [
            dict(
                category_id=CLASSES.index(video.action) + 1,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1 + 1) * (y2 - y1 + 1),
                iscrowd=0,
            )
            for x1, y1, x2, y2 in boxes.tolist()
        ]
        if annotations:
            records.append(
                dict(
                    id=first_id + index,
                    file_name=f'{video.name}/{path.name}',
                    width=width,
                    height=height,
                    video=video.name,
                    annotations=annotations,
                )
            )
    return records
