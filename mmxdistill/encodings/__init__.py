"""Encodings of a modality as a 3-channel image, in NumPy and OpenCV."""

from .camera import CameraLike, PinholeCamera
from .disparity import as_depth_mm, encode_disparity
from .gravity import GravityEstimate, estimate_gravity
from .hha import HHADiagnostics, encode_hha, encode_hha_with_diagnostics
from .normals import surface_normals

__all__ = [
    'CameraLike',
    'GravityEstimate',
    'HHADiagnostics',
    'PinholeCamera',
    'as_depth_mm',
    'encode_disparity',
    'encode_hha',
    'encode_hha_with_diagnostics',
    'estimate_gravity',
    'surface_normals',
]
