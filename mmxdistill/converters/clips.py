"""Clips: videos, or folders of images that are the frames of one."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from mmxdistill.converters.images import IMAGE_SUFFIXES, read_image
from mmxdistill.converters.work_list import Source, find_files, walk

VIDEOS = ('.avi', '.mp4', '.mkv', '.mov', '.mpg', '.mpeg', '.webm', '.wmv')


@dataclass(frozen=True)
class Clip:
    """Frames in their order: a video, or the images of a folder.

    Attributes:
        name: Place below the output folder.
        video: The file, None for images.
        frames: Image files, empty for a video.
    """

    name: Path
    video: Path | None = None
    frames: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """Path, as the report names the clip."""
        return str(self.video or self.frames[0].parent)

    def stem(self, index: int) -> str:
        """Name of a frame without folder and suffix."""
        return f'{index:06d}' if self.video else self.frames[index].stem

    def label(self, index: int) -> str:
        """Name of a frame in messages."""
        if self.video:
            return f'{self.video}, frame {index}'
        return str(self.frames[index])

    def length(self) -> int:
        """Count the frames, those of a video by decoding it.

        Raises:
            ValueError: It cannot be opened, or two images of a folder differ
                in the suffix only.
        """
        if self.video:
            capture = self._open()
            count = 0
            while capture.grab():
                count += 1
            return count
        stems = Counter(path.stem for path in self.frames)
        for stem, count in stems.items():
            if count > 1:
                raise ValueError(
                    f'{count} images are called {stem}: their flow would be '
                    'the same file'
                )
        return len(stems)

    def read(self, wanted: Sequence[int]) -> Iterator[tuple[int, Any]]:
        """Decode frames.

        Args:
            wanted (Sequence[int]): Indices, ascending.

        Yields:
            tuple: Index, and the frame or the error to raise when it is used.
        """
        capture = self._open() if self.video else None
        position = 0
        for index in wanted:
            if capture is None:
                frame = _image(self.frames[index])
            else:
                while position < index and capture.grab():
                    position += 1
                frame = capture.read()[1] if position == index else None
                position += 1
            if frame is None:
                yield index, ValueError(f'{self.label(index)} is unreadable')
            else:
                yield index, frame

    def _open(self) -> cv2.VideoCapture:
        capture = cv2.VideoCapture(str(self.video))
        if not capture.isOpened():
            raise ValueError('missing, truncated or no video')
        return capture


def _image(path: Path) -> Any:
    """An image, None if it cannot be decoded to its end."""
    try:
        return read_image(path)
    except (OSError, ValueError):
        return None


def find_clips(source: Path, root: Path | None) -> list[Clip]:
    """List the videos and frame folders of the source.

    Raises:
        FileNotFoundError: There is no such source.
        ValueError: There are none, or two would go to the same place.
    """
    files: list[Source] = []
    for item in find_files(source, IMAGE_SUFFIXES + VIDEOS, root):
        # A list may name folders; an empty one fails when it is opened.
        inside = [
            Source(found.path, item.name / found.name)
            for found in walk(item.path, IMAGE_SUFFIXES + VIDEOS)
        ]
        files += inside or [item]
    clips = []
    folders = defaultdict(list)
    for item in files:
        if item.path.suffix.lower() in IMAGE_SUFFIXES:
            folders[item.name.parent].append(item.path)
        else:
            clips.append(Clip(item.name.with_suffix(''), item.path))
    clips += [Clip(k, None, tuple(paths)) for k, paths in folders.items()]
    places: dict[Path, Clip] = {}
    for clip in clips:
        other = places.setdefault(clip.name, clip)
        if other is not clip:
            raise ValueError(
                f'{other} and {clip} would both be written to '
                f'{clip.name}: rename one'
            )
    return clips


def choose_frames(clip: Clip, step: int, most: int | None) -> list[int]:
    """Choose frames that have a later one, evenly spaced.

    Args:
        clip (Clip): The clip.
        step (int): Distance of the later frame.
        most (int, optional): How many at most: the middles of as many equal
            parts.

    Returns:
        list[int]: Indices, ascending.

    Raises:
        ValueError: The clip is too short or cannot be read.
    """
    length = clip.length()
    count = length - step
    if count < 1:
        raise ValueError(
            f'has {length} frames, but flow needs at least {step + 1}'
        )
    if most is None or most >= count:
        return list(range(count))
    return [(2 * i + 1) * count // (2 * most) for i in range(most)]
