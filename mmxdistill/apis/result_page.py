"""The page of an inference: what a detector and its streams have found."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmdet.structures import DetDataSample

from mmxdistill.apis.inputs import Pair
from mmxdistill.models.detectors import LateFusionDetector
from mmxdistill.visualization.detection_page import DetectionPage
from mmxdistill.visualization.predictions import Found

__all__ = ['ResultPage']


class ResultPage:
    """Collects batches; of a late fusion it runs each stream alone, too.

    Args:
        path (str or PathLike): The page to write.
        model (nn.Module): The detector.
        detect (Callable): Runs the model on packed samples.
        classes (Sequence[str], optional): Names of the labels.
        score_thr (float): Detections of lower scores are not shown.
        facts (Mapping[str, str]): Said at the beginning.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: Any,
        detect: Callable[[list[dict]], list[DetDataSample]],
        classes: Sequence[str] | None,
        score_thr: float,
        facts: Mapping[str, str],
    ) -> None:
        self.model = model
        self._detect = detect
        self.streams: list[str] = []
        if isinstance(model, LateFusionDetector):
            self.streams = [n for n in model.streams if n not in model.absent]
        self._last = 'fused' if self.streams else 'found'
        self._page = DetectionPage(
            path, [*self.streams, self._last], classes, score_thr, facts
        )

    def add(
        self,
        pairs: Sequence[Pair],
        data: Sequence[dict],
        images: Sequence[Mapping[str, np.ndarray]],
        samples: Sequence[DetDataSample],
    ) -> None:
        """Show a batch.

        Args:
            pairs (Sequence[Pair]): Its pairs.
            data (Sequence[dict]): They, packed for the network.
            images (Sequence[Mapping]): Modality -> image of each.
            samples (Sequence[DetDataSample]): What was found in each.
        """
        alone = [self._detect_alone(one) for one in data]
        for pair, shown, streams, sample in zip(
            pairs, images, alone, samples, strict=True
        ):
            files = {
                name: source
                for name, source in pair.sources.items()
                if isinstance(source, str)
            }
            found = {**streams, self._last: sample}
            self._page.add(
                pair.name,
                shown,
                {name: _to_arrays(one) for name, one in found.items()},
                sample.get('missing_modalities', ()),
                files,
            )

    def write(self) -> None:
        """Write the page."""
        self._page.write()

    def _detect_alone(self, data: dict) -> dict[str, DetDataSample]:
        """What each stream finds in a pair, if it sees it."""
        missing = data['data_samples'].get('missing_modalities', ())
        alone = {}
        for name in self.streams:
            if self.model.modality_of(name) not in missing:
                with self.model.only(name):
                    (alone[name],) = self._detect([data])
        return alone


def _to_arrays(sample: DetDataSample) -> Found:
    found = sample.pred_instances
    boxes, labels, scores = (
        found[key].cpu().numpy() for key in ('bboxes', 'labels', 'scores')
    )
    return Found(boxes, labels, scores)
