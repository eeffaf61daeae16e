"""Data preprocessors."""

from mmxdistill.models.data_preprocessors.multimodal import (
    MultiModalDataPreprocessor,
)

__all__ = ['MultiModalDataPreprocessor']
