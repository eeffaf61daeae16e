"""Make (frame, flow image) pairs of UCF101, or of any folder of videos."""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

import encode_flow

from mmxdistill.converters.clips import VIDEOS
from mmxdistill.converters.products import (
    LEFT_OUT,
    report_left_out,
    write_lines,
)
from mmxdistill.converters.ucf101 import check_avi, read_split
from mmxdistill.converters.work_list import add_arguments, check_apart, walk
from mmxdistill.encodings import FLOW_METHODS

# Pairs of each video in the paper.
PAIRS = 5


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write evenly spaced frames of videos, their flow to the '
        'next frame, and the list of these pairs. Interrupted, the same '
        'command goes on.'
    )
    add_arguments(
        parser,
        'folder of videos, with sub-folders (UCF-101)',
        lists=False,
    )
    parser.add_argument(
        '--split',
        type=Path,
        metavar='FILE',
        help='trainlist01.txt, ...: take the videos of this list of UCF101 '
        '(default: all videos of the folder)',
    )
    parser.add_argument(
        '--pairs-per-video',
        type=int,
        default=PAIRS,
        metavar='K',
        help='default: %(default)s',
    )
    parser.add_argument(
        '--method',
        choices=FLOW_METHODS,
        default='dis',
        help='how the flow is computed (default: %(default)s)',
    )
    args = parser.parse_args()
    if args.pairs_per_video < 1:
        parser.error(f'--pairs-per-video {args.pairs_per_video}: at least 1')
    return args


def choose_videos(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Choose the videos that can be used.

    Args:
        args (argparse.Namespace): The command line.

    Returns:
        tuple: Their paths below the source, and a message for each of the
        others.

    Raises:
        ValueError: There are none.
    """
    if not args.source.is_dir():
        raise FileNotFoundError(f"'{args.source}' is no folder of videos")
    if args.split is not None:
        names = read_split(args.split)
    else:
        names = [item.name.as_posix() for item in walk(args.source, VIDEOS)]
    usable, problems = [], []
    for name in names:
        try:
            # Columns of lists end there.
            if re.search(r'[,\s]', name):
                raise ValueError('rename it: it has a comma or a blank')
            if Path(name).suffix.lower() == '.avi':
                check_avi(args.source / name)
        except (OSError, ValueError) as error:
            problems.append(f'{name}: {error}')
        else:
            usable.append(name)
    if not usable:
        raise ValueError(
            f"'{args.source}' holds none of {len(names)} videos"
            + (f', e.g. {problems[0]}' if problems else '')
        )
    return usable, problems


def find_pairs(flow: Path, parts: int) -> tuple[list[str], int]:
    """Pairs that all shards have made, and how many shards are not done."""
    lists = [flow / 'pairs.txt']
    if parts > 1:
        lists = [
            flow / f'pairs_{part}of{parts}.txt' for part in range(1, parts + 1)
        ]
    found = [path.read_text().split() for path in lists if path.is_file()]
    return [name for names in found for name in names], len(lists) - len(found)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    check_apart(args.source, args.out)
    videos, problems = choose_videos(args)
    title = args.split.stem if args.split is not None else 'pairs'
    flow, frames = args.out / 'flow', args.out / 'frames'
    for name in (f'{title}.txt', LEFT_OUT):
        (args.out / name).unlink(missing_ok=True)
    video_list = args.out / f'videos_{title}.txt'
    write_lines(video_list, videos)
    part, parts = args.shard
    flags = [
        str(video_list),
        str(flow),
        f'--root={args.source}',
        f'--frames-out={frames}',
        f'--max-frames-per-video={args.pairs_per_video}',
        f'--method={args.method}',
        f'--jobs={args.jobs}',
        f'--shard={part}/{parts}',
    ]
    if args.overwrite:
        flags.append('--overwrite')
    status = encode_flow.main(flags)
    pairs, missing = find_pairs(flow, parts)
    if missing:
        print(
            f'{missing} of {parts} shards are not done: {title}.txt is '
            'written by the last'
        )
        return status or int(bool(problems))
    wanted = [str(Path(name).with_suffix('')) for name in videos]
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
        f'{name}: {counts[name]} of {args.pairs_per_video} pairs'
        for name in wanted
        if 0 < counts[name] < args.pairs_per_video
    ]
    if not pairs:
        raise ValueError('no pair could be made')
    comments = [f'# left out: {problem}' for problem in problems]
    write_lines(args.out / f'{title}.txt', [*comments, *pairs])
    print(
        f'{args.out / title}.txt: {len(pairs)} pairs of {len(counts)} videos'
    )
    report_left_out(
        args.out, {'videos left out': problems, 'short videos': short}
    )
    return status or int(bool(problems))


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
