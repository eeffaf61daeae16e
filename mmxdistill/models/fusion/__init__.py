"""Fusion of detectors that score the same boxes."""

from mmxdistill.models.fusion.base import HeadFusion
from mmxdistill.models.fusion.cascade import CascadeFusion
from mmxdistill.models.fusion.dense import DenseFusion
from mmxdistill.models.fusion.kinds import build_fusion
from mmxdistill.models.fusion.roi import RoIFusion
from mmxdistill.models.fusion.weights import FusionWeights

__all__ = [
    'CascadeFusion',
    'DenseFusion',
    'FusionWeights',
    'HeadFusion',
    'RoIFusion',
    'build_fusion',
]
