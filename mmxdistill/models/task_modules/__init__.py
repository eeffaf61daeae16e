"""Assignment, sampling and coding of boxes."""

from mmxdistill.models.task_modules.assigner import CaffeMaxIoUAssigner
from mmxdistill.models.task_modules.bbox_coder import CaffeBBoxCoder
from mmxdistill.models.task_modules.iou_calculator import CaffeBboxOverlaps2D
from mmxdistill.models.task_modules.roi_sampler import CaffeRoISampler

__all__ = [
    'CaffeBBoxCoder',
    'CaffeBboxOverlaps2D',
    'CaffeMaxIoUAssigner',
    'CaffeRoISampler',
]
