"""Hooks."""

from mmxdistill.engine import hooks

__all__ = ['hooks']
