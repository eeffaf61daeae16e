"""Which raw videos of NYUD2 belong to which split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmxdistill.converters.nyud2.classes import FIRST_ID, SPLITS
from mmxdistill.converters.work_list import walk_folders

__all__ = ['PAIR_SPLITS', 'SceneChoice', 'choose_scenes', 'find_scenes']

_FRAME = re.compile(r'r-.*\.ppm|d-.*\.pgm')
# Splits whose videos may be used for transfer, and what they consist of.
PAIR_SPLITS = dict(train={'train'}, trainval={'train', 'val'})


def find_scenes(root: Path) -> dict[str, Path]:
    """Folders with raw frames.

    Args:
        root (Path): Folder into which archives of the raw data set were
            unpacked; searched with its sub-folders.

    Returns:
        dict[str, Path]: Scene name (that of the folder) -> folder.

    Raises:
        FileNotFoundError: There is no such folder, or no raw frame in it.
        ValueError: Two folders have the same name.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f"'{root}' is no folder: give the one into which the archives of "
            'the raw data set are unpacked'
        )
    scenes: dict[str, Path] = {}
    for folder, _, files in walk_folders(root):
        if not any(map(_FRAME.fullmatch, files)):
            continue
        name = folder.resolve().name
        if name in scenes:
            raise ValueError(
                f"scene '{name}' is there twice: '{scenes[name]}' and "
                f"'{folder}'; remove one"
            )
        scenes[name] = folder
    if not scenes:
        raise FileNotFoundError(
            f"'{root}' holds no raw frames (r-*.ppm, d-*.pgm): unpack "
            'archives of the raw data set there'
        )
    return dict(sorted(scenes.items()))


@dataclass
class SceneChoice:
    """Raw videos, sorted by whether they may be used.

    Attributes:
        used: Videos of the split.
        test: Videos of the test split.
        other: Videos with labelled frames of another split (val).
        unknown: Videos without labelled frames: their split is not known.
    """

    used: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def choose_scenes(
    names: Sequence[str],
    labeled_scenes: Sequence[str],
    split: str,
    splits: Mapping[str, Sequence[int]] = SPLITS,
) -> SceneChoice:
    """Sort raw videos by the split of their place.

    Parts of one place have a letter (``basement_0001a``, ``..b``), also
    those without labelled frames; a place with any labelled test frame is
    of the test split with all its parts.

    Args:
        names (Sequence[str]): Videos.
        labeled_scenes (Sequence[str]): Video of every labelled frame, in
            order: ``LabeledFile.scenes``.
        split (str): ``train`` or ``trainval``.
        splits (Mapping[str, Sequence[int]]): Image numbers of the splits.

    Returns:
        SceneChoice: The videos.

    Raises:
        ValueError: Videos of this split are not for training.
    """
    if split not in PAIR_SPLITS:
        raise ValueError(
            f"split '{split}': pairs may come from the videos of "
            f'{" or ".join(PAIR_SPLITS)} only'
        )
    found: dict[str, set[str]] = {}
    for part in ('train', 'val', 'test'):
        for image_id in splits[part]:
            place = _place(labeled_scenes[image_id - FIRST_ID])
            found.setdefault(place, set()).add(part)
    choice = SceneChoice()
    for name in names:
        parts = found.get(_place(name), set())
        if not parts:
            choice.unknown.append(name)
        elif 'test' in parts:
            choice.test.append(name)
        elif parts <= PAIR_SPLITS[split]:
            choice.used.append(name)
        else:
            choice.other.append(name)
    return choice


def _place(scene: str) -> str:
    """Scene name without the letter of its part."""
    return re.sub(r'(?<=\d)[a-z]$', '', scene)
