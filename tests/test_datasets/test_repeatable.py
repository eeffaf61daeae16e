import json

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmdet.datasets import MultiImageMixDataset
from mmengine.dataset import ConcatDataset, RepeatDataset

from mmxdistill.datasets import MirroredDataset
from mmxdistill.datasets.repeatable import describe_loading, variants
from mmxdistill.registry import DATASETS, TRANSFORMS

FLIP = dict(type='RandomFlip', prob=0.5)
RESIZE = dict(type='Resize', scale=(96, 64), keep_ratio=True)
META = (
    'img_path',
    'modality_paths',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
)
LOAD = dict(type='LoadImageFromFile')
COLOURS = dict(type='PhotoMetricDistortion')


@pytest.fixture
def root(tmp_path):
    for folder in ('rgb', 'hha'):
        (tmp_path / folder).mkdir()
        image = np.arange(48, dtype=np.uint8).repeat(100).reshape(40, 40, 3)
        cv2.imwrite(str(tmp_path / f'{folder}/a.png'), image)
    return tmp_path


def pairs(root, *steps, rgb=(), hha=(), meta_keys=META):
    return DATASETS.build(
        dict(
            type='mmxdistill.PairedDataset',
            data_root=str(root),
            modalities=dict(
                rgb=dict(path='rgb/{stem}.png', pipeline=[LOAD, *rgb]),
                hha=dict(path='hha/{stem}.png', pipeline=[LOAD, *hha]),
            ),
            check_pairs=False,
            serialize_data=False,  # which collects garbage
            pipeline=[*steps, dict(type='PackDetInputs', meta_keys=meta_keys)],
        )
    )


def test_tells_what_a_sample_does_not(root):
    flip = dict(type='mmxdistill.CaffeRandomFlip', prob=0.5)
    data = pairs(root, flip, RESIZE, hha=[COLOURS])
    described = describe_loading(data, ['rgb'])
    assert json.loads(json.dumps(described)) == [
        [
            'rgb',
            [
                [
                    'LoadImageFromFile',
                    dict(
                        color_type='color',
                        imdecode_backend='cv2',
                        to_float32=False,
                    ),
                ]
            ],
        ],
        ['CaffeRandomFlip', {}],
        [
            'Resize',
            dict(backend='cv2', interpolation='bilinear', keep_ratio=True),
        ],
    ]


def test_size_and_odds_are_told_by_the_sample(root):
    one = pairs(root, FLIP, RESIZE)
    other = pairs(root, dict(FLIP, prob=0.1), dict(RESIZE, scale=(48, 32)))
    assert describe_loading(one, ['rgb']) == describe_loading(other, ['rgb'])
    for both in (
        ConcatDataset([one, other]),
        MirroredDataset(one),
        RepeatDataset(one, 2),
    ):
        assert describe_loading(both, ['rgb']) == describe_loading(
            one, ['rgb']
        )


def test_order_matters(root):
    one, other = pairs(root, FLIP, RESIZE), pairs(root, RESIZE, FLIP)
    assert describe_loading(one, ['rgb']) != describe_loading(other, ['rgb'])


def test_data_sets_that_load_differently(root):
    both = ConcatDataset(
        [pairs(root), pairs(root, rgb=[dict(type='Pad', size=(64, 64))])]
    )
    with pytest.raises(ValueError, match='in several ways'):
        describe_loading(both, ['rgb'])


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([dict(type='RandomCrop', crop_size=(9, 9))], '^RandomCrop may give'),
        (
            [
                dict(
                    type='mmxdistill.FastProposalBroadcaster',
                    transforms=[dict(type='RandomCrop', crop_size=(9, 9))],
                )
            ],
            '^RandomCrop may give',
        ),
        (
            [dict(type='RandomResize', scale=(9, 9), ratio_range=(0.5, 2))],
            'RandomResize.*RandomChoiceResize',
        ),
        ([dict(type='CutOut', n_holes=1, cutout_shape=(4, 4))], 'CutOut'),
        (
            [dict(type='RandomApply', transforms=[RESIZE])],
            'RandomApply.*repeatable = True',
        ),
        ([FLIP, FLIP], '2 flips .*only the last'),
        (
            [RESIZE, dict(type='RandomChoiceResize', scales=[(9, 9)])],
            '2 resizes .*only the last',
        ),
    ],
)
def test_what_does_not_come_again(root, steps, message):
    with pytest.raises(ValueError, match=message):
        describe_loading(pairs(root, *steps), ['rgb'])


