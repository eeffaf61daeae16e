"""Make region proposals for a folder of images, or for aligned folders."""

import argparse
import sys
from functools import partial
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmengine.fileio import dump
from mmengine.utils import track_progress_rich

from mmxdistill.datasets.proposals import (
    merge_proposals,
    selective_search,
    sliding_windows,
)

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path, help='file to write, OUT.pkl')
    parser.add_argument(
        'folders',
        nargs='+',
        type=Path,
        help='image folder; more folders with the same file names add '
        'proposals from other modalities (8-bit images)',
    )
    parser.add_argument(
        '--method',
        choices=['selective_search', 'windows', 'both'],
        default='selective_search',
    )
    parser.add_argument(
        '--max-num', type=int, default=2000, help='proposals per image'
    )
    parser.add_argument(
        '--max-side',
        type=int,
        default=400,
        help='longer side at which selective search works, in pixels',
    )
    parser.add_argument('--processes', type=int, default=2)
    args = parser.parse_args()
    if args.out.suffix != '.pkl':
        parser.error(f'{args.out}: the file name must end with .pkl')
    for folder in args.folders:
        if not folder.is_dir():
            parser.error(f'{folder} is no folder')
    return args


def propose(
    name: str, folders: list[Path], method: str, max_num: int, max_side: int
) -> dict:
    """Proposals for one scene.

    Args:
        name (str): File name in all folders.
        folders (list[Path]): The folders.
        method (str): See the command line.
        max_num (int): Largest number of proposals.
        max_side (int): See :func:`selective_search`.

    Returns:
        dict: ``bboxes`` and ``scores``.

    Raises:
        ValueError: An image is missing or cannot be read.
    """
    cv2.setNumThreads(1)
    sources = []
    for folder in folders:
        image = cv2.imread(str(folder / name))
        if image is None:
            raise ValueError(f'{folder / name} is missing or no image')
        if method != 'windows':
            sources.append(selective_search(image, max_side))
    if method != 'selective_search':
        sources.append(sliding_windows(*image.shape[:2]))
    boxes, scores = merge_proposals(sources, max_num)
    return dict(bboxes=boxes, scores=scores)


def main() -> None:
    """Write the proposals of all images of the first folder."""
    args = parse_args()
    names = sorted(
        path.name
        for path in args.folders[0].iterdir()
        if path.suffix.lower() in SUFFIXES
    )
    if not names:
        raise SystemExit(f'{args.folders[0]} holds no images {SUFFIXES}')
    work = partial(
        propose,
        folders=args.folders,
        method=args.method,
        max_num=args.max_num,
        max_side=args.max_side,
    )
    found = track_progress_rich(
        work,
        [(name,) for name in names],
        nproc=args.processes,
        description='proposals',
    )
    folder = args.folders[0].resolve().name
    keys = [f'{folder}/{name}' for name in names]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    partial_file = args.out.with_suffix('.part.pkl')
    dump(dict(zip(keys, found, strict=True)), str(partial_file))
    partial_file.replace(args.out)
    total = sum(len(item['bboxes']) for item in found)
    print(
        f'{args.out}: {len(names)} images, '
        f'{total / len(names):.0f} proposals per image'
    )


if __name__ == '__main__':
    main()
