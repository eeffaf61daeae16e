"""Detectors: supervision transfer, late fusion, zero-shot assembly."""

from mmxdistill.models.detectors.late_fusion import LateFusionDetector
from mmxdistill.models.detectors.supervision_transfer import (
    SupervisionTransfer,
)
from mmxdistill.models.detectors.zero_shot import zero_shot_detector

__all__ = ['LateFusionDetector', 'SupervisionTransfer', 'zero_shot_detector']
