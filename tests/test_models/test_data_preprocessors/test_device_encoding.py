"""HHA encoded behind the loader is HHA encoded in the loader."""

import copy
import random

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate

from mmxdistill import config_path
from mmxdistill.registry import MODELS, TRANSFORMS
from mmxdistill.synthetic import write_dataset

SIZE = (160, 120)
STATISTICS = dict(
    rgb=dict(mean=[104.0, 117.0, 123.0]),
    hha=dict(mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0]),
)
PACK = dict(
    type='PackDetInputs',
    meta_keys=(
        'img_path',
        'modalities',
        'img_shape',
        'scale_factor',
        'homography_matrix',
        'encoder_inputs',
        'device_resize',
    ),
)
FLIP = dict(
    type='RandomFlip',
    prob=[0.3, 0.3, 0.3],
    direction=['horizontal', 'vertical', 'diagonal'],
)
CROP = dict(
    type='RandomCrop', crop_size=(0.7, 0.7), crop_type='relative_range'
)
# Transforms and the largest part of the pixels that may differ by a level.
GEOMETRY = {
    'nothing': ([], 0),
    'flip': ([FLIP], 0),
    'flip, crop': ([FLIP, CROP], 0),
    'resize': ([dict(type='Resize', scale=(224, 224), keep_ratio=True)], 0.1),
    'shrink': ([dict(type='Resize', scale=(70, 61), keep_ratio=False)], 0.1),
    'all': (
        [
            dict(
                type='RandomResize',
                scale=(200, 160),
                ratio_range=(0.6, 1.6),
                keep_ratio=True,
            ),
            FLIP,
            CROP,
        ],
        0.1,
    ),
    'Caffe': (
        [
            dict(type='mmxdistill.CaffeRandomFlip', prob=0.5),
            dict(type='mmxdistill.CaffeResize', scale=171, max_size=900),
        ],
        0,
    ),
    'Caffe, on the device': (
        [
            FLIP,
            dict(
                type='mmxdistill.CaffeResize',
                scale=171,
                max_size=900,
                on_device=True,
            ),
        ],
        0,
    ),
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp('rooms')
    write_dataset(path / 'set', dict(pairs=4), image_size=SIZE, processes=1)
    return path / 'set'


def dataset(root, geometry, on_device, pack=PACK, unit=1.0, **kwargs):
    """A data set as a config describes it."""
    load_hha = [
        dict(type='mmxdistill.LoadDepthFromFile', mask='raw_depth', unit=unit),
        dict(
            type='mmxdistill.EncodeHHA',
            camera=str(root / 'camera.json'),
            on_device=on_device,
        ),
    ]
    cfg = dict(
        type='mmxdistill.PairedDataset',
        data_root=f'{root}/',
        ann_file='pairs.txt',
        check_pairs=False,
        serialize_data=False,
        modalities=dict(
            rgb=dict(
                path='color/{stem}.jpg',
                pipeline=[dict(type='LoadImageFromFile')],
            ),
            hha=dict(path='depth/{stem}.png', pipeline=load_hha),
            raw_depth='depth_raw/{stem}.png',
        ),
        pipeline=[*copy.deepcopy(geometry), pack],
        **kwargs,
    )
    return DATASETS.build(ConfigDict(cfg))


def preprocessor(on_device, modalities=STATISTICS):
    encoders = dict(hha=dict(type='mmxdistill.HHAEncoder'))
    return MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=modalities,
            pad_size_divisor=32,
            encoders=encoders if on_device else None,
        )
    )


def batch(data, seed=0):
    random.seed(seed)
    np.random.seed(seed)
    return pseudo_collate([data[i] for i in range(len(data))])


def outputs(root, geometry, seed=0, device='cpu', unit=1.0):
    """Inputs of the network, encoded in the loader and on the device."""
    found = []
    for on_device in (False, True):
        model = preprocessor(on_device).to(device)
        data = dataset(root, geometry, on_device, unit=unit)
        loaded = batch(data, seed)
        with torch.autocast(device, torch.bfloat16):  # as mmengine may
            found.append(model(loaded, training=True)['inputs'])
    return found


