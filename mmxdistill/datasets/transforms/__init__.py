"""Transforms that load, encode and stack modalities."""

from mmxdistill.datasets.transforms.caffe_geometry import (
    CaffeRandomFlip,
    CaffeResize,
)
from mmxdistill.datasets.transforms.encoding import (
    EncodeDisparity,
    EncodeHHA,
    FillDepth,
)
from mmxdistill.datasets.transforms.flow import (
    ComputeFlow,
    EncodeFlow,
    FlipFlow,
    LoadFlowFromFile,
)
from mmxdistill.datasets.transforms.geometry import (
    FastProposalBroadcaster,
    Pad,
)
from mmxdistill.datasets.transforms.loading import (
    LoadDepthFromFile,
    LoadGrayImageFromFile,
)
from mmxdistill.datasets.transforms.modalities import LoadModalities
from mmxdistill.datasets.transforms.registration import (
    RemapToReference,
    ResizeToReference,
)
from mmxdistill.datasets.transforms.stock import teach_stock_transforms
from mmxdistill.datasets.transforms.superpixels import LoadSuperpixels
from mmxdistill.datasets.transforms.warp import WarpToReference

teach_stock_transforms()

__all__ = [
    'CaffeRandomFlip',
    'CaffeResize',
    'ComputeFlow',
    'EncodeDisparity',
    'EncodeFlow',
    'EncodeHHA',
    'FastProposalBroadcaster',
    'FillDepth',
    'FlipFlow',
    'LoadDepthFromFile',
    'LoadFlowFromFile',
    'LoadGrayImageFromFile',
    'LoadModalities',
    'LoadSuperpixels',
    'Pad',
    'RemapToReference',
    'ResizeToReference',
    'WarpToReference',
]
