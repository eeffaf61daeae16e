"""Transforms that load, encode and stack modalities."""

from mmxdistill.datasets.transforms.encoding import (
    EncodeDisparity,
    EncodeHHA,
    FillDepth,
)
from mmxdistill.datasets.transforms.geometry import (
    FastProposalBroadcaster,
    Pad,
)
from mmxdistill.datasets.transforms.loading import (
    LoadDepthFromFile,
    LoadGrayImageFromFile,
    LoadModalities,
)

__all__ = [
    'EncodeDisparity',
    'EncodeHHA',
    'FastProposalBroadcaster',
    'FillDepth',
    'LoadDepthFromFile',
    'LoadGrayImageFromFile',
    'LoadModalities',
    'Pad',
]
