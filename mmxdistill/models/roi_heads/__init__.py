"""Fast R-CNN heads and RoI extractors."""

from mmxdistill.models.roi_heads.bbox_head import FastRCNNBBoxHead
from mmxdistill.models.roi_heads.roi_extractor import SingleRoIExtractor

__all__ = ['FastRCNNBBoxHead', 'SingleRoIExtractor']
