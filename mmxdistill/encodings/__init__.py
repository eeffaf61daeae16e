"""Encodings of a modality as a 3-channel image, in NumPy and OpenCV.

`batch` has HHA in PyTorch, on the CPU or a GPU.
"""

from .camera import CameraLike, PinholeCamera
from .depth import as_depth_mm
from .disparity import encode_disparity
from .flow import FLOW_METHODS, compute_flow
from .flow_image import (
    FLOW_CENTER,
    FLOW_SCALE,
    FlowDiagnostics,
    decode_flow,
    encode_flow,
    encode_flow_with_diagnostics,
    flip_encoded_flow,
    flip_flow,
)
from .flow_io import read_flow, write_flow
from .gravity import GravityEstimate, estimate_gravity
from .hha import HHADiagnostics, encode_hha, encode_hha_with_diagnostics
from .normals import surface_normals

__all__ = [
    'FLOW_CENTER',
    'FLOW_METHODS',
    'FLOW_SCALE',
    'CameraLike',
    'FlowDiagnostics',
    'GravityEstimate',
    'HHADiagnostics',
    'PinholeCamera',
    'as_depth_mm',
    'compute_flow',
    'decode_flow',
    'encode_disparity',
    'encode_flow',
    'encode_flow_with_diagnostics',
    'encode_hha',
    'encode_hha_with_diagnostics',
    'estimate_gravity',
    'flip_encoded_flow',
    'flip_flow',
    'read_flow',
    'surface_normals',
    'write_flow',
]
