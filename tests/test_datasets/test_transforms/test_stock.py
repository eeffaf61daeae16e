"""Stock transforms on stacks: the same as on each modality by itself."""

import copy
import json
import random

import cv2
import mmcv.transforms
import mmdet.datasets.transforms
import numpy as np
import pytest
from mmcv.transforms import TRANSFORMS as MMCV_TRANSFORMS
from mmcv.transforms import Compose
from mmdet.datasets import MultiImageMixDataset
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmxdistill.datasets.transforms.channels import stack_channels
from mmxdistill.datasets.transforms.stock_checks import walk
from mmxdistill.datasets.transforms.stock_names import (
    ANY_CHANNELS,
    IN_THREES,
    PHOTOMETRIC,
    is_a,
)
from mmxdistill.registry import DATASETS, TRANSFORMS

# Every geometric transform of the registries, so that it does something.
CONFIGS = dict(
    Resize=dict(scale=(37, 29), keep_ratio=False),
    FixScaleResize=dict(scale=(37, 29), keep_ratio=True),
    FixShapeResize=dict(width=37, height=29, keep_ratio=False),
    ResizeShortestEdge=dict(scale=29, max_size=60),
    RandomResize=dict(
        scale=(40, 30), ratio_range=(0.5, 2.0), keep_ratio=False
    ),
    RandomChoiceResize=dict(scales=[(37, 29), (70, 51)], keep_ratio=False),
    RandomFlip=dict(prob=0.9, direction=['horizontal', 'vertical']),
    RandomShift=dict(prob=1.0, max_shift_px=15, filter_thr_px=1),
    RandomCrop=dict(crop_size=(25, 31), allow_negative_crop=True),
    MinIoURandomCrop=dict(min_ious=(0.1,), min_crop_size=0.3),
    CenterCrop=dict(crop_size=31),
    CopyPaste=dict(),
    Pad=dict(size=(70, 66), pad_val=dict(img=(9, 99, 199))),
    Rotate=dict(prob=1.0, img_border_value=(9, 99, 199)),
    ShearX=dict(prob=1.0, level=8, img_border_value=77),
    ShearY=dict(prob=1.0, level=8, img_border_value=(9, 99, 199)),
    TranslateX=dict(prob=1.0, level=8),
    TranslateY=dict(prob=1.0, level=8),
    Expand=dict(mean=(9, 99, 199), prob=1.0),
    CutOut=dict(n_holes=(2, 5), cutout_shape=(9, 11), fill_in=(9, 99, 199)),
    RandomErasing=dict(n_patches=(2, 5), ratio=(0.1, 0.3)),
    RandomAffine=dict(border_val=(9, 99, 199), border=(-8, -8)),
    RandomCenterCropPad=dict(
        crop_size=(40, 30),
        ratios=(0.8, 1.2),
        mean=[9, 99, 199],
        std=[1, 1, 1],
        to_rgb=False,
        test_pad_mode=None,
    ),
    Mosaic=dict(img_scale=(40, 30), pad_val=77.0),
    MixUp=dict(img_scale=(40, 30), flip_ratio=0.5),
    CachedMosaic=dict(img_scale=(40, 30), max_cached_images=6),
    CachedMixUp=dict(img_scale=(40, 30), max_cached_images=6),
)
# Others of their settings.
VARIANTS = {
    # OpenCV rounds more than four channels differently, or refuses them.
    'Resize halved': dict(scale=(30, 25)),
    'Resize bicubic': dict(scale=(37, 29), interpolation='bicubic'),
    'Resize nearest': dict(scale=(30, 25), interpolation='nearest'),
    'Resize area': dict(scale=(37, 29), interpolation='area'),
    'RandomResize area': dict(
        scale=(40, 30), ratio_range=(0.5, 0.9), interpolation='area'
    ),
    'FixShapeResize area': dict(
        width=37, height=44, keep_ratio=True, interpolation='area'
    ),
    'FixShapeResize padded': dict(width=90, height=44, keep_ratio=True),
    'CenterCrop padded': dict(
        crop_size=(80, 40),
        auto_pad=True,
        pad_cfg=dict(type='Pad', pad_val=dict(img=(9, 99, 199))),
    ),
}
# What does not change an image, or only through transforms inside of it.
OTHERS = {
    'GTBoxSubOne_GLIP',
    'AutoAugment',
    'BaseFrameSample',
    'Compose',
    'FilterAnnotations',
    'ImageAug',
    'ImageToTensor',
    'InferencerLoader',
    'KeyMapper',
    'LinesToArray',
    'LoadAnnotations',
    'LoadEmptyAnnotations',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'LoadImageFromWebcam',
    'LoadMultiChannelImageFromFiles',
    'LoadPanopticAnnotations',
    'LoadProposals',
    'LoadTextAnnotations',
    'LoadTrackAnnotations',
    'MultiBranch',
    'MultiScaleFlipAug',
    'PackDetInputs',
    'PackLineDetectionInputs',
    'PackReIDInputs',
    'PackTrackInputs',
    'ProposalBroadcaster',
    'RTMDet',
    'RandAugment',
    'RandomApply',
    'RandomChoice',
    'RandomOrder',
    'RandomSamplingNegPos',
    'SegRescale',
    'TestTimeAug',
    'ToTensor',
    'TransformBroadcaster',
    'Transpose',
    'UniformRefFrameSample',
    'WrapFieldsToLists',
    'FixScaleResizeGLIP',
    'GeomTransform',
    'RandomFlipGLIP',
    'RandomFlip_GLIP',
    'TransformBBox',
}
# mmdet cannot move masks in these.
WITHOUT_MASKS = (
    'CenterCrop',
    'MixUp',
    'CachedMixUp',
    'RandomAffine',
    'RandomCenterCropPad',
)
MIXES = ('Mosaic', 'CachedMosaic', 'MixUp', 'CachedMixUp', 'CopyPaste')
STACKS = {'six': (3, 3), 'seven': (3, 3, 1), 'gray': (1,), 'eight': (8,)}


