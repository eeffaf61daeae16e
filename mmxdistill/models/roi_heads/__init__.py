"""Fast R-CNN heads, mask heads and RoI extractors."""

from mmxdistill.models.roi_heads.bbox_head import FastRCNNBBoxHead
from mmxdistill.models.roi_heads.hypercolumn_mask_head import (
    HypercolumnMaskHead,
)
from mmxdistill.models.roi_heads.roi_extractor import SingleRoIExtractor
from mmxdistill.models.roi_heads.roi_head import FastRCNNRoIHead

__all__ = [
    'FastRCNNBBoxHead',
    'FastRCNNRoIHead',
    'HypercolumnMaskHead',
    'SingleRoIExtractor',
]
