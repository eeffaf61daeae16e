"""Inference on new pairs of images."""

from mmxdistill.apis.inferencer import MultiModalInferencer
from mmxdistill.apis.inputs import Pair

__all__ = ['MultiModalInferencer', 'Pair']
