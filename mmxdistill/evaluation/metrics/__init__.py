"""Metrics."""

from mmxdistill.evaluation.metrics.region_ap import RegionAPMetric
from mmxdistill.evaluation.metrics.transfer import TransferMetric
from mmxdistill.evaluation.metrics.voc import ClasswiseVOCMetric

__all__ = ['ClasswiseVOCMetric', 'RegionAPMetric', 'TransferMetric']
