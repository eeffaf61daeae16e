"""Hooks and optimizers."""

from mmxdistill.engine import hooks, optimizers

__all__ = ['hooks', 'optimizers']
