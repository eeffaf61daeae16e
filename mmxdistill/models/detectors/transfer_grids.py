"""Grids of student and teacher: whether they meet, and which cells count."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmdet.structures import SampleList
from torch import Tensor

from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.features import FeatureExtractor

__all__ = ['check_grids', 'explain_mismatch', 'padded_sizes', 'valid_cells']

_CELL = 16  # of the sizes that are tried, unless padding says otherwise
_TRIED = range(-3, 5)


Source = tuple[FeatureExtractor, str]


def check_grids(
    point: TransferPoint, student: Source, teacher: Source, divisor: int
) -> None:
    """Refuse a transfer point whose grids meet for no image.

    Args:
        point (TransferPoint): The point, its adaptation built.
        student (tuple[FeatureExtractor, str]): What computes the student's
            feature, and its name.
        teacher (tuple[FeatureExtractor, str]): The same of the teacher.
        divisor (int): Sizes of images are multiples of it.

    Raises:
        ValueError: They differ for all sizes that were tried.
    """
    info, target = (
        source[0].infos[source[1]] for source in (student, teacher)
    )
    if point.align != 'error':
        return
    for size, grid in info.grids.items():
        if target.grids.get(size) == point.adapted(info, grid)[2:]:
            return
    size = next(iter(info.grids))
    good = _good_extents(point, student, teacher, size[0], divisor)
    if not good:
        raise ValueError(
            f"transfer point '{point.name}': the grids of the student's "
            f"{info} and of the teacher's {target} meet for no image whose "
            f'sides are multiples of {divisor}: name features of one stride, '
            "or set align='resize' (interpolates the student's), or "
            "align='crop' if they differ by a cell at the border"
        )


def explain_mismatch(
    point: TransferPoint,
    student: Source,
    teacher: Source,
    shapes: tuple[Sequence[int], Sequence[int]],
    size: Sequence[int],
) -> str:
    """Say which sizes of images would make the grids meet.

    Args:
        point (TransferPoint): The point.
        student (tuple[FeatureExtractor, str]): See :func:`check_grids`.
        teacher (tuple[FeatureExtractor, str]): The same of the teacher.
        shapes (tuple): Of the two features.
        size (Sequence[int]): Height and width of the images.

    Returns:
        str: For an error message.
    """
    h, w = size
    message = (
        f"transfer point '{point.name}': for input {h}x{w} the student's "
        f"grid is {tuple(shapes[0][2:])}, the teacher's "
        f'{tuple(shapes[1][2:])} (h, w). '
    )
    if student[0].needs_rois or teacher[0].needs_rois:
        return message + 'Use the same roi_feat_size in both heads'
    good = _good_extents(point, student, teacher, h, _CELL)
    return message + (
        f'Image heights and widths that align near {h}: {good or "none"}. '
        'Set pad_size_divisor of the data_preprocessor (32 aligns VGG16 '
        'and both AlexNet geometries), another geometry of the student, '
        "align='crop' to compare the common top-left part, or "
        "align='resize' to interpolate the student's feature"
    )


def _good_extents(
    point: TransferPoint,
    student: Source,
    teacher: Source,
    extent: int,
    divisor: int,
) -> list[int]:
    """Sides of square images near ``extent`` for which the grids meet."""
    step = math.lcm(_CELL, divisor)
    extents = sorted({(extent // step + i) * step for i in _TRIED})
    info = student[0].infos[student[1]]
    good = []
    for side in extents:
        if side <= 0:
            continue
        own, other = (
            extractor.grids((side, side)).get(name)
            for extractor, name in (student, teacher)
        )
        if own is not None and point.adapted(info, own)[2:] == other:
            good.append(side)
    return good


def padded_sizes(
    samples: SampleList, inputs: Tensor, divisor: int
) -> list[tuple[int, int]]:
    """Tell how large each image of a batch would be alone.

    Args:
        samples (list[DetDataSample]): With ``img_shape``, if it is known.
        inputs (Tensor): (N, C, H, W).
        divisor (int): Sizes are padded to multiples of it.

    Returns:
        list[tuple[int, int]]: Height and width of each, at most those of the
        batch.
    """
    height, width = inputs.shape[-2:]
    sizes = []
    for sample in samples:
        h, w = sample.get('img_shape', (height, width))[:2]
        sizes.append(
            (
                min(-(-int(h) // divisor) * divisor, height),
                min(-(-int(w) // divisor) * divisor, width),
            )
        )
    return sizes


def valid_cells(
    samples: SampleList | None,
    inputs: Tensor,
    grid: Sequence[int],
    shape: Sequence[int],
) -> Tensor | None:
    """Find the cells that are no padding.

    A cell counts if its centre is in the image.

    Args:
        samples (list[DetDataSample], optional): With ``img_shape``.
        inputs (Tensor): (N, C, H, W).
        grid (Sequence[int]): h and w of the feature of the whole input.
        shape (Sequence[int]): h and w of what is compared (after a crop).

    Returns:
        Tensor | None: (N, 1, h, w) bool; None if all count.
    """
    height, width = inputs.shape[-2:]
    rows = []
    for sample in samples or ():
        h, w = sample.get('img_shape', (height, width))[:2]
        rows.append((_count(h, height, grid[0]), _count(w, width, grid[1])))
    if all(h >= shape[0] and w >= shape[1] for h, w in rows):
        return None
    valid = torch.zeros((len(rows), 1, *shape), dtype=torch.bool)
    for mask, (h, w) in zip(valid, rows, strict=True):
        mask[:, :h, :w] = True
    return valid.to(inputs.device)


def _count(extent: int, padded: int, cells: int) -> int:
    """Cells whose centre is within ``extent`` of ``padded`` pixels."""
    return max(math.ceil(extent * cells / padded - 0.5), 1)