def sample(seed, widths):
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 1, (4, 2, 2)), axis=1) * (52, 44)
    boxes = corners.reshape(-1, 4)
    boxes[:, 2:] += (8, 6)
    masks = np.zeros((4, 50, 60), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    return dict(
        img=rng.integers(0, 255, (50, 60, sum(widths)), np.uint8),
        img_shape=(50, 60),
        ori_shape=(50, 60),
        gt_bboxes=HorizontalBoxes(boxes.astype(np.float32)),
        gt_bboxes_labels=np.arange(4),
        gt_ignore_flags=np.zeros(4, bool),
        gt_masks=BitmapMasks(masks, 50, 60),
        modalities=tuple('abc'[: len(widths)]),
        modality_channels=widths,
    )


def alone(stack, channels):
    """Three channels of a sample as the sample of an image."""
    one = copy.deepcopy(stack)
    one['img'] = np.ascontiguousarray(one['img'][..., channels])
    del one['modality_channels']
    return one


def run(transform, samples, seed):
    """Draw with a seed; mixing transforms get the other samples."""
    out = None
    for number, one in enumerate(samples):
        name = type(transform).__name__
        if name in MIXES and not name.startswith('Cached'):
            count = 3 if name == 'Mosaic' else 1
            others = samples[number + 1 :][:count]
            if len(others) < count:
                break
            one['mix_results'] = copy.deepcopy(others)
        random.seed(seed + number)
        np.random.seed(seed + number)
        out = transform(one)
    return out


def build(name):
    config = (CONFIGS | VARIANTS)[name]
    return MMDET_TRANSFORMS.build(dict(type=name.split()[0], **config))


@pytest.mark.parametrize('stack', STACKS)
@pytest.mark.parametrize('name', [*CONFIGS, *VARIANTS])
def test_like_each_modality_by_itself(name, stack):
    widths, seed = STACKS[stack], len(stack)
    samples = [sample(10 * seed + i, widths) for i in range(6)]
    for one in samples:
        if name.split()[0] in WITHOUT_MASKS:
            del one['gt_masks']
        if name.startswith('CenterCrop'):  # of mmcv, which knows arrays only
            one['gt_bboxes'] = one['gt_bboxes'].numpy()
        if name == 'RandomCenterCropPad':
            one['img'] = one['img'].astype(np.float32)
    together = run(build(name), copy.deepcopy(samples), seed)
    # Resizing takes the axis of a single channel away.
    image = np.atleast_3d(together['img'])
    start = 0
    for width in widths:
        for first in range(start, start + width, 3):
            last = start + width - 1
            part = [min(first + i, last) for i in range(3)]
            if 'Resize' in name and 'FixShape' not in name:
                part = part[: width - first + start]
            ones = [alone(one, part) for one in samples]
            expected = run(build(name), ones, seed)
            kept = min(3, start + width - first)
            np.testing.assert_array_equal(
                image[..., first : first + kept],
                np.atleast_3d(expected['img'])[..., :kept],
            )
        start += width
    for key in ('gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags'):
        found, wanted = together[key], expected[key]
        if isinstance(found, HorizontalBoxes):
            found, wanted = found.numpy(), wanted.numpy()
        np.testing.assert_array_equal(found, wanted)
    if 'gt_masks' in expected:
        np.testing.assert_array_equal(
            together['gt_masks'].masks, expected['gt_masks'].masks
        )
    assert image.shape[2] == sum(widths)
    assert together['img_shape'][:2] == together['img'].shape[:2]
    assert together['modality_channels'] == widths
    if 'pad_shape' in together:
        whole = slice(len(expected['pad_shape']))
        assert together['pad_shape'] == together['img'].shape[whole]


def registered():
    found = {}
    for registry in (MMCV_TRANSFORMS, MMDET_TRANSFORMS):
        found |= registry.module_dict
    return found


def test_every_transform_of_mmcv_and_mmdet_is_known():
    """A new version's transforms are to be sorted in here."""
    names = ANY_CHANNELS + IN_THREES + PHOTOMETRIC
    unknown, untested = set(), set()
    for name, cls in registered().items():
        if not cls.__module__.startswith(
            ('mmcv.transforms', 'mmdet.datasets')
        ):
            continue
        object_ = cls.__new__(cls)
        if is_a(object_, PHOTOMETRIC) or name in OTHERS | {'InstaBoost'}:
            continue
        if not is_a(object_, names) and name not in CONFIGS:
            unknown.add(name)
        elif name not in CONFIGS:
            untested.add(name)
    assert not unknown
    assert not untested


def test_images_of_three_channels_are_left_to_the_stock_transform():
    draws = []
    for widths in ((3,), None):
        one = sample(0, (3,))
        if widths is None:
            del one['modality_channels']
        draws.append(run(build('Rotate'), [one], 0)['img'])
    np.testing.assert_array_equal(*draws)
    assert mmdet.datasets.transforms.Rotate.transform.of_one_modality


@pytest.mark.parametrize(
    'name', ['PhotoMetricDistortion', 'YOLOXHSVRandomAug', 'Color', 'Invert']
)
def test_colours_of_a_stack_are_refused(name):
    transform = MMDET_TRANSFORMS.build(dict(type=name))
    with pytest.raises(ValueError, match=rf"{name} works.*dict\(type='{name}"):
        transform(sample(0, (3, 3)))
    one = sample(0, (3,))
    assert transform(one)['img'].shape == (50, 60, 3)


def test_walk_finds_what_is_in_wrappers():
    flip = dict(type='RandomFlip', prob=0.5)
    nested = [
        dict(type='RandomChoice', transforms=[[flip], [flip]]),
        dict(type='RandomApply', transforms=[flip]),
        dict(type='TransformBroadcaster', transforms=[flip]),
        dict(type='RandomOrder', transforms=[flip]),
        dict(type='mmxdistill.FastProposalBroadcaster', transforms=[flip]),
        dict(type='ProposalBroadcaster', transforms=[flip]),
        dict(type='MultiBranch', branch_field=['a'], a=[flip, dict(flip)]),
    ]
    for config, count in zip(nested, (2, 1, 1, 1, 1, 1, 2), strict=True):
        built = Compose([TRANSFORMS.build(config)])
        found = [one for one in walk(built) if is_a(one, ('RandomFlip',))]
        assert len(found) == count, config


@pytest.mark.parametrize('name', ['Expand', 'RandomAffine', 'RandomShift'])
def test_proposals_cannot_follow_what_is_not_recorded(name):
    with pytest.raises(TypeError, match=f'{name} moves the image without'):
        TRANSFORMS.build(
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[
                    dict(
                        type='RandomApply',
                        transforms=[dict(type=name, **CONFIGS[name])],
                    )
                ],
            )
        )


