"""Detections in new pairs of images, on one HTML page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmxdistill.visualization.gallery import Boxes, Gallery, Picture
from mmxdistill.visualization.page import Cell, Page, link
from mmxdistill.visualization.pair_page import plot_objects
from mmxdistill.visualization.predictions import Found

__all__ = ['DetectionPage']


class DetectionPage:
    """Shows pairs with what a detector, and each of its streams, has found.

    Args:
        path (str or PathLike): The page to write.
        detectors (Sequence[str]): Their names; the last one is counted, the
            others are the streams of which it is made.
        classes (Sequence[str], optional): Names of the labels.
        score_thr (float): Detections of lower scores are not shown.
        facts (Mapping[str, str]): Said at the beginning, such as the config.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        detectors: Sequence[str],
        classes: Sequence[str] | None,
        score_thr: float,
        facts: Mapping[str, str],
    ) -> None:
        self.path = Path(path)
        self.detectors = list(detectors)
        self.classes = classes
        self.score_thr = score_thr
        self._facts = dict(facts)
        self._gallery = Gallery(floor=score_thr)
        self._rows: list[list[Cell]] = []
        self._counts: Counter[str] = Counter()
        self._scores: list[float] = []

    def add(
        self,
        name: str,
        images: Mapping[str, np.ndarray],
        found: Mapping[str, Found],
        missing: Sequence[str] = (),
        paths: Mapping[str, str] | None = None,
    ) -> None:
        """Show a pair.

        Args:
            name (str): Of the pair.
            images (Mapping): Modality -> image (H, W, C).
            found (Mapping[str, Found]): Detector -> what it has found; a
                stream whose modality is missing has found nothing.
            missing (Sequence[str]): Modalities whose images stand in.
            paths (Mapping, optional): Modality -> its file.
        """
        hrefs = {n: link(p, self.path) for n, p in (paths or {}).items()}
        kept = {n: one.above(self.score_thr) for n, one in found.items()}
        last = kept[self.detectors[-1]]
        self._counts.update(self._names(last))
        self._scores += last.scores.tolist()
        self._rows.append(self._row(name, kept, missing, hrefs))
        if self._gallery.full:
            self._gallery.skip()
            return
        layers = [
            Boxes(
                detector,
                kept[detector].boxes,
                self._names(kept[detector]),
                kept[detector].scores,
                dashed=detector != self.detectors[-1],
                named=detector == self.detectors[-1],
            )
            for detector in self.detectors
            if detector in kept
        ]
        self._gallery.add(
            name,
            [
                Picture(
                    modality,
                    None if modality in missing else image,
                    layers,
                    hrefs.get(modality),
                )
                for modality, image in images.items()
            ],
        )

    def write(self) -> None:
        """Write the page."""
        page = Page(
            'Detections',
            f'{len(self._rows)} pairs, {len(self._scores)} objects of score '
            f'{self.score_thr:g} and more.',
        )
        page.facts(self._facts)
        page.section('Pairs')
        page.gallery(self._gallery)
        page.section('Numbers')
        header = ['pair', *self.detectors, 'best score', 'missing', 'files']
        page.table(
            header,
            self._rows,
            f'Objects of score {self.score_thr:g} and more in each pair',
        )
        if self._scores:
            figure = Figure((9, 3.2), layout='constrained')
            left, right = figure.subplots(1, 2)
            plot_objects(left, self._counts, 'objects found')
            right.hist(self._scores, bins=20, range=(self.score_thr, 1))
            right.set_xlabel('score')
            right.set_ylabel('objects found')
            counted = ', '.join(
                f'{name} {count}'
                for name, count in self._counts.most_common(10)
            )
            page.plot(
                figure,
                f'Left: objects found of each class: {counted}. Right: number '
                'of objects found by their score.',
            )
        page.write(self.path)

    def _names(self, found: Found) -> list[str]:
        if self.classes is None:
            return [f'class {label}' for label in found.labels]
        return [str(self.classes[label]) for label in found.labels]

    def _row(
        self,
        name: str,
        kept: Mapping[str, Found],
        missing: Sequence[str],
        hrefs: Mapping[str, str],
    ) -> list[Cell]:
        counts = [
            Cell(str(len(kept[one].scores)))
            if one in kept
            else Cell('absent', muted=True)
            for one in self.detectors
        ]
        best = max(kept[self.detectors[-1]].scores.tolist(), default=None)
        return [
            Cell(name),
            *counts,
            Cell('none', muted=True) if best is None else Cell(f'{best:.2f}'),
            Cell(', '.join(missing)),
            Cell('', links=hrefs),
        ]
