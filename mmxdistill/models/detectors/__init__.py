"""Detectors: supervision transfer, late fusion, zero-shot assembly."""

from mmxdistill.models.detectors.class_subset import class_subset_detector
from mmxdistill.models.detectors.late_fusion import LateFusionDetector
from mmxdistill.models.detectors.supervision_transfer import (
    SupervisionTransfer,
)
from mmxdistill.models.detectors.zero_shot import zero_shot_detector

__all__ = [
    'LateFusionDetector',
    'SupervisionTransfer',
    'class_subset_detector',
    'zero_shot_detector',
]