def test_the_wrapper_of_mmdet_is_the_stock_one():
    assert MultiImageMixDataset.__init__.unchecked
    assert mmcv.transforms.Pad.transform.of_one_modality


LOAD = [
    dict(
        type='mmxdistill.LoadModalities',
        modalities=dict(
            rgb=[dict(type='LoadImageFromFile')],
            thermal=[dict(type='mmxdistill.LoadGrayImageFromFile')],
        ),
    ),
    dict(type='LoadAnnotations', with_bbox=True),
]
# As in mmdet's configs of YOLOX, but for the colours.
YOLOX = [
    dict(type='Mosaic', img_scale=(48, 64), pad_val=114.0),
    dict(
        type='RandomAffine', scaling_ratio_range=(0.5, 1.5), border=(-24, -32)
    ),
    dict(type='MixUp', img_scale=(48, 64), pad_val=114.0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='Resize', scale=(48, 64), keep_ratio=True),
    dict(
        type='Pad', pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))
    ),
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type='PackDetInputs'),
]


@pytest.fixture
def pairs(tmp_path):
    """Config of a data set of pairs whose thermal image is the colour one."""
    rng = np.random.default_rng(0)
    images, boxes = [], []
    for number in range(4):
        image = np.repeat(rng.integers(0, 255, (40, 50, 1), np.uint8), 3, 2)
        for folder in ('rgb', 'thermal'):
            (tmp_path / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / f'{number}.png'), image)
        images.append(
            dict(id=number, file_name=f'{number}.png', width=50, height=40)
        )
        boxes.append(
            dict(
                id=number + 1,
                image_id=number,
                category_id=1,
                bbox=[5, 6, 30, 20],
                area=600,
                iscrowd=0,
            )
        )
    (tmp_path / 'a.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=boxes,
                categories=[dict(id=1, name='thing')],
            )
        )
    )
    return dict(
        type='mmxdistill.PairedCocoDataset',
        data_root=str(tmp_path),
        ann_file='a.json',
        metainfo=dict(classes=('thing',)),
        modalities=dict(rgb='rgb/{file_name}', thermal='thermal/{file_name}'),
        pipeline=LOAD,
    )


