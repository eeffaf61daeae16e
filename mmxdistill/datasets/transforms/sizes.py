"""Whether the images of a scene have the size that its boxes are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ['check_same_size', 'check_size_of_record']


def check_same_size(
    sizes: Mapping[str, tuple[int, int]], paths: Mapping[str, str]
) -> None:
    """Compare the modalities of a scene.

    Args:
        sizes (Mapping[str, tuple]): Height and width of each.
        paths (Mapping[str, str]): Their files.

    Raises:
        ValueError: They differ.
    """
    if len(set(sizes.values())) > 1:
        found = ', '.join(
            f"'{paths[name]}' is {w}x{h}" for name, (h, w) in sizes.items()
        )
        raise ValueError(
            f'the modalities of a pair must have the same size (they are '
            f'aligned pixel by pixel): {found}. Put WarpToReference or '
            'ResizeToReference of mmxdistill into the pipeline of the '
            'second one'
        )


def check_size_of_record(
    sizes: Mapping[str, tuple[int, int]],
    record: Mapping[str, Any],
    paths: Mapping[str, str],
) -> None:
    """Compare with the size that the boxes were drawn at.

    Args:
        sizes (Mapping[str, tuple]): Height and width of each modality.
        record (Mapping): Of the ann_file, with ``width`` and ``height`` if
            it has them.
        paths (Mapping[str, str]): Files of the modalities.

    Raises:
        ValueError: The first modality has another size.
    """
    wanted = record.get('width'), record.get('height')
    if None in wanted:
        return
    name, (height, width) = next(iter(sizes.items()))
    if (width, height) != wanted:
        raise ValueError(
            f"'{paths[name]}' is {width}x{height}, but its record in the "
            f'ann_file says {wanted[0]}x{wanted[1]} (w x h), so its boxes '
            'would be in the wrong place: they were drawn on another '
            'image or modality, or before this one was resized or turned '
            'by its EXIF orientation'
        )