def assert_same(expected, found, share):
    assert found.dtype == expected.dtype == torch.float32
    assert found.shape == expected.shape
    torch.testing.assert_close(found[:, :3], expected[:, :3])
    std = torch.tensor(STATISTICS['hha']['std']).to(found)[:, None, None]
    difference = (found - expected)[:, 3:].abs() * std
    assert difference.max() < 1.01
    assert (difference > 0.01).float().mean() <= share


def test_fractions_of_a_millimetre_reach_the_device(root):
    whole = outputs(root, [])[0]
    expected, found = outputs(root, [], unit=0.93)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert (found != whole).any()


@pytest.mark.parametrize('name', GEOMETRY)
@pytest.mark.parametrize('seed', [0, 1])
def test_equals_the_loader(root, name, seed):
    geometry, share = GEOMETRY[name]
    assert_same(*outputs(root, geometry, seed), share)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('name', GEOMETRY)
def test_equals_the_loader_on_a_gpu(root, name):
    geometry, share = GEOMETRY[name]
    expected, found = outputs(root, geometry, device='cuda')
    # A few pixels of the encoding itself may be a level off there.
    assert_same(expected, found, share + 1e-3)


def test_transfer_from_a_config(tmp_path, monkeypatch):
    """Two changes of a config move the encoding; the losses stay."""
    write_dataset(
        tmp_path / 'data/synthetic_rgbd',
        dict(pairs=2, test=1),
        image_size=(96, 64),
        processes=1,
    )
    monkeypatch.chdir(tmp_path)
    losses = []
    for on_device in (False, True):
        cfg = Config.fromfile(
            config_path(
                'supervision_transfer/'
                'st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
            )
        )
        cfg.model.teacher_checkpoint = None
        pairs = cfg.train_dataloader.dataset
        if on_device:
            pairs.modalities.hha.pipeline[-1].on_device = True
            encoder = dict(type='mmxdistill.HHAEncoder')
            cfg.model.data_preprocessor.encoders = dict(hha=encoder)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        model.init_weights()
        loaded = batch(DATASETS.build(pairs))
        prepared = model.data_preprocessor(loaded, True)
        for point in model.points:
            point.loss.calibrate(1.0)
        (loss,) = model.loss(
            prepared['inputs'], prepared['data_samples']
        ).values()
        loss.backward()
        losses.append(loss.item())
    assert losses[0] > 0
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_single_modality_of_other_channel_order(root):
    modalities = dict(hha=dict(mean=[1.0, 2.0, 3.0], bgr_to_rgb=True))
    expected, found = (
        preprocessor(on_device, modalities)(
            batch(dataset(root, [FLIP], on_device, use=['hha']))
        )['inputs']
        for on_device in (False, True)
    )
    torch.testing.assert_close(found, expected)


def load_frame(size, gravity=None, mask=False, on_device=False):
    """A packed frame, as a pipeline of one's own may load it."""
    depth = np.full(size[::-1], 2000, np.uint16)
    depth[20:40] = 1500
    depth[30:50, 10:30] += np.arange(20, dtype=np.uint16) * 9
    sample = dict(
        img=depth, camera=dict(fx=80, fy=80, cx=size[0] / 2, cy=size[1] / 2)
    )
    if gravity is not None:
        sample['gravity'] = gravity
    if mask:
        # As 16-bit raw depth, which a loader of one's own may pass on.
        sample['depth_mask'] = depth.copy()
        sample['depth_mask'][:, ::3] = 0
    encode = dict(
        type='mmxdistill.EncodeHHA',
        use_gravity=gravity is not None,
        on_device=on_device,
    )
    sample = TRANSFORMS.build(encode)(sample)
    if on_device:
        sample['encoder_inputs'] = dict(hha=sample['encoder_input'])
    return TRANSFORMS.build(PACK)(sample)


ALONE = dict(hha=dict(mean=[10.0, 20.0, 30.0]))
FRAMES = [
    dict(size=(90, 70), gravity=[0.1, 0.9, 0.2]),
    dict(size=(64, 80)),
    dict(size=(64, 80), gravity=np.array([0, 1, 0]), mask=True),
    dict(size=(80, 60), mask=True),
]


