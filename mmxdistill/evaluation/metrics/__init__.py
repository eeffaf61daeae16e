"""Metrics."""

from mmxdistill.evaluation.metrics.transfer import TransferMetric
from mmxdistill.evaluation.metrics.voc import ClasswiseVOCMetric

__all__ = ['ClasswiseVOCMetric', 'TransferMetric']
