"""Data sets of aligned images in several modalities."""

from mmxdistill.datasets import transforms
from mmxdistill.datasets.caffe_sampler import CaffeEpochSampler
from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.samplers import DrawIndex, ResumableInfiniteSampler

__all__ = [
    'CaffeEpochSampler',
    'DrawIndex',
    'PairedCocoDataset',
    'PairedDataset',
    'ResumableInfiniteSampler',
    'transforms',
]
