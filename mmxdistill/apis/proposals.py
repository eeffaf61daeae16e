"""Proposals for pairs that belong to no data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from mmxdistill.datasets.proposal_boxes import check_corners, proposal_boxes
from mmxdistill.datasets.proposal_file import ProposalFile
from mmxdistill.datasets.proposal_search import ProposalSearch
from mmxdistill.options import PROPOSAL_METHODS

__all__ = ['ProposalSource']

Images: TypeAlias = Mapping[str, np.ndarray]


class ProposalSource:
    """Where a pair gets its proposals from.

    Args:
        source (Any): 'selective_search', 'edge_boxes' or 'windows'; the path
            of a proposal file (see :class:`ProposalFile`); or the boxes: an
            array (n, 4) xyxy in pixels of the first modality, best first, or
            (n, 5) with scores, or a dict of ``bboxes`` and ``scores``; a list
            of these for several pairs.

    Raises:
        ImportError: OpenCV lacks its contrib modules.
        FileNotFoundError: There is no such file.
        ValueError: The boxes are none.
    """

    def __init__(self, source: Any) -> None:
        self._file: ProposalFile | None = None
        self._given: Iterator[Any] | None = None
        self._search: ProposalSearch | None = None
        if isinstance(source, str) and source in PROPOSAL_METHODS:
            self._search = ProposalSearch([source])
            self._search.check()
        elif isinstance(source, (str, os.PathLike)):
            if not os.path.isfile(source):
                raise FileNotFoundError(
                    f"proposals='{source}' is neither a file nor one of "
                    f'{list(PROPOSAL_METHODS)}'
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
        if self._search is not None:
            boxes, scores = self._search(images())
            return dict(bboxes=boxes, scores=scores)
        if self._file is not None:
            if path is None:
                raise ValueError(
                    f"'{name}' has no file name by which to find its "
                    f"proposals in '{self._file.path}': give boxes, or one of "
                    f'{list(PROPOSAL_METHODS)}'
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
            check_corners(found)
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
