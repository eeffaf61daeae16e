"""(Frame, flow image) pairs of UCF101, or of any folder of videos."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mmxdistill.converters.clips import VIDEOS
from mmxdistill.converters.flow import (
    FlowOptions,
    convert_flow,
    list_of_shard,
)
from mmxdistill.converters.products import LEFT_OUT, report_left_out
from mmxdistill.converters.runs import RunOptions
from mmxdistill.converters.ucf101 import check_avi, read_split
from mmxdistill.converters.work_list import check_apart, walk
from mmxdistill.datasets.lists import read_list, write_list

__all__ = ['convert_ucf101']


def convert_ucf101(
    source: Path,
    out: Path,
    method: str,
    run: RunOptions,
    split: Path | None = None,
    number: int = 5,
) -> int:
    """Convert the videos of a folder.

    Args:
        source (Path): Folder of videos, with sub-folders.
        out (Path): Output folder.
        method (str): How the flow is computed.
        run (RunOptions): How much of it to do.
        split (Path, optional): ``trainlist01.txt``, ... Defaults to all
            videos.
        number (int): Pairs of each video. Defaults to 5, as in the paper.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: No pair can be made.
    """
    check_apart(source, out)
    videos, problems = choose_videos(source, split)
    title = split.stem if split is not None else 'pairs'
    options = FlowOptions(out / 'flow', method, frames_out=out / 'frames')
    for name in (f'{title}.txt', LEFT_OUT):
        (out / name).unlink(missing_ok=True)
    video_list = out / f'videos_{title}.txt'
    write_list(video_list, videos)
    status = convert_flow(video_list, source, options, run, number)
    pairs, missing = find_pairs(options.out, run.shard[1])
    if missing:
        print(
            f'{missing} of {run.shard[1]} shards are not done: {title}.txt is '
            'written by the last'
        )
        return status or int(bool(problems))
    wanted = [Path(name).with_suffix('').as_posix() for name in videos]
    # The list of a shard may be that of an earlier run for other videos.
    known = set(wanted)
    pairs = [pair for pair in pairs if pair.rpartition('/')[0] in known]
    counts = Counter(pair.rpartition('/')[0] for pair in pairs)
    problems += [
        f'{name}: no pair, see the errors above'
        for name in wanted
        if not counts[name]
    ]
    short = [
        f'{name}: {counts[name]} of {number} pairs'
        for name in wanted
        if 0 < counts[name] < number
    ]
    if not pairs:
        raise ValueError('no pair could be made')
    comments = [f'left out: {problem}' for problem in problems]
    write_list(out / f'{title}.txt', pairs, comments)
    print(f'{out / title}.txt: {len(pairs)} pairs of {len(counts)} videos')
    report_left_out(out, {'videos left out': problems, 'short videos': short})
    return status or int(bool(problems))


def choose_videos(
    source: Path, split: Path | None
) -> tuple[list[str], list[str]]:
    """Choose the videos that can be used.

    Args:
        source (Path): Folder of videos.
        split (Path, optional): List of them. Defaults to all.

    Returns:
        tuple: Their paths below the source, and a message for each of the
        others.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There are none.
    """
    if not source.is_dir():
        raise FileNotFoundError(f"'{source}' is no folder of videos")
    if split is not None:
        names = read_split(split)
    else:
        names = [item.name.as_posix() for item in walk(source, VIDEOS)]
    usable, problems = [], []
    for name in names:
        try:
            if Path(name).suffix.lower() == '.avi':
                check_avi(source / name)
        except (OSError, ValueError) as error:
            problems.append(f'{name}: {error}')
        else:
            usable.append(name)
    if not usable:
        raise ValueError(
            f"'{source}' holds none of {len(names)} videos"
            + (f', e.g. {problems[0]}' if problems else '')
        )
    return usable, problems


def find_pairs(flow: Path, parts: int) -> tuple[list[str], int]:
    """Pairs that all shards have made, and how many shards are not done."""
    lists = [list_of_shard(flow, part, parts) for part in range(1, parts + 1)]
    found = [read_list(path) for path in lists if path.is_file()]
    names = [row[0] for rows in found for row in rows]
    return names, len(lists) - len(found)
