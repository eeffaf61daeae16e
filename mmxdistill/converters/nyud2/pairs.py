"""Transfer pairs from the raw videos of NYUD2."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from mmxdistill.converters.images import write_png
from mmxdistill.converters.kinect import (
    NYUD2_KINECT,
    disparity_to_mm,
    register_depth,
    undistort_color,
)
from mmxdistill.converters.runs import RunOptions, convert_items, run_all
from mmxdistill.datasets.transforms import FillDepth
from mmxdistill.encodings import encode_hha

from .classes import CROP, NUM_FRAMES
from .labeled import LabeledFile
from .raw import (
    FramePair,
    pair_frames,
    read_color,
    read_disparity,
    read_frame_list,
    spread_evenly,
    write_frame_list,
)
from .scenes import choose_scenes, find_scenes

__all__ = ['convert_pairs']


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


def choose_videos(
    source: Path, labeled_file: Path, split: str
) -> dict[str, Path]:
    """Folders of the videos that may be used."""
    labeled = LabeledFile(labeled_file)
    if len(labeled) != NUM_FRAMES:
        raise ValueError(
            f"'{labeled_file}' holds {len(labeled)} frames, but the data set "
            f'{NUM_FRAMES}: it is incomplete'
        )
    scenes = find_scenes(source)
    choice = choose_scenes(list(scenes), labeled.scenes, split)
    print(
        f'{len(scenes)} videos: {len(choice.used)} of {split}, '
        f'{len(choice.test)} of test refused, {len(choice.other)} of val '
        f'left out, {len(choice.unknown)} of unknown split left out'
        + (f': {", ".join(choice.unknown)}' if choice.unknown else '')
    )
    if not choice.used:
        raise ValueError(
            f"'{source}' has no video of {split}: "
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
    total: Counter[str] = sum((counts for _, (_, counts) in found), Counter())
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


def convert_pairs(
    source: Path,
    out: Path,
    run: RunOptions,
    labeled: Path,
    split: str,
    per_scene: int = 40,
    frames: Path | None = None,
    hha: bool = True,
) -> int:
    """Convert pairs of a split.

    Args:
        source (Path): Folder of the raw videos.
        out (Path): Output folder.
        run (RunOptions): How much of it to do.
        labeled (Path): ``nyu_depth_v2_labeled.mat``.
        split (str): ``train`` or ``trainval``.
        per_scene (int): Pairs of each video.
        frames (Path, optional): List of an earlier run, to repeat.
        hha (bool): Encode the depth.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is another one, damaged, or does not fit.
    """
    scenes = choose_videos(source, labeled, split)
    if frames is not None:
        pairs = read_frame_list(frames, scenes)
    else:
        pairs = choose_pairs(scenes, per_scene, run.jobs)
    if not pairs:
        raise ValueError(f"'{source}' has no pair of frames")
    tasks = [Task(pair, out, hha) for pair in pairs]
    converted = convert_items(convert, tasks, Task.is_done, run, out, 'pairs')
    frame_list = out / f'{split}.txt'
    if converted.lacking('pairs', f'{frame_list} is'):
        return converted.status
    comments = [
        f'NYUD2 pairs of the {split} videos: name, colour, depth',
        *(f'left out: {failure}' for failure in converted.failures),
    ]
    complete = [task.pair for task in converted.complete]
    write_frame_list(frame_list, complete, comments)
    print(f'{frame_list}: {len(complete)} pairs')
    return converted.status
