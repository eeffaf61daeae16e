"""Geometry that the stock transforms do not cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmdet.datasets.transforms import Pad as MMDetPad
from mmdet.structures.bbox import HorizontalBoxes, get_box_tensor

from mmxdistill.datasets.transforms.stock_checks import walk
from mmxdistill.datasets.transforms.stock_names import UNRECORDED, is_a
from mmxdistill.registry import TRANSFORMS

__all__ = ['FastProposalBroadcaster', 'Pad']


@TRANSFORMS.register_module()
class Pad(MMDetPad):
    """``mmdet.Pad``; the axis of a single channel stays."""

    def _pad_img(self, results: dict) -> None:
        axes = results['img'].ndim
        super()._pad_img(results)
        if axes == 3:
            results['img'] = np.atleast_3d(results['img'])
            results['pad_shape'] = results['img'].shape


@TRANSFORMS.register_module()
class FastProposalBroadcaster(BaseTransform):
    """Move the proposals as the wrapped transforms move the image.

    A drop-in for ``mmdet.ProposalBroadcaster``, which copies the sample and
    transforms the image a second time. Here the proposals follow the
    ``homography_matrix`` that mmdet's geometric transforms record (``Resize``
    and its kin, ``RandomFlip``, ``RandomCrop``, ``Rotate``, ``ShearX``, ...);
    a transform that moves the image without recording it is an error.

    Required Keys:

    - img, img_shape
    - proposals (np.float32, (n, 4)), proposals_scores (np.float32, (n,))

    Modified Keys:

    - proposals, proposals_scores: clipped to the image, and proposals that
      left it are dropped, unless the transform has ``clip_object_border``
      False
    - whatever the wrapped transforms modify

    Args:
        transforms (list[dict]): Geometric transforms, in order.

    Raises:
        TypeError: One of them moves the image without recording how.
    """

    def __init__(self, transforms: list[dict]) -> None:
        self.transforms = Compose(
            [TRANSFORMS.build(transform) for transform in transforms]
        ).transforms
        for transform in walk(self.transforms):
            if is_a(transform, UNRECORDED):
                raise TypeError(_unrecorded(transform))

    def transform(self, results: dict) -> dict | None:
        """Apply the wrapped transforms.

        Args:
            results (dict): Sample.

        Returns:
            dict | None: Sample, None if a wrapped transform rejects it.

        Raises:
            KeyError: The sample has no proposals.
            TypeError: A transform moved the image without recording how.
            ValueError: They are no boxes with a score each.
        """
        if results.get('proposals') is None:
            raise KeyError(
                f"'{results.get('img_path')}' has no 'proposals': set "
                'proposal_file of the data set and put LoadProposals before '
                'FastProposalBroadcaster'
            )
        # Double, so that several transforms round only once, at the end; and
        # one row a side, as NumPy is slow along rows of four.
        boxes = np.asarray(results['proposals'], np.float64)
        scores = np.asarray(results['proposals_scores'], np.float32)
        if boxes.shape != (len(scores), 4):
            raise ValueError(
                f"'{results.get('img_path')}': proposals {boxes.shape} and "
                f'proposals_scores {scores.shape} must be (n, 4) and (n,)'
            )
        sides = np.ascontiguousarray(boxes.T)
        total = results.pop('homography_matrix', None)
        for transform in self.transforms:
            before = self._geometry(results)
            results = transform(results)
            if results is None:
                return None
            step = results.pop('homography_matrix', None)
            if step is None:
                self._assert_still(transform, before, results)
                continue
            total = step if total is None else step @ total
            sides = _project(sides, np.asarray(step, np.float64))
            if getattr(transform, 'clip_object_border', True):
                sides, inside = _clip(sides, results['img_shape'])
                if not inside.all():
                    sides, scores = sides[:, inside], scores[inside]
        if total is not None:
            results['homography_matrix'] = total
        results['proposals'] = np.ascontiguousarray(sides.T, np.float32)
        results['proposals_scores'] = scores
        return results

    @staticmethod
    def _geometry(results: dict) -> tuple[tuple, torch.Tensor | None]:
        boxes = results.get('gt_bboxes')
        if boxes is not None:
            boxes = torch.as_tensor(get_box_tensor(boxes)).clone()
        return tuple(results['img'].shape[:2]), boxes

    def _assert_still(
        self, transform: Any, before: tuple, results: dict
    ) -> None:
        shape, boxes = self._geometry(results)
        same_boxes = boxes is None or torch.equal(boxes, before[1])
        same_shape = shape == before[0] or isinstance(transform, MMDetPad)
        if not (same_boxes and same_shape):
            raise TypeError(_unrecorded(transform))

    def __repr__(self) -> str:
        """Name and wrapped transforms."""
        return f'{type(self).__name__}({self.transforms})'


def _project(sides: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes (4, n) around what a homography makes of them."""
    if (matrix * [[0, 1, 0], [1, 0, 0], [1, 1, 0]]).any():  # turned
        turned = HorizontalBoxes(sides.T.copy())
        turned.project_(matrix)
        return np.ascontiguousarray(turned.numpy().T)
    axes = [0, 1, 0, 1]
    corners = sides * matrix[axes, axes][:, None]
    corners += matrix[axes, 2][:, None]
    corners /= matrix[2, 2]
    one, other = corners[:2], corners[2:]
    return np.concatenate([np.minimum(one, other), np.maximum(one, other)])


def _clip(
    sides: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Clip boxes (4, n) to an image, and tell which of them are in it."""
    ends = np.array([shape[1], shape[0]] * 2)[:, None]
    sides = sides.clip(0, ends)
    along_x, along_y = (sides[:2] < ends[:2]) & (sides[2:] > 0)
    return sides, along_x & along_y


def _unrecorded(transform: object) -> str:
    return (
        f'{type(transform).__name__} moves the image without recording '
        "'homography_matrix', so the proposals cannot follow: wrap it in "
        'mmdet.ProposalBroadcaster instead'
    )
