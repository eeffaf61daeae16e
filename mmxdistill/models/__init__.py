"""Networks, detectors and their parts."""

from mmxdistill.models.backbones import VGG16, CaffeNet, SqueezeNet
from mmxdistill.models.data_preprocessors import MultiModalDataPreprocessor
from mmxdistill.models.detectors import (
    LateFusionDetector,
    SupervisionTransfer,
)
from mmxdistill.models.layers import CaffeRoIPool, FeatureScale
from mmxdistill.models.losses import FeatureL2Loss
from mmxdistill.models.necks import AdaptationNeck
from mmxdistill.models.roi_heads import FastRCNNBBoxHead, SingleRoIExtractor

__all__ = [
    'VGG16',
    'AdaptationNeck',
    'CaffeNet',
    'CaffeRoIPool',
    'FastRCNNBBoxHead',
    'FeatureL2Loss',
    'FeatureScale',
    'LateFusionDetector',
    'MultiModalDataPreprocessor',
    'SingleRoIExtractor',
    'SqueezeNet',
    'SupervisionTransfer',
]
