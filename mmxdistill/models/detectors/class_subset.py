"""Detectors for some of the classes that they were trained for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import ConfigDict

from mmxdistill.models.label_sets import (
    class_indices,
    select_rows,
    with_classes,
)
from mmxdistill.models.networks import (
    build_network,
    load_weights,
    resolve_network,
)
from mmxdistill.models.preprocessing import Preprocessing
from mmxdistill.registry import MODELS

__all__ = ['build_detector', 'class_subset_detector', 'keep_weights']


@MODELS.register_module(name='ClassSubsetDetector')
def class_subset_detector(
    detector: Mapping | str,
    checkpoint: str | None,
    classes: Sequence[str] | Mapping[str, str],
    source_classes: Sequence[str] | None = None,
    data_preprocessor: dict | None = None,
) -> Any:
    """Keep some classes of a trained detector, under other names if need be.

    The RGB detector beside :func:`zero_shot_detector` (the paper, table 5):
    trained for COCO, tested on the classes that NYUD2 has, too.

    Args:
        detector (dict | str): Config of the detector, or where it is.
        checkpoint (str | None): Its weights. None: they come with a
            checkpoint of the result (``load_from``).
        classes (Sequence | dict): Classes to keep: names, or new name -> the
            detector's name.
        source_classes (Sequence[str], optional): The detector's classes.
            Defaults to those that its checkpoint or config names.
        data_preprocessor (dict, optional): Defaults to that of the detector.

    Returns:
        nn.Module: The detector, with fewer rows in its last layers.

    Raises:
        ValueError: It does not know a class, its classes are not known, or
            it wants its images normalised otherwise.
    """
    resolved = resolve_network(detector)
    chosen = build_detector(detector, checkpoint, classes, source_classes)
    set_preprocessor(
        chosen, data_preprocessor, resolved.model.get('data_preprocessor')
    )
    return keep_weights(chosen, checkpoint)


def set_preprocessor(
    detector: Any, given: Mapping | None, own: Mapping | None
) -> None:
    """Give a detector its data preprocessor.

    Args:
        detector (nn.Module): The detector.
        given (dict, optional): The preprocessor, by default ``own``.
        own (dict, optional): How its layers want their images.

    Raises:
        ValueError: What is given normalises otherwise.
    """
    cfg = own if given is None else given
    if cfg is None:
        return
    detector.data_preprocessor = MODELS.build(cfg)
    expected = Preprocessing.of_modalities(own)
    found = Preprocessing.of_modalities(cfg)
    if expected and not (
        len(expected) == len(found)
        and all(a.agrees(b) for a, b in zip(expected, found, strict=True))
    ):
        raise ValueError(
            f'data_preprocessor: it normalises with {_shown(found)}, but the '
            f'layers were trained with {_shown(expected)}: leave it out, or '
            'write those'
        )


def build_detector(
    detector: Mapping | str,
    checkpoint: str | None,
    classes: Sequence[str] | Mapping[str, str] | None,
    source_classes: Sequence[str] | None,
) -> Any:
    """Build a detector for all or some of its classes.

    Args:
        detector (dict | str): As in :func:`class_subset_detector`.
        checkpoint (str | None): Likewise.
        classes (Sequence | dict, optional): Defaults to all.
        source_classes (Sequence[str], optional): Likewise.

    Returns:
        nn.Module: The detector, without a data preprocessor of its own. Its
        ``class_names`` are those that were chosen.

    Raises:
        ValueError: It does not know a class, or its classes are not known.
    """
    resolved = resolve_network(detector)
    resolved.model['data_preprocessor'] = None
    network = build_network(resolved)
    named = resolved.classes
    if checkpoint is not None:
        named = load_weights(network, checkpoint, 'detector') or named
    if classes is None:
        return network
    source = source_classes or named
    if source is None:
        raise ValueError(
            'classes: neither the checkpoint nor the config of the detector '
            'names its classes; list them in source_classes=[...]'
        )
    indices = class_indices(classes, source)
    chosen, wider = (
        build_network(
            resolved._replace(model=with_classes(resolved.model, number))
        )
        for number in (len(indices), len(source) + 1)
    )
    select_rows(network, chosen, wider, indices, len(source))
    chosen.class_names = tuple(classes)
    return chosen


def _shown(preprocessing: Sequence[Preprocessing]) -> str:
    return ', '.join(map(str, preprocessing))


def keep_weights(detector: Any, *checkpoints: str | None) -> Any:
    """Keep a runner from initialising what has been loaded.

    Args:
        detector (nn.Module): A detector.
        *checkpoints (str | None): What was loaded into its parts.

    Returns:
        nn.Module: The same detector.
    """
    if any(checkpoint is not None for checkpoint in checkpoints):
        detector._is_init = True  # as mmengine marks what init_weights() did
    return detector


def _preprocessing(model: ConfigDict) -> Preprocessing | None:
    return resolve_network(model['detector']).preprocessing


# Where resolve_network() looks.
setattr(class_subset_detector, 'preprocessing', _preprocessing)  # noqa: B010
