"""Files of region proposals: the names of the images, reading, writing.

A file maps a name of each image to its boxes. The name is the end of the
image's path, ``'<folder>/<file>'`` as mmdet has it, or more of the path where
two images would have the same name.
"""

from __future__ import annotations

import filecmp
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from mmxdistill.atomic import atomic_write
from mmxdistill.datasets.proposal_boxes import (
    ImageProposals,
    ProposalTable,
    check_corners,
    field_of,
    proposal_boxes,
)
from mmxdistill.safe_pickle import read_pickle
from mmxdistill.text_files import read_json

__all__ = [
    'ProposalFile',
    'find_proposal_file',
    'image_names',
    'write_proposals',
]

_STOCK_PARTS = 2  # mmdet's names: '<folder>/<file>'
_PICKLES = ('.pkl', '.pickle')
_MAKE = 'make it with tools/dataset_converters/generate_proposals.py'
_SHOWN = 3

# Name in a file, or position in a list without names.
Key = str | int
# What the data sets of this process took from a file: two data sets (train
# and test, say) must not take the same boxes for different images either.
_taken: dict[tuple[str, int, int], dict[Key, str]] = {}


def _parts(path: str | os.PathLike[str]) -> tuple[str, ...]:
    return PurePath(os.path.abspath(path)).parts


def _end(parts: Sequence[str], number: int) -> str:
    # The root is a part: '/'.
    return '/'.join(parts[-number:]).replace('//', '/')