def mix(data_set, pipeline):
    return DATASETS.build(
        dict(type='MultiImageMixDataset', dataset=data_set, pipeline=pipeline)
    )


def test_yolox_trains_on_pairs(pairs):
    mixed = mix(pairs, YOLOX)
    random.seed(0)
    np.random.seed(0)
    for number in range(4):
        inputs = mixed[number]['inputs'].numpy()
        assert inputs.shape == (6, 64, 64)
        assert len(np.unique(inputs)) > 50
        np.testing.assert_array_equal(inputs[:3], inputs[3:])


def test_colours_of_pairs_are_refused_when_built(pairs):
    colour = dict(type='YOLOXHSVRandomAug')
    message = r"HSVRandomAug works.*'rgb', 'thermal'.*modalities=dict\(rgb="
    with pytest.raises(ValueError, match=message):
        mix(pairs, [YOLOX[0], colour, *YOLOX[1:]])
    choice = dict(type='RandomChoice', transforms=[[colour], [YOLOX[3]]])
    inside = dict(type='TransformBroadcaster', transforms=[choice])
    for step in (colour, choice, inside):
        with pytest.raises(ValueError, match=message):
            DATASETS.build({**pairs, 'pipeline': [*LOAD, step]})
    # Of one modality, it may change them.
    single = {**pairs, 'use': ['rgb'], 'pipeline': [*LOAD, colour]}
    assert DATASETS.build(single)[0]['img'].shape == (40, 50, 3)


def test_proposals_left_behind_are_refused_when_built(pairs):
    load = dict(type='LoadProposals')
    flip = dict(type='RandomApply', transforms=[dict(type='RandomFlip')])
    flip['transforms'][0]['prob'] = 0.5
    message = r'RandomFlip moves the image.*FastProposalBroadcaster'
    with pytest.raises(ValueError, match=message):
        DATASETS.build({**pairs, 'pipeline': [*LOAD, load, flip]})
    with pytest.raises(ValueError, match='Mosaic moves'):
        mix({**pairs, 'pipeline': [*LOAD, load]}, YOLOX)
    moved = dict(type='mmxdistill.FastProposalBroadcaster', transforms=[flip])
    for step in (moved, dict(type='Pad', size_divisor=32)):
        DATASETS.build({**pairs, 'pipeline': [*LOAD, load, step]})


def test_flow_is_not_turned(pairs):
    steps = [
        dict(type='RandomFlip', prob=0.5),
        dict(type='mmxdistill.FlipFlow', modality='thermal'),
        dict(type='RandomApply', transforms=[dict(type='ShearX', prob=1.0)]),
    ]
    DATASETS.build({**pairs, 'pipeline': [*LOAD, *steps[:2]]})
    with pytest.raises(ValueError, match="ShearX turns .*'thermal', but not"):
        DATASETS.build({**pairs, 'pipeline': [*LOAD, *steps]})


@pytest.mark.parametrize('interpolation', ['bilinear', 'nearest', 'bicubic'])
@pytest.mark.parametrize('planes', [True, False])
def test_float_stack_is_resized_like_its_modalities(interpolation, planes):
    """OpenCV rounds positions in images of more than four channels."""
    one, other = np.random.default_rng(0).normal(100, 50, (2, 61, 83, 3))
    parts = [one.astype(np.float32), other.astype(np.float32)]
    image = stack_channels(parts) if planes else np.dstack(parts)
    resize = MMDET_TRANSFORMS.build(
        dict(type='Resize', scale=(47, 39), interpolation=interpolation)
    )
    alone = [resize(dict(img=part))['img'] for part in parts]
    for extra in ({}, dict(modality_channels=(3, 3))):
        found = resize(dict(img=image.copy(), **extra))
        np.testing.assert_array_equal(found['img'], np.dstack(alone))
        assert found['scale_factor'] == (47 / 83, 39 / 61)
