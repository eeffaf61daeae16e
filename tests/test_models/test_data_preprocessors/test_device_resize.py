"""Images flipped and resized on the device are those of the loader."""

import copy
import random

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmxdistill.datasets.transforms.left_to_device import DeviceResize
from mmxdistill.datasets.transforms.stock_checks import check_data_set
from mmxdistill.models.data_preprocessors.device_resize import resize_images
from mmxdistill.registry import MODELS, TRANSFORMS

GREY_LEVELS = 1e-3
PACK = Config.fromfile('configs/_base_/datasets/paired.py').pack
STATISTICS = dict(
    rgb=dict(mean=[104.0, 117.0, 123.0], bgr_to_rgb=True),
    x=dict(mean=[10.0, 20.0, 30.0]),
)
TURN = dict(
    type='RandomFlip',
    prob=[0.3, 0.3, 0.3],
    direction=['horizontal', 'vertical', 'diagonal'],
)
MIRROR = dict(type='mmxdistill.CaffeRandomFlip', prob=1.0)
CROP = dict(type='RandomCrop', crop_size=(0.7, 0.7), crop_type='relative')


def resize(on_device, scale=60, max_size=2000):
    return dict(
        type='mmxdistill.CaffeResize',
        scale=scale,
        max_size=max_size,
        on_device=on_device,
    )


def sample(size, channels=6, number=0):
    rng = np.random.default_rng(number)
    image = rng.integers(0, 256, (*size, channels), dtype=np.uint8)
    boxes = np.array([[1, 2, 20, 30], [0, 0, size[1] - 1, size[0] - 1]])
    return dict(
        img=image,
        img_shape=size,
        ori_shape=size,
        gt_bboxes=HorizontalBoxes(boxes.astype(np.float32)),
        gt_bboxes_labels=np.zeros(2, np.int64),
        gt_ignore_flags=np.zeros(2, bool),
        proposals=boxes.astype(np.float32),
        proposals_scores=np.ones(2, np.float32),
        img_path=f'{number}.png',
        modalities=('rgb', 'x') if channels == 6 else ('x',),
        modality_channels=(3, 3) if channels == 6 else (channels,),
    )


def load(steps, sizes, channels=6, pack=PACK):
    random.seed(1)
    np.random.seed(1)
    pipeline = Compose(
        [
            TRANSFORMS.build(copy.deepcopy(step))
            for step in (
                dict(
                    type='mmxdistill.FastProposalBroadcaster',
                    transforms=list(steps),
                ),
                pack,
            )
        ]
    )
    return pseudo_collate(
        [pipeline(sample(s, channels, i)) for i, s in enumerate(sizes)]
    )


def preprocess(loaded, statistics=STATISTICS, training=True):
    model = MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=statistics,
            pad_size_divisor=32,
        )
    )
    return model(loaded, training)


# Sizes of a batch, shorter and longest side.
CASES = {
    'larger': ([(43, 57)] * 3, 97, 2000),
    'smaller': ([(43, 57)] * 2, 20, 2000),
    'longest side': ([(31, 90), (31, 90)], 60, 101),
    'both orientations': ([(43, 57), (57, 43), (40, 40)], 61, 2000),
    'as it is': ([(60, 70)], 60, 2000),
}


@pytest.mark.parametrize('before', [[], [TURN], [MIRROR], [CROP, TURN]])
@pytest.mark.parametrize('case', CASES)
def test_equals_the_loader(case, before):
    sizes, scale, longest = CASES[case]
    expected, found = (
        preprocess(load([*before, resize(on, scale, longest)], sizes))
        for on in (False, True)
    )
    torch.testing.assert_close(
        found['inputs'], expected['inputs'], rtol=0, atol=GREY_LEVELS
    )
    for a, b in zip(
        expected['data_samples'], found['data_samples'], strict=True
    ):
        assert set(a.metainfo_keys()) == set(b.metainfo_keys())
        for key in ('img_shape', 'scale_factor', 'flip', 'pad_shape'):
            assert a.get(key) == b.get(key), key
        torch.testing.assert_close(
            a.gt_instances.bboxes, b.gt_instances.bboxes
        )
        torch.testing.assert_close(a.proposals.bboxes, b.proposals.bboxes)