def image_names(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Name images for a proposal file: as short as they differ.

    Args:
        paths (Iterable[str or PathLike]): Of all images of the file.

    Returns:
        list[str]: The last two parts of each path, which is what mmdet reads,
        or as many as it takes that no two images have the same name.
    """
    parts = [_parts(path) for path in paths]
    different = set(parts)
    number = _STOCK_PARTS
    while len({p[-number:] for p in different}) < len(different):
        number += 1
    return [_end(p, number) for p in parts]


def find_proposal_file(config: Mapping[str, Any]) -> str | None:
    """Find the proposal file of a data set.

    Args:
        config (Mapping): Config of the data set: ``proposal_file`` and
            ``data_root``.

    Returns:
        str | None: Its path, relative to ``data_root`` or to the working
        directory; None if the data set names none.

    Raises:
        FileNotFoundError: It is in neither place.
    """
    name = config.get('proposal_file')
    if not name:
        return None
    # Proposals are often made by the user for data that is read-only.
    places = [os.path.join(config.get('data_root') or '', name), name]
    for place in places:
        if os.path.isfile(place):
            return place
    raise FileNotFoundError(
        f'proposal_file is neither {places[0]} nor {places[1]}; {_MAKE}'
    )


class ProposalFile:
    """Proposals of images, read from a file.

    Args:
        path (str or PathLike): A pickle or a ``.json`` that maps names of
            images (see :func:`image_names`; mmdet's ``DumpProposals`` and
            :func:`write_proposals` write it) to boxes, see
            :func:`proposal_boxes`; or a pickled list of predictions with
            ``img_path``; or mmdet 2's list of arrays in the order of the
            annotation file.
        trust_pickle (bool): Unpickle whatever the file holds, which runs code
            that it names. Defaults to False.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds something else, or is damaged.
    """

    def __init__(
        self, path: str | os.PathLike[str], trust_pickle: bool = False
    ) -> None:
        self.path = os.fspath(path)
        if not os.path.isfile(path):
            raise FileNotFoundError(
                f"proposal file '{self.path}' does not exist"
            )
        suffix = Path(self.path).suffix.lower()
        if suffix == '.json':
            content = read_json(self.path)
        elif suffix in _PICKLES:
            content = read_pickle(
                self.path,
                trust_pickle,
                'if you trust its author, set trust_pickle=True (in the data '
                'set, or --trust-pickle), or store plain arrays',
            )
        else:
            raise ValueError(
                f"proposal file '{self.path}' is neither a pickle (.pkl) nor "
                '.json'
            )
        self.entries: dict[Key, Any] = dict(self._entries(content))
        # Numbers of parts of the names, longest first.
        names = [key for key in self.entries if isinstance(key, str)]
        self._depths = sorted({n.count('/') + 1 for n in names})[::-1]

    def _entries(self, content: Any) -> Iterator[tuple[Key, Any]]:
        if isinstance(content, Mapping):
            named = all(isinstance(key, str) for key in content)
            if named:
                slash = any('/' in key for key in content)
                for key, entry in content.items():
                    yield key if slash else key.replace('\\', '/'), entry
                return
        elif isinstance(content, list):
            named = all(field_of(item, 'img_path') for item in content)
            if content and named:
                for item in content:
                    path = '/'.join(_parts(field_of(item, 'img_path'))[1:])
                    yield path, field_of(item, 'pred_instances')
                return
            yield from enumerate(content)
            return
        raise ValueError(
            f"'{self.path}' holds a {type(content).__name__}, but a proposal "
            "file maps '<folder>/<file>' of each image to bboxes and scores"
        )

    @property
    def named(self) -> bool:
        """Whether images have names: a list goes by their order."""
        return bool(self._depths) or not self.entries

    def match(
        self, images: Sequence[str | os.PathLike[str]], rooted: bool = True
    ) -> list[Key | None]:
        """Find the entry of each image.

        Args:
            images (Sequence[str or PathLike]): Paths, all of a data set, in
                its order.
            rooted (bool): The paths lead to the files. Else they may begin
                below a folder that is not known. Defaults to True.

        Returns:
            list: Key of each image, None if the file has no boxes for it.

        Raises:
            ValueError: Two images would get the same boxes, or a list has
                another number of images.
        """
        if not self.named:
            if len(images) != len(self.entries):
                raise ValueError(
                    f"'{self.path}' is a list of {len(self.entries)} images "
                    'without names (of mmdet 2), in the order of the '
                    'annotation file it was made for, but the data set has '
                    f'{len(images)} images: {_MAKE}, or give the list that '
                    'belongs to this annotation file'
                )
            return list(range(len(images)))
        if not rooted:
            return self._match_ends(images)
        paths = [_parts(image) for image in images]
        keys: list[Key | None] = [self._longest(path) for path in paths]
        used = set(keys) - {None}
        owner: dict[Key, str] = {}
        for image, path in zip(images, paths, strict=True):
            for key in self._names(path):
                if key in used:
                    self._claim(owner, key, os.fspath(image))
        self._claim_all(keys, images)
        return keys

    def _names(self, parts: tuple[str, ...]) -> Iterator[str]:
        """Names in the file that may mean an image, longest first."""
        for depth in self._depths:
            name = _end(parts, depth)
            if name in self.entries:
                yield name

    def _longest(self, parts: tuple[str, ...]) -> str | None:
        return next(self._names(parts), None)

    def _claim(self, owner: dict[Key, str], key: Key, image: str) -> None:
        other = owner.setdefault(key, image)
        if other == image or os.path.abspath(other) == os.path.abspath(image):
            return
        if _same_file(other, image):
            return
        names = ' and '.join(f"'{n}'" for n in image_names([other, image]))
        raise ValueError(
            f"'{other}' and '{image}' would both get the proposals '{key}' of "
            f"'{self.path}', which are those of one of them. Make the file "
            'again with tools/dataset_converters/generate_proposals.py, or '
            f'name its images by more of their path: {names}'
        )

    def _claim_all(
        self,
        keys: Sequence[Key | None],
        images: Sequence[str | os.PathLike[str]],
    ) -> None:
        """Check that no other data set took boxes for another image."""
        status = os.stat(self.path)
        file = os.path.realpath(self.path), status.st_mtime_ns, status.st_size
        owner = _taken.setdefault(file, {})
        for key, image in zip(keys, images, strict=True):
            path = os.path.abspath(image)
            if key is not None and not _same_content(
                owner.get(key, path), path
            ):
                self._claim(owner, key, path)
            elif key is not None:
                owner.setdefault(key, path)

    def _match_ends(
        self, images: Sequence[str | os.PathLike[str]]
    ) -> list[Key | None]:
        """Match paths whose folder is not known, where that is unique."""
        same_file: dict[str, list[str]] = {}
        for name in self.entries:
            last = PurePath(str(name)).name
            same_file.setdefault(last, []).append(str(name))
        owner: dict[Key, str] = {}
        keys: list[Key | None] = []
        for image in [os.fspath(image) for image in images]:
            parts = PurePath(image).parts
            fits = [
                name
                for name in same_file.get(parts[-1], [])
                if _ends_alike(PurePath(name).parts, parts)
            ]
            exact = [name for name in fits if name == image]
            found = exact or fits
            keys.append(found[0] if len(found) == 1 else None)
            if len(found) == 1:
                self._claim(owner, found[0], image)
        return keys

    def boxes(self, key: Key) -> ImageProposals:
        """Get the boxes of an entry.

        Args:
            key (str or int): Of :meth:`match`.

        Returns:
            ImageProposals: The boxes.

        Raises:
            ValueError: The entry holds something else.
        """
        try:
            return proposal_boxes(self.entries[key])
        except ValueError as error:
            raise ValueError(f"'{self.path}', '{key}': {error}") from None

    def table(
        self, images: Sequence[str], sizes: Sequence[Any] | None = None
    ) -> ProposalTable:
        """Collect the boxes of all images of a data set.

        Args:
            images (Sequence[str]): Paths, in the order of the data set.
            sizes (Sequence[tuple[int, int]], optional): Width and height of
                each (None if it is not known): boxes that go by the order of
                the images must be inside of them.

        Returns:
            ProposalTable: The boxes.

        Raises:
            KeyError: Images have none.
            ValueError: Entries are wrong, or two images share one.
        """
        keys = self.match(images)
        self.require(keys, images)
        return ProposalTable(
            self._sound(key, image, size)
            for key, image, size in zip(
                keys, images, sizes or [None] * len(images), strict=True
            )
        )

    def require(
        self, keys: Sequence[Key | None], images: Sequence[str]
    ) -> None:
        """Check that all images have proposals.

        Raises:
            KeyError: Some have none; names them.
        """
        missing = [
            image
            for key, image in zip(keys, images, strict=True)
            if key is None
        ]
        if missing:
            names = [
                '/'.join(PurePath(image).parts[-_STOCK_PARTS:])
                for image in missing[:_SHOWN]
            ]
            raise KeyError(
                f"proposal file '{self.path}' has no proposals for "
                f'{len(missing)} of {len(images)} images, e.g. {names}; its '
                'keys look like '
                f'{list(self.entries)[:2]}. Generate proposals for these '
                'images or correct the file'
            )

    def _sound(self, key: Any, image: str, size: Any) -> ImageProposals:
        found = self.boxes(key)
        try:
            check_corners(found)
        except ValueError as error:
            raise ValueError(f"'{self.path}', '{key}': {error}") from None
        if not self.named and size is not None:
            limit = np.tile(np.asarray(size, np.float32), 2) + 1
            if ((found.bboxes < -1) | (found.bboxes > limit)).any():
                raise ValueError(
                    f"'{self.path}' has no names, and its boxes number {key} "
                    f"leave image number {key}, '{image}' of {size[0]}x"
                    f'{size[1]}: it was made for other images, or for another '
                    'order of them'
                )
        return found


def _same_file(first: str, second: str) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def _same_content(first: str, second: str) -> bool:
    """Whether two paths lead to copies of a file, as far as is known."""
    try:
        return first == second or filecmp.cmp(first, second, shallow=False)
    except OSError:
        return True


def _ends_alike(first: Sequence[str], second: Sequence[str]) -> bool:
    number = min(len(first), len(second))
    return tuple(first[-number:]) == tuple(second[-number:])


def write_proposals(
    path: str | os.PathLike[str],
    proposals: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> None:
    """Write a proposal file, for our data sets and for mmdet's.

    Args:
        path (str or PathLike): A ``.pkl``.
        proposals (Mapping): Name (:func:`image_names`) -> boxes (n, 4), xyxy
            in pixels, best first, and falling scores (n,).
    """
    content = {
        name: dict(
            bboxes=np.asarray(boxes, np.float32).reshape(-1, 4),
            scores=np.asarray(scores, np.float32),
        )
        for name, (boxes, scores) in proposals.items()
    }
    with atomic_write(path) as file:
        pickle.dump(content, file)
