import os
import pickle

import numpy as np
import pytest
from mmdet.registry import DATASETS as MMDET_DATASETS
from mmengine.dataset import BaseDataset

from mmxdistill.datasets import sample_boxes
from mmxdistill.datasets.sample_boxes import map_boxes

LOAD = dict(type='LoadProposals', num_max_proposals=3)


@MMDET_DATASETS.register_module()
class BoxesInMemory(BaseDataset):
    """Sample ``i`` has ``first + i`` in its first coordinate."""

    def __init__(self, first=0, count=3, proposals=5, **kwargs):
        self.first, self.count, self.number = first, count, proposals
        kwargs.setdefault('pipeline', [dict(LOAD)])
        super().__init__(metainfo=dict(classes=('a', 'b')), **kwargs)

    def load_data_list(self):
        infos = []
        for i in range(self.first, self.first + self.count):
            instances = [
                dict(bbox=[i, 0, i + 5, 5], bbox_label=1, ignore_flag=0),
                dict(bbox=[i, 0, i + 9, 9], bbox_label=0, ignore_flag=1),
            ]
            info = dict(img_path=f'{i}.png', instances=instances)
            if self.number is not None:
                boxes = np.zeros((self.number, 4), np.float32)
                boxes[:, 0] = i
                info['proposals'] = dict(bboxes=boxes)
            infos.append(info)
        return infos

    def get_cat_ids(self, idx):
        return [self.first + idx]


def build(**kwargs):
    return MMDET_DATASETS.build(dict(type='BoxesInMemory', **kwargs))


def whole(sample):
    return sample


def first(sample):
    return float(sample.proposals[0, 0])


def test_boxes_of_a_sample():
    (sample,) = map_boxes(whole, build(first=4, count=1), 'x')
    # Without the box to be ignored, and as many proposals as are loaded.
    np.testing.assert_array_equal(sample.gt_boxes, [[4, 0, 9, 5]])
    assert sample.gt_labels.tolist() == [1]
    assert sample.proposals.shape == (3, 4)
    assert sample.flips == {(False, False): 1.0}


def test_wrappers_keep_the_order():
    parts = [dict(type='BoxesInMemory', first=f, count=2) for f in (0, 10)]
    concat = MMDET_DATASETS.build(dict(type='ConcatDataset', datasets=parts))
    assert map_boxes(first, concat, 'x') == [0, 1, 10, 11]
    repeat = dict(type='RepeatDataset', dataset=parts[1], times=2)
    repeat = MMDET_DATASETS.build(repeat)
    assert map_boxes(first, repeat, 'x') == [10, 11, 10, 11]
    balanced = MMDET_DATASETS.build(
        dict(type='ClassBalancedDataset', dataset=parts[0], oversample_thr=1.0)
    )
    expected = [balanced[i]['proposals'][0, 0] for i in range(len(balanced))]
    assert len(expected) > 2
    assert map_boxes(first, balanced, 'x') == expected


@pytest.mark.parametrize(
    ('transforms', 'flips'),
    [
        ([dict(type='RandomFlip', prob=0.5)], [0.5, 0.5, 0, 0]),
        ([dict(type='mmxdistill.CaffeRandomFlip', prob=1.0)], [0, 1, 0, 0]),
        (
            [
                dict(
                    type='RandomFlip',
                    prob=[0.1, 0.2, 0.3],
                    direction=['horizontal', 'vertical', 'diagonal'],
                )
            ],
            [0.4, 0.1, 0.2, 0.3],
        ),
        (
            [
                dict(
                    type='RandomFlip',
                    prob=0.5,
                    direction=['horizontal', 'vertical'],
                )
            ],
            [0.5, 0.25, 0.25, 0],
        ),
        # Twice: mirrored back.
        ([dict(type='RandomFlip', prob=0.5)] * 2, [0.5, 0.5, 0, 0]),
        ([dict(type='RandomFlip', prob=1.0)] * 2, [1, 0, 0, 0]),
        (
            [
                dict(
                    type='mmxdistill.FastProposalBroadcaster',
                    transforms=[
                        dict(type='mmxdistill.CaffeRandomFlip', prob=0.25),
                        dict(type='mmxdistill.CaffeResize'),
                    ],
                )
            ],
            [0.75, 0.25, 0, 0],
        ),
        (
            [
                dict(
                    type='ProposalBroadcaster',
                    transforms=[dict(type='RandomFlip', prob=0.25)],
                )
            ],
            [0.75, 0.25, 0, 0],
        ),
    ],
)
def test_flips_of_the_pipeline(transforms, flips):
    dataset = build(count=1, pipeline=[dict(LOAD), *transforms])
    (sample,) = map_boxes(whole, dataset, 'x')
    keys = [(False, False), (True, False), (False, True), (True, True)]
    found = [sample.flips.get(key, 0) for key in keys]
    assert found == pytest.approx(flips)


def process(sample):
    return os.getpid(), first(sample)


def test_many_samples_in_parallel(monkeypatch):
    monkeypatch.setattr(sample_boxes, 'available_cpus', lambda: 2)
    count = sample_boxes._MIN_PARALLEL
    found = map_boxes(process, build(count=count), 'looking')
    assert [value for _, value in found] == list(range(count))
    assert os.getpid() not in {pid for pid, _ in found}
    assert pickle.dumps(found)


def test_only_the_main_process_computes(monkeypatch):
    def receive(results):
        results[:] = [['from the main process']]

    monkeypatch.setattr(sample_boxes, 'is_main_process', lambda: False)
    monkeypatch.setattr(sample_boxes, 'broadcast_object_list', receive)
    assert map_boxes(pytest.fail, build(), 'x') == ['from the main process']


@pytest.mark.parametrize('kwargs', [dict(proposals=None), dict(pipeline=[])])
def test_without_proposals(kwargs):
    with pytest.raises(KeyError, match=r"'0\.png'.*proposal_file.*LoadPropo"):
        map_boxes(first, build(**kwargs), 'x')


def test_data_set_that_mixes_images():
    mixed = MMDET_DATASETS.build(
        dict(
            type='MultiImageMixDataset',
            dataset=dict(type='BoxesInMemory'),
            pipeline=[],
        )
    )
    with pytest.raises(TypeError, match='boxes of a MultiImageMixDataset'):
        map_boxes(first, mixed, 'x')
