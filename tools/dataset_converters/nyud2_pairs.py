"""Make transfer pairs from the raw videos of NYUD2."""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.kinect import (
    NYUD2_KINECT,
    disparity_to_mm,
    register_depth,
    undistort_color,
)
from mmxdistill.converters.nyud2 import (
    CROP,
    NUM_FRAMES,
    FramePair,
    LabeledFile,
    choose_scenes,
    find_scenes,
    format_frame_list,
    pair_frames,
    read_color,
    read_disparity,
    read_frame_list,
    spread_evenly,
)
from mmxdistill.converters.work_list import (
    add_arguments,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.datasets.transforms import FillDepth
from mmxdistill.encodings import encode_hha


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write aligned colour, depth and HHA images of raw video '
        'frames, and the list of the frames. Interrupted, the same command '
        'goes on.'
    )
    add_arguments(
        parser,
        'folder into which archives of the raw data set were unpacked',
        lists=False,
    )
    parser.add_argument(
        '--labeled',
        type=Path,
        required=True,
        metavar='FILE',
        help='nyu_depth_v2_labeled.mat: it says which videos belong to the '
        'test set, which is never used',
    )
    parser.add_argument(
        '--split',
        required=True,
        help='train or trainval: use the videos of this split',
    )
    parser.add_argument(
        '--per-scene',
        type=int,
        default=40,
        metavar='N',
        help='pairs of each video, evenly spread (default: 40)',
    )
    parser.add_argument(
        '--frames',
        type=Path,
        metavar='LIST',
        help='repeat exactly the pairs of an earlier run: its OUT/SPLIT.txt',
    )
    parser.add_argument(
        '--hha',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='encode the depth (default: yes)',
    )
    args = parser.parse_args()
    if args.per_scene < 1:
        parser.error(f'--per-scene {args.per_scene}: at least 1')
    return args


@dataclass(frozen=True)
class Task:
    """A pair to convert."""

    pair: FramePair
    out: Path
    hha: bool

    def __str__(self) -> str:
        """How messages name the pair."""
        return str(self.pair)

    def image(self, folder: str) -> Path:
        """Place of one of its images."""
        return self.out / folder / f'{self.pair.name}.png'

    def is_done(self) -> bool:
        """Whether all images are there; each is complete if it is."""
        folders = ['images', 'depth', 'depth_raw', *['hha'] * self.hha]
        return all(self.image(folder).is_file() for folder in folders)


def convert(task: Task) -> None:
    """Register, crop, fill and encode a pair."""
    color = undistort_color(read_color(task.pair.color), NYUD2_KINECT)
    distance = disparity_to_mm(read_disparity(task.pair.depth))
    raw = register_depth(distance, NYUD2_KINECT)[CROP]
    if not raw.any():
        raise ValueError(f"'{task.pair.depth}' has no measured pixel")
    depth = FillDepth().transform(dict(img=raw))['img']
    images = dict(images=color[CROP], depth=depth, depth_raw=raw)
    if task.hha:
        images['hha'] = encode_hha(depth, 'nyud2_cropped', raw)
    for folder, image in images.items():
        write_png(task.image(folder), image)


def choose_videos(args: argparse.Namespace) -> dict[str, Path]:
    """Folders of the videos that may be used."""
    labeled = LabeledFile(args.labeled)
    if len(labeled) != NUM_FRAMES:
        raise ValueError(
            f"'{args.labeled}' holds {len(labeled)} frames, but the data set "
            f'{NUM_FRAMES}: it is incomplete'
        )
    scenes = find_scenes(args.source)
    choice = choose_scenes(list(scenes), labeled.scenes, args.split)
    print(
        f'{len(scenes)} videos: {len(choice.used)} of {args.split}, '
        f'{len(choice.test)} of test refused, {len(choice.other)} of val '
        f'left out, {len(choice.unknown)} of unknown split left out'
        + (f': {", ".join(choice.unknown)}' if choice.unknown else '')
    )
    if not choice.used:
        raise ValueError(
            f"'{args.source}' has no video of {args.split}: "
            f'{", ".join(list(scenes)[:5])}'
        )
    return {name: scenes[name] for name in choice.used}


def choose_pairs(
    scenes: dict[str, Path], per_scene: int, jobs: int
) -> list[FramePair]:
    """Evenly spread pairs of all videos."""
    found, failures = run_all(
        pair_frames, list(scenes.values()), jobs, 'pairing'
    )
    if failures:
        raise ValueError('; '.join(failures))
    total = sum((counts for _, (_, counts) in found), Counter())
    pairs = sum(len(pairs) for _, (pairs, _) in found)
    print(
        f'{pairs} pairs; files left out: '
        + (', '.join(f'{n} {what}' for what, n in total.items()) or 'none')
    )
    empty = [folder.name for folder, (pairs, _) in found if not pairs]
    if empty:
        print(f'{len(empty)} videos without a pair: {", ".join(empty)}')
    return [
        pair
        for _, (pairs, _) in found
        for pair in spread_evenly(pairs, per_scene)
    ]


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    scenes = choose_videos(args)
    if args.frames is not None:
        pairs = read_frame_list(args.frames, scenes)
    else:
        pairs = choose_pairs(scenes, args.per_scene, args.jobs)
    if not pairs:
        raise ValueError(f"'{args.source}' has no pair of frames")
    tasks = [Task(pair, args.out, args.hha) for pair in pairs]
    mine = take_shard(tasks, args.shard)
    todo = [task for task in mine if args.overwrite or not task.is_done()]
    done, failures = run_all(convert, todo, args.jobs, 'pairs')
    status = report(args.out, len(done), len(mine) - len(todo), failures)
    # With --overwrite, files of an earlier run may lie where one failed.
    failed = set(todo) - {task for task, _ in done}
    complete = [
        task.pair for task in tasks if task not in failed and task.is_done()
    ]
    untried = len(tasks) - len(complete) - len(failures)
    frame_list = args.out / f'{args.split}.txt'
    if untried:
        print(
            f'{untried} of {len(tasks)} pairs are left to other shards: '
            f'{frame_list} is written by the command that finds all'
        )
        return status
    comments = [
        f'NYUD2 pairs of the {args.split} videos: name, colour, depth',
        *(f'left out: {failure}' for failure in failures),
    ]
    with atomic_write(frame_list) as file:
        file.write(format_frame_list(complete, comments).encode())
    print(f'{frame_list}: {len(complete)} pairs')
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