@pytest.mark.parametrize(
    ('step', 'message'),
    [
        (COLOURS, "^PhotoMetricDistortion.*another modality than 'rgb'"),
        (FLIP, "RandomFlip is in the pipeline of the modality 'rgb'"),
        (
            dict(type='RandomChoiceResize', scales=[(9, 9)]),
            "RandomChoiceResize is in the pipeline of the modality 'rgb'",
        ),
    ],
)
def test_what_is_drawn_for_the_modality_alone(root, step, message):
    with pytest.raises(ValueError, match=message):
        describe_loading(pairs(root, rgb=[step]), ['rgb'])
    describe_loading(pairs(root, hha=[step]), ['rgb'])


def test_size_within_a_modality_is_told_by_no_sample(root):
    described = [
        describe_loading(pairs(root, rgb=[dict(RESIZE, scale=scale)]), ['rgb'])
        for scale in ((40, 40), (50, 50))
    ]
    assert described[0] != described[1]


@pytest.mark.parametrize('name', META)
def test_meta_keys_are_needed(root, name):
    data = pairs(root, meta_keys=[key for key in META if key != name])
    if name == 'modality_paths':
        describe_loading(data, ['rgb'])  # whose path is img_path
    with pytest.raises(ValueError, match=f"meta_keys .*'{name}'"):
        describe_loading(data, ['hha'])


def test_mixed_images(root):
    mixed = MultiImageMixDataset(
        dataset=pairs(root), pipeline=[dict(type='Mosaic', img_scale=(64, 64))]
    )
    with pytest.raises(ValueError, match='MultiImageMixDataset mixes'):
        describe_loading(mixed, ['rgb'])


def test_data_set_without_pipeline():
    with pytest.raises(ValueError, match='list has no pipeline'):
        describe_loading([1, 2], ['rgb'])


@pytest.mark.parametrize('repeatable', [True, False])
def test_transforms_of_others(root, repeatable):
    class Shift(BaseTransform):
        def __init__(self):
            self.pixels = 3

        def transform(self, results):
            return results

    Shift.repeatable = repeatable
    TRANSFORMS.register_module(module=Shift, force=True)
    data = pairs(root, dict(type='mmxdistill.Shift'))
    if repeatable:
        assert describe_loading(data, ['rgb'])[1][1] == dict(pixels=3)
        data.pipeline.transforms[1].function = lambda image: image
        with pytest.raises(ValueError, match=r"'function' of .*Shift cannot"):
            describe_loading(data, ['rgb'])
    else:
        with pytest.raises(ValueError, match=r'test_repeatable\.Shift may'):
            describe_loading(data, ['rgb'])


def test_variants_are_all_that_may_be_drawn(root):
    data = pairs(
        root,
        dict(
            type='RandomFlip',
            prob=[0.3, 0.3],
            direction=['horizontal', 'vertical'],
        ),
        dict(
            type='RandomChoiceResize',
            scales=[(30, 30), (50, 50)],
            keep_ratio=True,
        ),
    )
    found = {}
    for name, fixed in variants(data):
        for _ in range(3):
            sample = fixed[0]['data_samples']
            found.setdefault(name, set()).add(
                (sample.flip_direction, sample.img_shape)
            )
    assert found == {
        'scale (30, 30)': {(None, (30, 30))},
        'scale (50, 50)': {(None, (50, 50))},
        'horizontal flip, scale (30, 30)': {('horizontal', (30, 30))},
        'horizontal flip, scale (50, 50)': {('horizontal', (50, 50))},
        'vertical flip, scale (30, 30)': {('vertical', (30, 30))},
        'vertical flip, scale (50, 50)': {('vertical', (50, 50))},
    }
    always = pairs(root, dict(FLIP, prob=1.0))
    assert [name for name, _ in variants(always)] == ['horizontal flip']
    never = pairs(root, dict(FLIP, prob=0.0))
    assert [name for name, _ in variants(never)] == ['as loaded']
