"""Detectors: supervision transfer and late fusion."""

from mmxdistill.models.detectors.late_fusion import LateFusionDetector
from mmxdistill.models.detectors.supervision_transfer import (
    SupervisionTransfer,
)

__all__ = ['LateFusionDetector', 'SupervisionTransfer']
