"""Folders that hold the numbered frames of a video."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from pathlib import Path

__all__ = ['list_frames']

# Some tools write the suffix in capitals.
_FRAME = re.compile(r'(\d{1,18})\.(?:png|jpe?g)', re.IGNORECASE)


def list_frames(folder: Path) -> tuple[Path, ...]:
    """List the frames of a video.

    Args:
        folder (Path): Holds ``1.png``, ``2.png``, ... (or ``.jpg``) with any
            number of leading zeros; other names are no frames.

    Returns:
        tuple[Path, ...]: The files in order.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It holds no frames, or some are missing or there twice.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' does not exist")
    matches = ((_FRAME.fullmatch(p.name), p) for p in folder.iterdir())
    found = sorted((int(match[1]), path) for match, path in matches if match)
    numbers = Counter(number for number, _ in found)
    if not found:
        raise ValueError(
            f"'{folder}' holds no frames (00001.png, 00002.png, ...)"
        )
    last = found[-1][0]
    if len(found) != last or found[0][0] != 1 or len(numbers) != last:
        # The last number may be anything: no list as long as that.
        gaps = (n for n in range(1, last + 1) if n not in numbers)
        missing = last - sum(1 <= number for number in numbers)
        twice = sorted(n for n, count in numbers.items() if count > 1)
        raise ValueError(
            f"'{folder}' must hold frames from 1 without gaps; of "
            f'{last}, {missing} are missing: {list(islice(gaps, 5))}, '
            f'{len(twice)} are there twice: {twice[:5]}'
        )
    return tuple(path for _, path in found)
