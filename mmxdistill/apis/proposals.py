"""Proposals for pairs that belong to no data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from mmxdistill.datasets.proposal_file import ProposalFile, proposal_boxes
from mmxdistill.datasets.proposals import (
    edge_boxes,
    merge_proposals,
    require_contrib,
    selective_search,
    sliding_windows,
)

__all__ = ['METHODS', 'ProposalSource']

METHODS = ('selective_search', 'edge_boxes', 'windows')
_LIMIT = 2000

Images: TypeAlias = Mapping[str, np.ndarray]


class ProposalSource:
    """Where a pair gets its proposals from.

    Args:
        source (Any): One of :data:`METHODS`; the path of a proposal file
            (see :class:`ProposalFile`); or the boxes: an array (n, 4) xyxy in
            pixels of the first modality, best first, or (n, 5) with scores,
            or a dict of ``bboxes`` and ``scores``; a list of these for
            several pairs.

    Raises:
        ImportError: OpenCV lacks its contrib modules.
        FileNotFoundError: There is no such file.
        ValueError: The boxes are none.
    """

    def __init__(self, source: Any) -> None:
        self._file: ProposalFile | None = None
        self._given: Iterator[Any] | None = None
        self._method = ''
        if isinstance(source, str) and source in METHODS:
            if source != 'windows':
                require_contrib()
            self._method = source
        elif isinstance(source, (str, os.PathLike)):
            if not os.path.isfile(source):
                raise FileNotFoundError(
                    f"proposals='{source}' is neither a file nor one of "
                    f'{list(METHODS)}'
                )
            self._file = ProposalFile(source)
        else:
            single = isinstance(source, (np.ndarray, Mapping))
            self._given = iter([source] if single else source)

    def __call__(
        self, name: str, path: str | None, images: Callable[[], Images]
    ) -> dict[str, np.ndarray]:
        """Get the proposals of the next pair.

        Args:
            name (str): The pair, for messages.
            path (str, optional): File of its first modality.
            images (Callable): Returns its images, (H, W, C) by modality.

        Returns:
            dict: ``bboxes`` (n, 4) and ``scores`` (n,), best first.

        Raises:
            KeyError: The file has none for it.
            ValueError: There are fewer lists of boxes than pairs, or a box is
                wrong.
        """
        if self._method:
            boxes, scores = self._search(images())
            return dict(bboxes=boxes, scores=scores)
        if self._file is not None:
            if path is None:
                raise ValueError(
                    f"'{name}' has no file name by which to find its "
                    f"proposals in '{self._file.path}': give boxes, or one of "
                    f'{list(METHODS)}'
                )
            return self._file.table([path])[0]
        assert self._given is not None
        entry = next(self._given, None)
        if entry is None:
            raise ValueError(
                f"proposals: there are no boxes left for '{name}'; give a "
                'list with the boxes of every pair'
            )
        try:
            found = proposal_boxes(entry)
            boxes = found.bboxes
            if (
                not np.isfinite(boxes).all()
                or (boxes[:, 2:] < boxes[:, :2]).any()
            ):
                raise ValueError('boxes must be x1, y1, x2, y2 in pixels')
        except ValueError as error:
            raise ValueError(f"proposals of '{name}': {error}") from error
        return found._asdict()

    def close(self) -> None:
        """Check that all given boxes were used.

        Raises:
            ValueError: There are more lists of boxes than pairs.
        """
        if self._given is not None and next(self._given, None) is not None:
            raise ValueError('proposals: more lists of boxes than pairs')

    def _search(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Search all modalities, as ``generate_proposals.py`` does."""
        sources: list[np.ndarray] = []
        for name, image in images.items():
            height, width, channels = image.shape
            if self._method == 'windows':
                sources = [sliding_windows(height, width)]
                break
            if image.dtype != np.uint8 or channels not in (1, 3):
                raise ValueError(
                    f"modality '{name}' is {image.dtype} with {channels} "
                    'channels, but the search needs 8-bit grey or colour: '
                    "give proposals='windows', or boxes"
                )
            colour = np.repeat(image, 3 // channels, axis=2)
            search = dict(
                selective_search=selective_search, edge_boxes=edge_boxes
            )[self._method]
            sources.append(search(np.ascontiguousarray(colour)))
        return merge_proposals(sources, _LIMIT)
