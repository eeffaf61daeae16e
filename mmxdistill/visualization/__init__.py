"""Pictures of pairs, detections and transfer runs.

The functions draw on matplotlib's axes that the caller made, so that no
backend is chosen here.
"""

from mmxdistill.visualization.activations import (
    TopActivations,
    crop_patch,
    draw_patches,
)
from mmxdistill.visualization.detections import (
    Detections,
    detection_legend,
    draw_boxes,
    draw_detections,
    match_detections,
)
from mmxdistill.visualization.filters import draw_filters, filter_sheet
from mmxdistill.visualization.gallery import Boxes, Gallery, Picture
from mmxdistill.visualization.hha import draw_hha
from mmxdistill.visualization.images import (
    HHA_CAPTION,
    draw_depth,
    draw_image,
    to_levels,
)
from mmxdistill.visualization.page import Cell, Page, link
from mmxdistill.visualization.proposal_recall import draw_recalls, plot_recall
from mmxdistill.visualization.transfer_curve import (
    TransferHistory,
    plot_transfer_curve,
    read_transfer_history,
)

__all__ = [
    'HHA_CAPTION',
    'Boxes',
    'Cell',
    'Detections',
    'Gallery',
    'Page',
    'Picture',
    'TopActivations',
    'TransferHistory',
    'crop_patch',
    'detection_legend',
    'draw_boxes',
    'draw_depth',
    'draw_detections',
    'draw_filters',
    'draw_hha',
    'draw_image',
    'draw_patches',
    'draw_recalls',
    'filter_sheet',
    'link',
    'match_detections',
    'plot_recall',
    'plot_transfer_curve',
    'read_transfer_history',
    'to_levels',
]
