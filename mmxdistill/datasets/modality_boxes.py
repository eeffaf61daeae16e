"""Boxes of one modality out of several that were annotated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ['check_boxes_stay', 'choose_boxes']


def choose_boxes(
    boxes: str, modalities: Mapping[str, Any], ann_file: str = '', **_: Any
) -> dict[str, Any]:
    """Make a modality's own annotation file that of the data set.

    Args:
        boxes (str): The modality.
        modalities (Mapping[str, str | dict]): Of the data set.
        ann_file (str): Annotation file of the data set, which from then on
            only names the images of the modalities without a file of their
            own.

    Returns:
        dict: ``ann_file`` and ``modalities`` to build the data set from.

    Raises:
        ValueError: There is no such modality, or it has no boxes.
    """
    specs = {
        name: dict(spec) if isinstance(spec, Mapping) else dict(path=spec)
        for name, spec in modalities.items()
    }
    if not specs.get(boxes, {}).get('ann_file'):
        raise ValueError(
            f"boxes='{boxes}' must be one of the modalities {list(specs)} and "
            'have boxes of its own: modalities=dict('
            f"{boxes}=dict(path=..., ann_file='{boxes}.json', ...), ...)"
        )
    own = specs[boxes].pop('ann_file')
    if ann_file and ann_file != own:
        for name, spec in specs.items():
            if name != boxes:
                spec.setdefault('ann_file', ann_file)
    return dict(ann_file=own, modalities=specs)


def check_boxes_stay(boxes: str, loader: Any) -> None:
    """Check that the stack is in the pixels of the modality with the boxes.

    Args:
        boxes (str): The modality.
        loader: Transform; only :class:`LoadModalities` can move a modality.

    Raises:
        ValueError: It is moved onto another one, or others onto a third.
    """
    registered = getattr(loader, 'registered', {})
    if registered and boxes != loader.reference:
        raise ValueError(
            f"boxes='{boxes}' are in the pixels of '{boxes}', but "
            f"{sorted(registered)} are registered onto '{loader.reference}', "
            f"the first modality: put '{boxes}' first and register the others "
            f"onto it, or take boxes='{loader.reference}'"
        )
