"""Caffe's solver."""

from mmxdistill.engine.optimizers.caffe_optim_wrapper import CaffeOptimWrapper
from mmxdistill.engine.optimizers.caffe_sgd import CaffeSGD

__all__ = ['CaffeOptimWrapper', 'CaffeSGD']
