"""Proposals of a scene, out of all of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmxdistill.datasets.proposals import (
    StructuredEdges,
    edge_boxes,
    gradient_edges,
    merge_proposals,
    require_contrib,
    selective_search,
    sliding_windows,
)

__all__ = ['ProposalSearch']


@dataclass(frozen=True)
class ProposalSearch:
    """How proposals are made.

    Attributes:
        methods: Out of :data:`mmxdistill.options.PROPOSAL_METHODS`.
        max_num: Proposals of a scene.
        max_side: Longer side of an image when it is searched, pixels.
        max_iou: A box that overlaps a better one by more is left out.
        edge_model: OpenCV's model of structured edges, None for gradients.
    """

    methods: Sequence[str] = ('selective_search',)
    max_num: int = 2000
    max_side: int = 400
    max_iou: float = 0.9
    edge_model: Path | None = None

    def check(self) -> None:
        """Look whether the methods can work here.

        Raises:
            ImportError: OpenCV lacks its contrib modules.
            ValueError: ``edge_model`` is none.
        """
        if self._looks:
            require_contrib()
        _ = self._edges

    def settings(self) -> dict[str, Any]:
        """For the record."""
        return dict(
            method=list(self.methods),
            max_num=self.max_num,
            max_side=self.max_side,
            max_iou=self.max_iou,
            edge_model=self.edge_model and str(self.edge_model),
        )

    @property
    def _looks(self) -> bool:
        """Whether it looks at the images; windows are where they are."""
        return set(self.methods) != {'windows'}

    @cached_property
    def _edges(self) -> Any:
        """Function that finds edges; a wrong model shows at once."""
        if self.edge_model is None:
            return gradient_edges
        edges = StructuredEdges(self.edge_model)
        edges(np.zeros((64, 64, 3), np.uint8))
        return edges

    def __call__(
        self, images: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Search the images of a scene; what each shows is proposed.

        Args:
            images (Mapping[str, np.ndarray]): Modality -> image (H, W, C),
                all of one size.

        Returns:
            tuple[np.ndarray, np.ndarray]: Boxes (n, 4), xyxy in pixels, and
            scores (n,) falling from 1; both float32.

        Raises:
            ValueError: An image is not 8-bit grey or colour.
        """
        sources: list[np.ndarray] = []
        if self._looks:
            for name, image in images.items():
                sources += self._search(_colour(name, image))
        if 'windows' in self.methods:
            height, width = next(iter(images.values())).shape[:2]
            sources.append(sliding_windows(height, width))
        return merge_proposals(sources, self.max_num, self.max_iou)

    def _search(self, image: np.ndarray) -> list[np.ndarray]:
        """Boxes (n, 4) of each method."""
        found = []
        if 'selective_search' in self.methods:
            found.append(selective_search(image, self.max_side))
        if 'edge_boxes' in self.methods:
            found.append(
                edge_boxes(image, self.max_side, self.max_num, self._edges)
            )
        return found


def _colour(name: str, image: np.ndarray) -> np.ndarray:
    channels = image.shape[2]
    if image.dtype != np.uint8 or channels not in (1, 3):
        raise ValueError(
            f"modality '{name}' is {image.dtype} with {channels} channels, "
            'but the search needs 8-bit grey or colour: use a config whose '
            'pipeline encodes it (EncodeHHA, EncodeDisparity, ...), encode '
            'the files first (encode_depth.py), or use windows'
        )
    return np.ascontiguousarray(np.repeat(image, 3 // channels, axis=2))
