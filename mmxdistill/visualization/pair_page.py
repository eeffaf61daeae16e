"""Samples of data sets on one HTML page, with boxes and detections."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dataset import BaseDataset

from mmxdistill.visualization.contact_sheet import Sample, load_samples
from mmxdistill.visualization.gallery import LIMIT, Boxes, Gallery, Picture
from mmxdistill.visualization.page import Page, link
from mmxdistill.visualization.predictions import Found

__all__ = ['PairPage', 'plot_objects', 'plot_sizes']

_BARS = 30


class PairPage:
    """Shows samples as the network gets them, data set after data set.

    Args:
        path (str or PathLike): The page to write.
        config (str): Name of the config.
        num_sets (int): Data sets to come, which share the size of the page.
        num_proposals (int): The best ones are drawn.
        predictions (Mapping, optional): Name of a detector -> ``img_id`` ->
            what it found; of the same images.
        score_thr (float): Detections of lower scores are not drawn.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        config: str,
        num_sets: int = 1,
        num_proposals: int = 10,
        predictions: Mapping[str, Mapping[Any, Found]] | None = None,
        score_thr: float = 0.3,
    ) -> None:
        self.path = Path(path)
        self.num_proposals = num_proposals
        self.predictions = predictions or {}
        self.score_thr = score_thr
        self._limit = LIMIT // max(num_sets, 1)
        self._unused = set(self.predictions)
        self._page = Page(
            f'Pairs of {config}',
            'Evenly spaced samples of the data sets as the network gets them, '
            'after the whole pipeline.',
        )

    def add(self, name: str, dataset: BaseDataset, num: int) -> dict[int, str]:
        """Show a data set.

        Args:
            name (str): Its name.
            dataset (BaseDataset): With a pipeline.
            num (int): Number of samples.

        Returns:
            dict[int, str]: Of the samples that could not be loaded, the index
            and why.

        Raises:
            ValueError: The data set is empty.
        """
        gallery = Gallery(limit=self._limit, floor=self.score_thr)
        classes = dataset.metainfo.get('classes') or ()
        failures = {}
        for index, sample in load_samples(dataset, num):
            if isinstance(sample, str):
                failures[index] = sample
            elif not gallery.full:
                self._show(gallery, sample, classes)
            else:
                gallery.skip()
        self._page.section(name)
        self._page.facts(
            {'samples': len(dataset), 'shown': len(gallery.cards)}
        )
        if failures:
            self._page.table(
                ['sample', 'why it cannot be loaded'],
                [[index, text] for index, text in failures.items()],
            )
        self._page.gallery(gallery)
        self._summarise(dataset, classes)
        return failures

    def write(self) -> None:
        """Write the page.

        Raises:
            ValueError: A detector has found nothing in what was shown: its
                detections are of other images.
        """
        if self._unused:
            raise ValueError(
                f'predictions {sorted(self._unused)} are of none of the images'
                ' that are shown: give the split that was tested (--split)'
            )
        self._page.write(self.path)

    def _show(self, gallery: Gallery, sample: Sample, classes: Any) -> None:
        layers = []
        if self.num_proposals and len(sample.proposals):
            best = sample.proposals[: self.num_proposals]
            layers.append(Boxes('proposals', best, dashed=True))
        if len(sample.boxes):
            kept = np.flatnonzero(~sample.ignored)
            texts = [sample.texts[i] for i in kept]
            named = not self.predictions
            layers.append(
                Boxes('objects', sample.boxes[kept], texts, named=named)
            )
        if sample.ignored.any():
            away = np.flatnonzero(sample.ignored)
            texts = [sample.texts[i] for i in away]
            layers.append(
                Boxes('not trained on', sample.boxes[away], texts, named=False)
            )
        for name, by_image in self.predictions.items():
            if sample.img_id in by_image:
                self._unused.discard(name)
                found = by_image[sample.img_id].above(self.score_thr)
                last = name == list(self.predictions)[-1]
                layers.append(_layer(name, found, sample, classes, last))
        pictures = [
            Picture(
                modality,
                image,
                layers,
                href=link(sample.paths[modality], self.path)
                if modality in sample.paths
                else None,
            )
            for modality, image in sample.images.items()
        ]
        gallery.add(sample.name, pictures)

    def _summarise(self, dataset: BaseDataset, classes: Any) -> None:
        """Count the objects of the whole data set."""
        counts: Counter[str] = Counter()
        ignored: Counter[str] = Counter()
        sides = []
        for index in range(len(dataset)):
            for one in dataset.get_data_info(index).get('instances', ()):
                label = str(classes[one['bbox_label']])
                (ignored if one.get('ignore_flag') else counts)[label] += 1
                x1, y1, x2, y2 = one['bbox']
                sides.append(max(x2 - x1, 0) * max(y2 - y1, 0))
        if not sides:
            return
        names = [name for name in classes if counts[name] or ignored[name]]
        self._page.table(
            ['class', 'objects', 'not trained on'],
            [[name, counts[name], ignored[name]] for name in names],
            'Objects of the whole data set',
        )
        figure = Figure((9, 3.2), layout='constrained')
        left, right = figure.subplots(1, 2)
        plot_objects(left, counts, 'objects')
        plot_sizes(right, np.sqrt(sides))
        self._page.plot(
            figure,
            'Left: number of objects of each class, as in the table. Right: '
            'number of objects by the square root of their area in pixels.',
        )


def _layer(
    name: str, found: Found, sample: Sample, classes: Any, named: bool
) -> Boxes:
    """Detections, moved as the pipeline has moved the image."""
    found.check_labels(name, len(classes))
    boxes = HorizontalBoxes(found.boxes.astype(np.float32))
    if sample.homography is not None:
        boxes.project_(sample.homography)
    texts = [str(classes[label]) for label in found.labels]
    return Boxes(name, boxes.numpy(), texts, found.scores, named=named)


def plot_objects(axes: Any, counts: Mapping[str, int], label: str) -> None:
    """Plot how many there are of each class, the most frequent first.

    Args:
        axes (Axes): Where to draw.
        counts (Mapping[str, int]): Class -> number.
        label (str): What is counted.
    """
    shown = sorted(counts.items(), key=lambda item: -item[1])[:_BARS]
    axes.barh(
        [name.replace('$', r'\$') for name, _ in shown][::-1],
        [count for _, count in shown][::-1],
    )
    axes.set_xlabel(label)
    if len(shown) < len(counts):
        axes.set_title(f'the {_BARS} most frequent of {len(counts)} classes')


def plot_sizes(axes: Any, sides: np.ndarray) -> None:
    """Plot how large objects are.

    Args:
        axes (Axes): Where to draw.
        sides (np.ndarray): (n,) square roots of the areas in pixels.
    """
    axes.hist(sides, bins=min(30, max(5, len(sides) // 4)))
    axes.set_xlabel('square root of the area (pixels)')
    axes.set_ylabel('objects')