def test_equal_images_with_scales_of_their_own():
    images = list(torch.arange(24).view(2, 1, 3, 4))
    resizes = [
        DeviceResize(
            factor, (3, 4), (3 * factor, 4 * factor), (False,) * 2, ''
        )
        for factor in (1, 2)
    ]
    found = resize_images(images, resizes)
    assert [x.shape for x in found] == [(1, 3, 4), (1, 6, 8)]
    for image, resize, one in zip(images, resizes, found, strict=True):
        assert torch.equal(one, resize_images([image], [resize])[0])


@pytest.mark.parametrize('channels', [1, 3, 5])
def test_single_modality(channels):
    statistics = dict(x=dict(mean=[7.0] * channels))
    expected, found = (
        preprocess(load([resize(on)], [(43, 57)], channels), statistics)
        for on in (False, True)
    )
    torch.testing.assert_close(
        found['inputs'], expected['inputs'], rtol=0, atol=GREY_LEVELS
    )


@pytest.mark.parametrize('kind', [np.uint16, np.int16, np.float64])
def test_images_of_other_types(kind):
    """16 bits, of an image loaded as it is stored; flipped, too."""
    found = []
    for on in (False, True):
        image = sample((43, 57), 3)
        image['img'] = (image['img'].astype(kind) * 120).astype(kind)
        steps = [MIRROR, resize(on), PACK]
        for step in steps:
            image = TRANSFORMS.build(copy.deepcopy(step))(image)
        statistics = dict(x=dict(mean=[7.0] * 3, bgr_to_rgb=True))
        found.append(preprocess(pseudo_collate([image]), statistics)['inputs'])
    torch.testing.assert_close(*found, rtol=1e-6, atol=0.01)
    assert found[0].max() > 20_000


def test_the_loader_sends_the_bytes_of_the_files():
    loaded = load([MIRROR, resize(True, 688)], [(43, 57)])
    (image,) = loaded['inputs']
    assert image.dtype == torch.uint8 and image.shape == (6, 43, 57)
    expected = sample((43, 57))['img'].transpose(2, 0, 1)
    np.testing.assert_array_equal(image, expected)
    assert loaded['data_samples'][0].img_shape == (688, 912)
    out = preprocess(loaded)
    assert 'device_resize' not in out['data_samples'][0]
    assert 'device_resize' in loaded['data_samples'][0]  # may be used again


AFTER = {
    'flip': TURN,
    'crop': CROP,
    'rotation': dict(type='Rotate', prob=1.0, level=5, min_mag=20.0),
    'padding': dict(type='mmxdistill.Pad', size=(90, 80)),
    'cutout': dict(type='CutOut', n_holes=1, cutout_shape=(4, 4)),
}


@pytest.mark.parametrize('name', AFTER)
def test_moving_a_resized_image_is_an_error(name):
    steps = [resize(True), AFTER[name]]
    with pytest.raises(ValueError, match=r'on_device=False'):
        preprocess(load(steps, [(43, 57)] * 8))


def test_the_order_is_checked_when_a_data_set_is_built():
    class Loader:
        pipelines = dict(rgb=None)

    class Data:
        use = None

    for step in (TURN, dict(type='mmcv.Resize', scale=(9, 9))):
        built = [TRANSFORMS.build(s) for s in (resize(True), step)]
        Data.pipeline = Compose([])
        Data.pipeline.transforms = [Loader(), *built]
        with pytest.raises(ValueError, match='comes after CaffeResize'):
            check_data_set(Data())
        Data.pipeline.transforms = [Loader(), *built[::-1]]
        check_data_set(Data())


@pytest.mark.parametrize('scale', [60, 43])
def test_a_forgotten_key_is_packed(scale):
    """By its size an image of 43 could be finished, but not mirrored."""
    pack = dict(type='PackDetInputs')
    expected, found = (
        preprocess(
            load([MIRROR, resize(on, scale)], [(43, 57)], 3, pack),
            dict(x=dict(mean=[0.0] * 3)),
        )['inputs']
        for on in (False, True)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=GREY_LEVELS)


@pytest.mark.parametrize('pack', [PACK, dict(type='PackDetInputs')])
@pytest.mark.parametrize('scale', [60, 43])
def test_forgotten_halves_are_named(pack, scale):
    """Only the preprocessor of this package can finish the images."""
    loaded = load([MIRROR, resize(True, scale)], [(43, 57)], 3, pack)
    kind = dict(type='DetDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3)
    message = rf'0\.png.*MultiModalDataPreprocessor.*57x43.*\({scale}, '
    with pytest.raises(ValueError, match=message):
        MODELS.build(kind)(loaded)
