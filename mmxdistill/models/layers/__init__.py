"""Layers with Caffe's numbers."""

from mmxdistill.models.layers.hypercolumn import (
    BoxUpsample,
    ClassifierGrid,
    ClassifierGridLoss,
    check_boxes,
    select_class_channels,
    sum_hypercolumn,
)
from mmxdistill.models.layers.lrn import CaffeLRN
from mmxdistill.models.layers.pooling import CaffeMaxPool
from mmxdistill.models.layers.roi_pool import (
    CaffeRoIPool,
    roi_pool,
    roi_pool_with_argmax,
)
from mmxdistill.models.layers.scale import ChannelScale, FeatureScale

__all__ = [
    'BoxUpsample',
    'CaffeLRN',
    'CaffeMaxPool',
    'CaffeRoIPool',
    'ChannelScale',
    'ClassifierGrid',
    'ClassifierGridLoss',
    'FeatureScale',
    'check_boxes',
    'roi_pool',
    'roi_pool_with_argmax',
    'select_class_channels',
    'sum_hypercolumn',
]
