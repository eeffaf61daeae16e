import itertools
import json
import pickle

import cv2
import numpy as np
import pytest
import torch

from mmxdistill.datasets.sample_boxes import map_boxes
from mmxdistill.registry import DATA_SAMPLERS, DATASETS

FLIP = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
RESIZE = dict(type='mmxdistill.CaffeResize', scale=70, max_size=200)


@pytest.fixture
def coco(tmp_path):
    """Three images, the second without usable RoIs."""
    records = [
        dict(id=i, file_name=f'{i}.png', width=64, height=48) for i in range(3)
    ]
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            bbox=[10, 10, 19, 19],
            area=361,
            iscrowd=0,
        )
        for i in range(3)
    ]
    content = dict(
        images=records,
        annotations=annotations,
        categories=[dict(id=1, name='box')],
    )
    (tmp_path / 'boxes.json').write_text(json.dumps(content))
    proposals = {}
    (tmp_path / 'a').mkdir()
    for i in range(3):
        image = np.full((48, 64, 3), i, np.uint8)
        image[:, :32] += 100
        cv2.imwrite(str(tmp_path / f'a/{i}.png'), image)
        boxes = [[0, 0, 63, 47]] if i != 1 else [[50, 0, 63, 9]]
        boxes = np.array(boxes, np.float32)
        proposals[f'a/{i}.png'] = dict(
            bboxes=boxes, scores=np.ones(1, np.float32)
        )
    (tmp_path / 'proposals.pkl').write_bytes(pickle.dumps(proposals))
    return tmp_path


def part(folder, *transforms, **kwargs):
    loader = dict(type='LoadImageFromFile')
    return dict(
        type='mmxdistill.PairedCocoDataset',
        data_root=str(folder),
        ann_file='boxes.json',
        proposal_file='proposals.pkl',
        metainfo=dict(classes=('box',)),
        modalities=dict(rgb=dict(path='a/{file_name}', pipeline=[loader])),
        pipeline=[
            dict(type='LoadProposals'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=list(transforms),
            ),
            dict(type='PackDetInputs'),
        ],
        **kwargs,
    )


def mirrored(*args, **kwargs):
    return DATASETS.build(
        dict(type='mmxdistill.MirroredDataset', dataset=part(*args), **kwargs)
    )


@pytest.mark.parametrize('lazy_init', [False, True])
def test_as_two_data_sets(coco, lazy_init):
    """As a list of the data set and one that always flips."""
    dataset = mirrored(coco, FLIP, RESIZE, lazy_init=lazy_init)
    dataset.full_init()
    pair = [part(coco, RESIZE), part(coco, dict(FLIP, prob=1.0), RESIZE)]
    other = DATASETS.build(dict(type='ConcatDataset', datasets=pair))
    assert len(dataset) == len(other) == 6
    assert dataset.metainfo['classes'] == other.metainfo['classes']
    for index in range(6):
        paths = (d.get_data_info(index)['img_path'] for d in (dataset, other))
        assert next(paths) == next(paths)
        found, expected = (
            (
                sample['inputs'],
                sample['data_samples'].gt_instances.bboxes.tensor,
                sample['data_samples'].gt_instances.labels,
                sample['data_samples'].proposals.bboxes,
            )
            for sample in (dataset[index], other[index])
        )
        assert all(map(torch.equal, found, expected))
    first, second = (map_boxes(tuple, d, 'boxes') for d in (dataset, other))
    for found, expected in zip(first, second, strict=True):
        for a, b in zip(found[:3], expected[:3], strict=True):
            np.testing.assert_array_equal(a, b)
        possible = [
            {k for k, p in f[3].items() if p} for f in (found, expected)
        ]
        assert possible[0] == possible[1]
    # Caffe's order: what cannot be used is left out in both orientations.
    orders = []
    for data in (dataset, other):
        sampler = DATA_SAMPLERS.build(
            dict(type='mmxdistill.CaffeEpochSampler', dataset=data, seed=3)
        )
        orders.append(list(itertools.islice(sampler, 40)))
    assert orders[0] == orders[1]
    assert [i.seed for i in orders[0]] == [i.seed for i in orders[1]]
    assert set(orders[0]) == {0, 2, 3, 5}


def test_left_and_right(coco):
    """The files are brighter on the left, the box begins at column 10."""
    dataset = mirrored(coco, FLIP)
    for index in range(6):
        sample = dataset[index]
        corner = int(sample['inputs'][0, 0, 0])
        assert (corner % 100, corner < 100) == (index % 3, index >= 3)
        box = sample['data_samples'].gt_instances.bboxes.tensor[0, 0]
        assert box == (64 - 1 - 29 if index >= 3 else 10)


def test_images_without_boxes_are_left_out_twice(coco):
    content = json.loads((coco / 'boxes.json').read_text())
    del content['annotations'][0]
    (coco / 'boxes.json').write_text(json.dumps(content))
    config = part(coco, FLIP, filter_cfg=dict(filter_empty_gt=True))
    dataset = DATASETS.build(
        dict(type='mmxdistill.MirroredDataset', dataset=config)
    )
    assert [dataset.get_data_info(i)['img_id'] for i in range(4)] == [1, 2] * 2


def test_data_are_loaded_once(coco):
    first, second = mirrored(coco, FLIP).datasets
    assert first.data_bytes is second.data_bytes


@pytest.mark.parametrize(
    ('transforms', 'message'),
    [
        ([], r'one horizontal RandomFlip .* found \[\]'),
        ([FLIP, FLIP], 'one horizontal'),
        ([dict(FLIP, direction='vertical')], 'one horizontal'),
        (
            [dict(type='RandomApply', transforms=[FLIP])],
            'take it out of RandomApply',
        ),
        (
            [dict(type='RandomChoice', transforms=[[RESIZE], [FLIP]])],
            'take it out of RandomChoice',
        ),
    ],
)
def test_flips_that_cannot_be_set(coco, transforms, message):
    with pytest.raises(ValueError, match=message):
        mirrored(coco, *transforms)


def test_around_a_wrapper(coco):
    inner = dict(type='ConcatDataset', datasets=[part(coco, FLIP)] * 2)
    with pytest.raises(TypeError, match='around each data set inside'):
        DATASETS.build(dict(type='mmxdistill.MirroredDataset', dataset=inner))
