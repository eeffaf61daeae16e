"""Metrics."""

from mmxdistill.evaluation import metrics

__all__ = ['metrics']
