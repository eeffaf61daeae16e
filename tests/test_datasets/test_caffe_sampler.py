import itertools
import pickle

import numpy as np
import pytest
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.dataset import BaseDataset

from mmxdistill.datasets import DrawIndex
from mmxdistill.datasets.roidb import is_usable
from mmxdistill.registry import DATA_SAMPLERS


@MMDET_DATASETS.register_module()
class ImagesToUse(BaseDataset):
    """One image per flag: with or without background proposals."""

    def __init__(self, flags):
        self.flags = flags
        loader = dict(type='LoadProposals')
        super().__init__(
            metainfo=dict(classes=('a',)), pipeline=[loader], lazy_init=False
        )

    def load_data_list(self):
        instance = dict(bbox=[0, 0, 9, 9], bbox_label=0, ignore_flag=0)
        boxes = {
            True: np.array([[0, 0, 9, 2], [90, 90, 99, 99]]),
            False: np.array([[0, 0, 9, 8], [90, 90, 99, 99]]),
        }
        return [
            dict(instances=[instance], proposals=dict(bboxes=boxes[flag]))
            for flag in self.flags
        ]


def build(dataset, seed=3, **kwargs):
    return DATA_SAMPLERS.build(
        dict(type='mmxdistill.CaffeEpochSampler', **kwargs),
        default_args=dict(dataset=dataset, seed=seed),
    )


def images(flags):
    flags = [bool(flag) for flag in flags]
    return MMDET_DATASETS.build(dict(type='ImagesToUse', flags=flags))


def take(sampler, count):
    return list(itertools.islice(sampler, count))


@pytest.mark.golden
def test_caffes_order(caffe_golden):
    meta, groups = caffe_golden('py_epoch_order')
    settings = meta['order']
    expected = groups['order']['minibatches']
    flags = [
        is_usable(groups[f'entry{i}']['max_overlaps'])
        for i in range(settings['num_entries'])
    ]
    sampler = build(
        images(flags), settings['seed'], batch_size=settings['ims_per_batch']
    )
    assert take(sampler, expected.size) == expected.ravel().tolist()


@pytest.mark.parametrize(('count', 'batch', 'used'), [(7, 2, 6), (8, 2, 6)])
def test_last_images_of_a_permutation_are_lost(count, batch, used):
    order = take(build(images([1] * count), batch_size=batch), 5 * used)
    for start in range(0, len(order), used):
        assert len(set(order[start : start + used])) == used


def test_fewer_images_than_a_minibatch():
    assert set(take(build(images([0, 1, 0])), 4)) == {1}


def test_resumed_stream_is_the_same():
    whole = take(build(images([1, 0, 1, 1, 1, 1])), 30)
    resumed = build(images([1, 0, 1, 1, 1, 1]))
    resumed.indices = itertools.islice(resumed._indices_of_rank(), 11, None)
    rest = take(resumed, 19)
    assert rest == whole[11:]
    assert [i.seed for i in rest] == [i.seed for i in whole[11:]]
    assert isinstance(rest[0], DrawIndex)
    assert pickle.loads(pickle.dumps(rest[0])).seed == rest[0].seed


def test_ranks_share_the_stream(monkeypatch):
    """Two processes draw what one draws with twice the batch."""
    data = images([1] * 11)
    whole = take(build(data, batch_size=4), 40)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(
            'mmengine.dataset.sampler.get_dist_info', lambda r=rank: (r, 2)
        )
        parts.append(take(build(data, batch_size=2), 20))
    assert parts[0] == whole[::2] and parts[1] == whole[1::2]
    assert [i.seed for i in parts[1]] == [i.seed for i in whole[1::2]]


def test_no_image_can_be_used():
    with pytest.raises(ValueError, match='none of the 3 training images'):
        build(images([0, 0, 0]))
