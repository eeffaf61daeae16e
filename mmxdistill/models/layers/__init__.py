"""Layers with Caffe's numbers."""

from mmxdistill.models.layers.hypercolumn import (
    BoxUpsample,
    ClassifierGrid,
    ClassifierGridLoss,
    PickSlice,
    sum_hypercolumn,
)
from mmxdistill.models.layers.lrn import CaffeLRN
from mmxdistill.models.layers.pooling import CaffeMaxPool
from mmxdistill.models.layers.roi_pool import (
    CaffeRoIPool,
    roi_pool,
    roi_pool_with_argmax,
)
from mmxdistill.models.layers.scale import (
    CaffePower,
    ChannelScale,
    FeatureScale,
)

__all__ = [
    'BoxUpsample',
    'CaffeLRN',
    'CaffeMaxPool',
    'CaffePower',
    'CaffeRoIPool',
    'ChannelScale',
    'ClassifierGrid',
    'ClassifierGridLoss',
    'FeatureScale',
    'PickSlice',
    'roi_pool',
    'roi_pool_with_argmax',
    'sum_hypercolumn',
]
