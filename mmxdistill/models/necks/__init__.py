"""Necks."""

from mmxdistill.models.necks.adaptation import AdaptationNeck

__all__ = ['AdaptationNeck']
