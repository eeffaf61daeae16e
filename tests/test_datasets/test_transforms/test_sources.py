"""All that an image depends on is in the key of its features."""

import json
import os

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform

from mmxdistill.datasets.repeatable import describe_loading
from mmxdistill.models.detectors.teacher_cache import TeacherCache
from mmxdistill.registry import DATASETS, TRANSFORMS

META = ('img_path', 'modality_paths', 'ori_shape', 'img_shape')
PACK = dict(
    type='PackDetInputs',
    meta_keys=(*META, 'scale_factor', 'flip', 'flip_direction'),
)
LOAD = dict(type='LoadImageFromFile')
GRAY = dict(type='mmxdistill.LoadGrayImageFromFile')
CAMERA = dict(fx=50.0, fy=50.0, cx=30.0, cy=20.0)


class Masked(BaseTransform):
    """Somebody's own transform."""

    repeatable = True

    def transform(self, results):
        mask = cv2.imread(results['modality_paths']['mask'])
        results['img'] = results['img'] & mask
        return results


class Declared(Masked):
    reads = ('modality_paths.mask', 'exposure')


class Wrapped(BaseTransform):
    repeatable = True
    reads = ()

    def transform(self, results):
        return results


for own in (Masked, Declared, Wrapped):
    TRANSFORMS.register_module(module=own, force=True)


@pytest.fixture
def root(tmp_path):
    """Pairs 'a' and 'b' in four folders; depth has 16 bits."""
    rng = np.random.default_rng(0)
    for folder in ('rgb', 'hha', 'depth', 'mask'):
        (tmp_path / folder).mkdir()
        for name in 'ab':
            pixels = rng.integers(0, 255, (40, 60, 3), np.uint8)
            if folder == 'depth':
                pixels = pixels[..., 0].astype(np.uint16) + 1000
            cv2.imwrite(str(tmp_path / f'{folder}/{name}.png'), pixels)
            if folder != 'depth':
                cv2.imwrite(str(tmp_path / f'{folder}/{name}.jpg'), pixels)
    return tmp_path


class Pairs:
    """Keys of the images of a data set, in which a teacher reads ``reads``.

    Args:
        root (Path): Of the data set.
        reads (str): The modality.
        record (dict): What the data set knows of each image.
        ann_file (str): A list.
        modalities (dict): Pipelines of those in folders of their names.
    """

    def __init__(self, root, reads, record=(), ann_file='', **settings):
        modalities, steps = settings.pop('modalities'), settings.pop('steps')
        self.data = DATASETS.build(
            dict(
                type='mmxdistill.PairedDataset',
                data_root=str(root),
                ann_file=ann_file,
                modalities=modalities,
                check_pairs=False,
                serialize_data=False,  # which collects garbage
                pipeline=[*steps, PACK],
                **settings,
            )
        )
        get = self.data.get_data_info
        self.data.get_data_info = lambda i: {**get(i), **dict(record)}
        self.loading = describe_loading(self.data, [reads])
        self.cache = TeacherCache(
            str(root / 'store'), dict(teacher=[reads]), {reads: slice(3)}
        )

    def __getitem__(self, index):
        sample = self.data[index]['data_samples']
        return self.cache.key(sample, (32, 32))


def pairs(root, reads, steps=(), suffix='png', **settings):
    modalities = {
        name: f'{name}/{{stem}}.{suffix}'
        if steps is None
        else dict(path=f'{name}/{{stem}}.{suffix}', pipeline=steps)
        for name, steps in settings.pop('modalities').items()
    }
    return Pairs(root, reads, steps=steps, modalities=modalities, **settings)


def touch(root, name):
    file = root / name
    os.utime(file, ns=(file.stat().st_mtime_ns + 10**9,) * 2)


def depth_with_mask(root, **record):
    hha = [
        dict(type='mmxdistill.LoadDepthFromFile', mask='depth'),
        dict(type='mmxdistill.EncodeHHA', use_gravity='gravity' in record),
    ]
    modalities = dict(
        hha=dict(path='depth/{stem}.png', pipeline=hha),
        rgb=dict(path='rgb/{stem}.png', pipeline=[LOAD]),
        depth='mask/{stem}.png',
    )
    return Pairs(root, 'hha', record, steps=(), modalities=modalities)


def test_mask_of_depth(root):
    for name in 'ab':
        depth = np.full((40, 60), 900, np.uint16)
        cv2.imwrite(str(root / f'mask/{name}.png'), depth)
    data = depth_with_mask(root, camera=CAMERA)
    keys = data[0], data[1]
    touch(root, 'mask/a.png')
    assert data[0] != keys[0]
    assert data[1] == keys[1]
    touch(root, 'rgb/b.png')  # what the student reads
    assert data[1] == keys[1]


