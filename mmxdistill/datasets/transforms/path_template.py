"""Names of a modality's files, from those of another one."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

__all__ = ['PathTemplate']


class PathTemplate:
    """Path of a modality, from that of the image that the data set names.

    Args:
        name (str): Of the modality, for messages.
        path (str, optional): Template, see :class:`LoadModalities`.
        replace (Sequence, optional): Text of the image path and what stands
            in its place, or several such pairs.
    """

    FIELDS = ('dir', 'parent', 'name', 'stem', 'suffix')

    def __init__(
        self, name: str, path: str | None = None, replace: Any = None
    ) -> None:
        if (path is None) == (replace is None):
            raise ValueError(
                f"modality '{name}' of LoadModalities needs either path="
                "'{parent}/thermal/{stem}.png' or replace=('old', 'new')"
            )
        self.name = name
        self.path = path
        pairs = replace or ()
        if pairs and all(isinstance(part, str) for part in pairs):
            pairs = [pairs]
        self.pairs = [tuple(pair) for pair in pairs]
        if any(len(pair) != 2 or not pair[0] for pair in self.pairs):
            raise ValueError(
                f"modality '{name}' of LoadModalities: replace is ('old', "
                f"'new'), or a list of such pairs; found {replace!r}"
            )
        if path is not None:
            self._render('x/y/z.png')

    def __call__(self, img_path: str) -> str:
        """Path of the modality of an image.

        Raises:
            ValueError: The image path lacks what is to be replaced.
        """
        if self.path is not None:
            return self._render(img_path)
        moved = img_path
        for old, new in self.pairs:
            if old not in moved:
                raise ValueError(
                    f"modality '{self.name}': replace=('{old}', '{new}') "
                    f"finds no '{old}' in '{moved}'"
                )
            moved = moved.replace(old, new)
        return moved

    def _render(self, img_path: str) -> str:
        assert self.path is not None
        file = PurePath(img_path)
        try:
            return self.path.format(
                dir=img_path[: -len(file.name) - 1] or '.',
                parent=file.parent.parent.as_posix(),
                name=file.name,
                stem=file.stem,
                suffix=file.suffix,
            )
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"path template '{self.path}' of modality '{self.name}' asks "
                f'for {error}; there are '
                f'{", ".join(f"{{{field}}}" for field in self.FIELDS)}'
            ) from None
