"""Losses."""

from mmxdistill.models.losses.feature_l2 import FeatureL2Loss
from mmxdistill.models.losses.smooth_l1 import CaffeSmoothL1Loss
from mmxdistill.models.losses.softmax import CaffeCrossEntropyLoss
from mmxdistill.models.losses.thresholded_sigmoid import (
    ThresholdedSigmoidLoss,
)

__all__ = [
    'CaffeCrossEntropyLoss',
    'CaffeSmoothL1Loss',
    'FeatureL2Loss',
    'ThresholdedSigmoidLoss',
]
