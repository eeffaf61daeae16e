"""Pictures of pairs, detections and transfer runs.

The functions draw on matplotlib's axes that the caller made, so that no
backend is chosen here.
"""

from mmxdistill.visualization.comparison import (
    draw_comparison,
    find_telling_image,
)
from mmxdistill.visualization.detections import (
    Detections,
    detection_legend,
    draw_boxes,
    draw_detections,
    match_detections,
)
from mmxdistill.visualization.images import (
    HHA_CAPTION,
    draw_depth,
    draw_image,
)
from mmxdistill.visualization.tables import (
    format_seeds,
    format_table,
    write_seeds,
)
from mmxdistill.visualization.transfer_curve import (
    TransferHistory,
    plot_transfer_curve,
    read_transfer_history,
)

__all__ = [
    'HHA_CAPTION',
    'Detections',
    'TransferHistory',
    'detection_legend',
    'draw_boxes',
    'draw_comparison',
    'draw_depth',
    'draw_detections',
    'draw_image',
    'find_telling_image',
    'format_seeds',
    'format_table',
    'match_detections',
    'plot_transfer_curve',
    'read_transfer_history',
    'write_seeds',
]
