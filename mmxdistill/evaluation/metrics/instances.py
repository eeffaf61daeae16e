"""What the metrics read from a sample: labels, and regions of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from pycocotools import mask as coco_mask
from torch import Tensor

__all__ = ['RunLengths', 'as_array', 'class_indices', 'encode_regions']

# COCO's run-length encoding: {'size': [H, W], 'counts': bytes}.
RunLengths = dict[str, Any]


def as_array(values: Any) -> np.ndarray:
    """A tensor of any device, or a sequence, as an array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy has no such numbers.
        half = values.dtype == torch.bfloat16
        return (values.float() if half else values).numpy()
    return np.asarray(values)


def class_indices(
    labels: Any, sample: Mapping[str, Any], part: str
) -> np.ndarray:
    """Labels as indices of classes.

    Args:
        labels (Tensor | np.ndarray | Sequence): (n,), whole numbers of any
            type.
        sample (Mapping): The sample, for messages.
        part (str): Where the labels are, for messages.

    Returns:
        np.ndarray: int64, (n,).

    Raises:
        ValueError: A label is no whole number.
    """
    given = as_array(labels).reshape(-1)
    indices = given.astype(np.int64)
    wrong = indices != given
    if wrong.any():
        raise ValueError(
            f"the {part} of '{sample.get('img_path')}' have the label "
            f'{given[wrong][0]}: labels are indices of classes'
        )
    return indices


def encode_regions(masks: Any, threshold: float = 0.5) -> list[RunLengths]:
    """Regions of any kind as run lengths.

    Args:
        masks (Tensor | np.ndarray | BitmapMasks | PolygonMasks | Sequence):
            Masks (R, H, W): boolean; integer, where all but 0 is in the
            region; or floating-point probabilities, where the region is what
            reaches the threshold. Or a list of COCO's run lengths, with
            ``counts`` as bytes, str or list.
        threshold (float): Lowest probability in the region. Defaults to 0.5.

    Returns:
        list[dict]: One a region.

    Raises:
        ValueError: The masks have another shape, or floats that are no
            probabilities.
    """
    if isinstance(masks, (BitmapMasks, PolygonMasks)):
        masks = masks.to_ndarray()
    if isinstance(masks, Sequence):
        if all(isinstance(mask, Mapping) for mask in masks):
            return [_compressed(mask) for mask in masks]
        masks = np.stack([as_array(mask) for mask in masks])
    masks = as_array(masks)
    if masks.ndim != 3:
        raise ValueError(f'masks must be (R, H, W), got shape {masks.shape}')
    if np.issubdtype(masks.dtype, np.floating):
        # NaN is neither.
        if not ((masks >= 0) & (masks <= 1)).all():
            raise ValueError(
                'floating-point masks must be probabilities from 0 to 1, '
                f'found values from {masks.min()} to {masks.max()}'
            )
        masks = masks >= threshold
    columns = (masks != 0).astype(np.uint8).transpose(1, 2, 0)
    return coco_mask.encode(np.asfortranarray(columns))


def _compressed(run_lengths: Mapping[str, Any]) -> RunLengths:
    """Run lengths whose counts are bytes, as pycocotools wants them."""
    size, counts = list(run_lengths['size']), run_lengths['counts']
    if isinstance(counts, str):
        counts = counts.encode()
    if isinstance(counts, bytes):
        return dict(size=size, counts=counts)
    total = int(np.sum(counts))
    if total != size[0] * size[1]:
        raise ValueError(
            f'run lengths add up to {total} pixels, but the mask has the size '
            f'{size}'
        )
    counts = [int(count) for count in counts]
    return coco_mask.frPyObjects(dict(size=size, counts=counts), *size)
