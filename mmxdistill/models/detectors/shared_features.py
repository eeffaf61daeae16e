"""A detector's own loss from features that are computed already."""

from __future__ import annotations

import copy
from typing import Any

from mmdet.structures import SampleList
from torch import Tensor

__all__ = ['SharedFeatures']


class SharedFeatures:
    """While open, ``extract_feat`` of a detector runs once for all.

    Args:
        detector (nn.Module): Its ``loss`` calls its ``extract_feat``.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self._features: Any = None

    def __enter__(self) -> SharedFeatures:
        compute = self.detector.extract_feat

        def extract_feat(batch_inputs: Tensor) -> Any:
            if self._features is None:
                self._features = compute(batch_inputs)
            return self._features

        self.detector.extract_feat = extract_feat
        return self

    def __exit__(self, *_: object) -> None:
        del self.detector.extract_feat  # the class's appears again

    def losses(self, inputs: Tensor, samples: SampleList) -> dict[str, Any]:
        """Compute the detector's loss on the labelled images of the batch.

        Args:
            inputs (Tensor): (N, C, H, W), of which the features are.
            samples (list[DetDataSample]): N samples. Those whose
                ``gt_instances`` have no ``bboxes`` are not labelled (no boxes
                are a label as well).

        Returns:
            dict[str, Tensor]: The losses; empty if nothing is labelled.
        """
        labelled = [
            i
            for i, sample in enumerate(samples)
            if 'bboxes' in sample.get('gt_instances', ())
        ]
        if not labelled:
            return {}
        features = self._features
        if len(labelled) < len(samples):
            features = _pick(features, labelled)
            inputs = inputs[labelled]
        self.detector.extract_feat = lambda batch_inputs: features
        chosen = []
        for i in labelled:
            sample = copy.copy(samples[i])
            if 'proposals' in sample:  # a detector consumes them
                sample.proposals = sample.proposals.clone()
            chosen.append(sample)
        return self.detector.loss(inputs, chosen)


def _pick(features: Any, indices: list[int]) -> Any:
    """The given images of a batch of features."""
    if isinstance(features, Tensor):
        return features[indices]
    if isinstance(features, dict):
        return {key: _pick(item, indices) for key, item in features.items()}
    return type(features)(_pick(item, indices) for item in features)
