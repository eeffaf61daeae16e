"""Features of networks by name."""

from mmxdistill.models.features.extractor import FeatureExtractor, FeatureInfo

__all__ = ['FeatureExtractor', 'FeatureInfo']