def test_camera_and_gravity_of_the_record(root):
    for name in 'ab':
        depth = np.full((40, 60), 900, np.uint16)
        cv2.imwrite(str(root / f'mask/{name}.png'), depth)
    records = [
        dict(camera=CAMERA),
        dict(camera={**CAMERA, 'fx': 51.0}),
        dict(camera=CAMERA, gravity=np.array([0.0, 1.0, 0.0])),
        dict(camera=CAMERA, gravity=np.array([0.0, 0.8, 0.6])),
    ]
    keys = [depth_with_mask(root, **record)[0] for record in records]
    assert len(set(keys)) == 4
    assert depth_with_mask(root, **records[3])[0] == keys[3]


def test_second_frame_of_flow(root):
    steps = [
        LOAD,
        dict(type='mmxdistill.ComputeFlow', second='hha'),
        dict(type='mmxdistill.EncodeFlow'),
    ]
    data = pairs(root, 'rgb', modalities=dict(rgb=steps, hha=None))
    keys = data[0], data[1]
    touch(root, 'hha/a.png')
    assert data[0] != keys[0]
    assert data[1] == keys[1]


@pytest.mark.parametrize('each', [True, False])
def test_partner_that_names_the_matrix(root, each):
    """One thermal image with two visible ones."""
    (root / 'list.txt').write_text('rgb/a.png hha/a.png\nrgb/b.png hha/a.png')
    same = [[1, 0, 0], [0, 1, 0]]
    (root / 'h.json').write_text(
        json.dumps(dict(a=same, b=[[1, 0, 6], [0, 1, 0]]) if each else same)
    )
    warp = dict(type='mmxdistill.WarpToReference', matrix=str(root / 'h.json'))
    # By the names of the first modality.
    modalities = dict(
        rgb=dict(path='{0}', pipeline=[LOAD]),
        thermal=dict(path='{1}', pipeline=[GRAY, warp]),
    )
    if each:
        os.rename(root / 'hha/a.png', root / 'hha/t.png')
        text = (root / 'list.txt').read_text()
        (root / 'list.txt').write_text(text.replace('hha/a', 'hha/t'))
    data = Pairs(
        root, 'thermal', ann_file='list.txt', steps=(), modalities=modalities
    )
    assert (data[0] == data[1]) is not each


@pytest.mark.parametrize('own', ['Masked', 'Declared', 'Wrapped'])
def test_transforms_of_others(root, own):
    """What they do not say, they are taken to do."""
    steps = [LOAD, dict(type=f'mmxdistill.{own}')]
    modalities = dict(rgb=steps, hha=[LOAD], mask=None)

    def keys():
        rows = [dict(exposure=1), dict(exposure=2)]
        return [
            pairs(root, 'rgb', (), record=r, modalities=modalities)[0]
            for r in rows
        ]

    first = keys()
    assert (first[0] == first[1]) is (own != 'Declared')
    touch(root, 'hha/a.png')
    second = keys()
    assert (first == second) is (own != 'Masked')
    touch(root, 'mask/a.png')
    assert (second == keys()) is (own == 'Wrapped')


def test_partner_decides_how_a_file_is_decoded(root):
    """JPEG beside JPEG is decoded as small as it may be."""
    resize = dict(type='mmxdistill.CaffeResize', scale=20, max_size=30)
    both, mixed = (
        Pairs(
            root,
            'rgb',
            steps=[resize],
            reduced_jpeg=True,
            modalities=dict(
                rgb=dict(path='rgb/{stem}.jpg', pipeline=[LOAD]),
                hha=dict(path=f'hha/{{stem}}.{suffix}', pipeline=[GRAY]),
            ),
        )
        for suffix in ('jpg', 'png')
    )
    with pytest.warns(UserWarning, match='no JPEG'):
        keys = both[0], mixed[0]
    assert both.loading == mixed.loading
    assert keys[0] != keys[1] == mixed[0]


def test_partner_decides_how_values_are_rounded(root):
    resize = dict(type='Resize', scale=(30, 20), keep_ratio=True)
    keys = [
        pairs(root, 'rgb', [resize], modalities=dict(rgb=[LOAD], hha=[hha]))[0]
        for hha in (LOAD, dict(LOAD, to_float32=True), GRAY)
    ]
    assert keys[0] == keys[2] != keys[1]


def test_first_entry_is_not_loaded(root):
    """The image of a sample is then another file than that of a modality."""
    modalities = dict(mask=None, rgb=[LOAD], hha=[LOAD])
    meta_keys = [key for key in PACK['meta_keys'] if key != 'modality_paths']
    data = pairs(root, 'rgb', modalities=modalities)
    data.data.pipeline.transforms[-1].meta_keys = meta_keys
    first = data[0]
    touch(root, 'rgb/a.png')
    assert data[0] != first


def test_what_nobody_knows_the_sources_of(root):
    depth = dict(type='mmxdistill.LoadDepthFromFile', mask='depth')
    with pytest.raises(ValueError, match=r'modality_paths\.depth.*LoadModal'):
        Pairs(
            root,
            'rgb',
            steps=[depth],
            modalities=dict(rgb='depth/{stem}.png', depth='mask/{stem}.png'),
        )
