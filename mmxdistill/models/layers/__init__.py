"""Layers with Caffe's numbers."""

from mmxdistill.models.layers.roi_pool import (
    CaffeRoIPool,
    roi_pool,
    roi_pool_with_argmax,
)
from mmxdistill.models.layers.scale import FeatureScale

__all__ = ['CaffeRoIPool', 'FeatureScale', 'roi_pool', 'roi_pool_with_argmax']
