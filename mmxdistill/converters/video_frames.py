"""Folders that hold the numbered frames of a video."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ['list_frames']

_FRAME = re.compile(r'(\d+)\.(?:png|jpg)')


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
    numbers = [number for number, _ in found]
    if not found:
        raise ValueError(
            f"'{folder}' holds no frames (00001.png, 00002.png, ...)"
        )
    if numbers != list(range(1, len(found) + 1)):
        missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        raise ValueError(
            f"'{folder}' must hold frames from 1 without gaps; of "
            f'{numbers[-1]}, {len(missing)} are missing: {missing[:5]}, '
            f'{len(twice)} are there twice: {twice[:5]}'
        )
    return tuple(path for _, path in found)