@pytest.mark.parametrize('order', [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0], [2]])
def test_each_frame_is_encoded_as_if_alone(order):
    """Each has its own camera and size, and a gravity and a mask or not."""
    expected, found = (
        preprocessor(on_device, ALONE)(
            pseudo_collate(
                [load_frame(**FRAMES[i], on_device=on_device) for i in order]
            )
        )['inputs']
        for on_device in (False, True)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    'wrong',
    [
        dict(gravity=0.9),
        dict(gravity=[[0, 1, 0]]),
        dict(depth_mask=np.ones((9, 9), bool)),
    ],
)
def test_bad_frames_are_found_in_the_loader(wrong):
    """Where the file is known: three numbers would be one direction."""
    sample = dict(
        img=np.full((60, 80), 2000, np.uint16),
        camera=dict(fx=80, fy=80, cx=40, cy=30),
        gravity=[0, 1, 0],
        img_path='d.png',
    )
    encode = dict(type='mmxdistill.EncodeHHA', use_gravity=True)
    for on_device in (False, True):
        step = TRANSFORMS.build(dict(encode, on_device=on_device))
        with pytest.raises(ValueError, match=r"'d\.png'.*(gravity|raw_depth)"):
            step({**sample, **wrong})


@pytest.mark.parametrize('geometry', [[], [FLIP, CROP]])
@pytest.mark.parametrize('lacking', [[0, 2], [0, 1, 2, 3]])
def test_samples_without_the_modality_are_black(root, geometry, lacking):
    """As in the loader; only a late fusion takes them."""
    loaded, found = [], []
    for on_device in (False, True):
        data = dataset(root, geometry, on_device)
        loader = data.pipeline.transforms[0]
        loader.stand_ins['hha'] = 3
        for i in lacking:
            gone = str(root / 'no.png')
            data.data_list[i]['modality_paths']['hha'] = gone
        model = preprocessor(on_device)
        loaded = batch(data)
        with pytest.raises(ValueError, match=r"lacks \['hha'\]"):
            model(loaded)
        model.takes_missing = True
        found.append(model(loaded)['inputs'])
    assert_same(*found, 0)
    black = [
        sample.get('missing_modalities') for sample in loaded['data_samples']
    ]
    assert [i for i, name in enumerate(black) if name] == lacking


def test_depth_does_not_stay_in_the_samples(root):
    loaded = batch(dataset(root, [], True))
    out = preprocessor(True)(loaded)
    for before, after in zip(
        loaded['data_samples'], out['data_samples'], strict=True
    ):
        assert 'encoder_inputs' in before  # may be used again
        assert 'encoder_inputs' not in after
        assert after.img_path == before.img_path


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='mmxdistill.Pad', size=(200, 150)),
        dict(type='mmxdistill.Pad', size=(161, 120)),
        dict(type='mmcv.CenterCrop', crop_size=(158, 118)),
        dict(type='mmcv.Resize', scale=(150, 120)),
        dict(type='mmcv.RandomFlip', prob=1.0, direction='vertical'),
        dict(type='Rotate', prob=1.0, level=5, min_mag=20.0),
        dict(
            type='CutOut', n_holes=9, cutout_shape=(40, 40), fill_in=(0,) * 6
        ),
    ],
    ids=lambda transform: transform['type'],
)
def test_what_cannot_be_followed_is_an_error(root, transform):
    loaded = batch(dataset(root, [transform], True))
    message = r"pairs_.*jpg', modality 'hha': .*on_device=False"
    with pytest.raises(ValueError, match=message):
        preprocessor(True)(loaded)


def test_forgotten_halves_are_named(root):
    with pytest.raises(ValueError, match=r"leaves \['hha'\].*encoders"):
        preprocessor(False)(batch(dataset(root, [], True)))
    message = r"leaves \[\] .* \['hha'\].*meta_keys of PackDetInputs"
    for pipeline in (
        dict(on_device=False),
        dict(on_device=True, pack=dict(type='PackDetInputs')),
    ):
        with pytest.raises(ValueError, match=message):
            preprocessor(True)(batch(dataset(root, [], **pipeline)))
    with pytest.raises(ValueError, match='need data_samples'):
        preprocessor(True)(dict(inputs=[torch.zeros(6, 9, 9)]))
    with pytest.raises(ValueError, match=r"\['hha'\].*modalities are \['x"):
        preprocessor(True, dict(x=dict(mean=[0.0])))
