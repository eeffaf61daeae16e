"""Networks, detectors and their parts."""

from mmxdistill.models.backbones import (
    VGG16,
    CaffeNet,
    SqueezeNet,
    TimmBackbone,
)
from mmxdistill.models.data_preprocessors import MultiModalDataPreprocessor
from mmxdistill.models.detectors import (
    LateFusionDetector,
    SupervisionTransfer,
    class_subset_detector,
    zero_shot_detector,
)
from mmxdistill.models.layers import (
    BoxUpsample,
    CaffeLRN,
    CaffeMaxPool,
    CaffeRoIPool,
    ChannelScale,
    ClassifierGrid,
    ClassifierGridLoss,
    FeatureScale,
)
from mmxdistill.models.losses import (
    CaffeCrossEntropyLoss,
    CaffeSmoothL1Loss,
    FeatureL2Loss,
    ThresholdedSigmoidLoss,
)
from mmxdistill.models.necks import AdaptationNeck
from mmxdistill.models.pretrained import PretrainedInit
from mmxdistill.models.roi_heads import (
    DedupRoIHead,
    FastRCNNBBoxHead,
    HypercolumnMaskHead,
    HypercolumnRoIHead,
    SingleRoIExtractor,
)
from mmxdistill.models.task_modules import (
    CaffeBBoxCoder,
    CaffeBboxOverlaps2D,
    CaffeMaxIoUAssigner,
    CaffeRoISampler,
)
from mmxdistill.models.test_time_augs import CaffeTTAModel

__all__ = [
    'VGG16',
    'AdaptationNeck',
    'BoxUpsample',
    'CaffeBBoxCoder',
    'CaffeBboxOverlaps2D',
    'CaffeCrossEntropyLoss',
    'CaffeLRN',
    'CaffeMaxIoUAssigner',
    'CaffeMaxPool',
    'CaffeNet',
    'CaffeRoIPool',
    'CaffeRoISampler',
    'CaffeSmoothL1Loss',
    'CaffeTTAModel',
    'ChannelScale',
    'ClassifierGrid',
    'ClassifierGridLoss',
    'DedupRoIHead',
    'FastRCNNBBoxHead',
    'FeatureL2Loss',
    'FeatureScale',
    'HypercolumnMaskHead',
    'HypercolumnRoIHead',
    'LateFusionDetector',
    'MultiModalDataPreprocessor',
    'PretrainedInit',
    'SingleRoIExtractor',
    'SqueezeNet',
    'SupervisionTransfer',
    'ThresholdedSigmoidLoss',
    'TimmBackbone',
    'class_subset_detector',
    'zero_shot_detector',
]
