"""Fast R-CNN heads, mask heads and RoI extractors."""

from mmxdistill.models.roi_heads.bbox_head import FastRCNNBBoxHead
from mmxdistill.models.roi_heads.dedup_roi_head import DedupRoIHead
from mmxdistill.models.roi_heads.hypercolumn_mask_head import (
    HypercolumnMaskHead,
)
from mmxdistill.models.roi_heads.hypercolumn_roi_head import (
    HypercolumnRoIHead,
)
from mmxdistill.models.roi_heads.roi_extractor import SingleRoIExtractor

__all__ = [
    'DedupRoIHead',
    'FastRCNNBBoxHead',
    'HypercolumnMaskHead',
    'HypercolumnRoIHead',
    'SingleRoIExtractor',
]
