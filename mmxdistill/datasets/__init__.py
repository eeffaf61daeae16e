"""Data sets of aligned images in several modalities."""

from mmxdistill.datasets import mmdet_inference, transforms, voc_xml
from mmxdistill.datasets.caffe_sampler import CaffeEpochSampler
from mmxdistill.datasets.class_uniform import (
    ClassUniformDataset,
    ClassUniformSampler,
)
from mmxdistill.datasets.mirrored import MirroredDataset
from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.published import (
    JHMDBDataset,
    NYUD2Dataset,
    UCF101Dataset,
)
from mmxdistill.datasets.samplers import DrawIndex, ResumableInfiniteSampler
from mmxdistill.datasets.sharded import ShardedPairedDataset

__all__ = [
    'CaffeEpochSampler',
    'ClassUniformDataset',
    'ClassUniformSampler',
    'DrawIndex',
    'JHMDBDataset',
    'MirroredDataset',
    'NYUD2Dataset',
    'PairedCocoDataset',
    'PairedDataset',
    'ResumableInfiniteSampler',
    'ShardedPairedDataset',
    'UCF101Dataset',
    'mmdet_inference',
    'transforms',
    'voc_xml',
]
