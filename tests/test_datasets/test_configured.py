import json

import cv2
import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from mmxdistill.datasets import PairedCocoDataset
from mmxdistill.datasets.configured import (
    build_dataset,
    dataset_configs,
    image_loader,
    split_modalities,
)
from mmxdistill.datasets.transforms import LoadModalities

CONFIG = """
a = dict(type='CocoDataset', ann_file='a.json')
b = dict(type='CocoDataset', ann_file='b.json')
c = dict(type='CocoDataset', ann_file='c.json')
"""


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / 'config.py'
        path.write_text(CONFIG + text)
        return path

    return _write


class TestConfigs:
    def test_equal_ones_are_listed_once(self, write):
        path = write(
            'train_dataloader = dict(dataset=a)\n'
            'val_dataloader = dict(dataset=b)\n'
            'test_dataloader = dict(dataset=dict(**b))\n'
        )
        found = dataset_configs(path)
        assert list(found) == ['train', 'val/test']
        assert found['val/test']['ann_file'] == 'b.json'
        assert list(dataset_configs(path, ['test'])) == ['test']

    def test_wrappers_are_taken_off(self, write):
        path = write(
            "repeat = dict(type='RepeatDataset', times=3, dataset=a)\n"
            "both = dict(type='ConcatDataset', datasets=[repeat, b])\n"
            'train_dataloader = dict(dataset=both)\n'
            'val_dataloader = dict(dataset=c)\n'
            'test_dataloader = None\n'
        )
        found = dataset_configs(path)
        files = {name: cfg['ann_file'] for name, cfg in found.items()}
        assert files == {
            'train.1': 'a.json',
            'train.2': 'b.json',
            'val': 'c.json',
        }

    def test_nothing_to_look_at(self, write, tmp_path):
        path = write('train_dataloader = dict(dataset=a)')
        with pytest.raises(ValueError, match=r"no data set of \['val'\]"):
            dataset_configs(path, ['val'])
        with pytest.raises(FileNotFoundError, match='none'):
            dataset_configs(tmp_path / 'none.py')


@pytest.fixture
def pairs(tmp_path):
    """Config of two pairs; the second depth image is missing."""
    for name in ('0', '1'):
        image = np.full((12, 16, 3), 40 + int(name), np.uint8)
        cv2.imwrite(str(tmp_path / f'rgb{name}.png'), image)
    depth = np.full((12, 16), 2000, np.uint16)
    cv2.imwrite(str(tmp_path / 'x0.png'), depth)
    images = [
        dict(id=i, file_name=f'{i}.png', width=16, height=12) for i in (0, 1)
    ]
    box = dict(id=1, image_id=0, category_id=1, bbox=[1, 1, 9, 9], area=81)
    content = dict(
        images=images,
        annotations=[{**box, 'iscrowd': 0}],
        categories=[dict(id=1, name='box')],
    )
    (tmp_path / 'ann.json').write_text(json.dumps(content))
    encode = dict(
        type='mmxdistill.EncodeHHA',
        camera=dict(fx=16, fy=16, cx=8, cy=6),
        on_device=True,
    )
    return dict(
        type='mmxdistill.PairedCocoDataset',
        data_root=str(tmp_path),
        ann_file='ann.json',
        proposal_file='none.pkl',
        metainfo=dict(classes=('box',)),
        filter_cfg=dict(filter_empty_gt=True),
        modalities=dict(
            rgb=dict(
                path='rgb{stem}.png',
                pipeline=[dict(type='LoadImageFromFile')],
            ),
            hha=dict(
                path='x{stem}.png',
                pipeline=[dict(type='mmxdistill.LoadDepthFromFile'), encode],
            ),
        ),
    )


class TestBuild:
    def test_nothing_stops_a_look(self, pairs):
        dataset = build_dataset(pairs)
        assert isinstance(dataset, PairedCocoDataset)
        assert len(dataset) == 2
        assert len(build_dataset(pairs, filtered=True)) == 1
        with pytest.raises(FileNotFoundError, match=r'none\.pkl'):
            build_dataset(pairs, proposals=True)
        # The config itself is as it was.
        assert pairs['filter_cfg']
        assert 'check_pairs' not in pairs

    def test_images_of_a_sample(self, pairs):
        dataset = build_dataset(pairs)
        loader = image_loader(dataset)
        assert isinstance(loader, LoadModalities)
        images = split_modalities(loader(dataset.get_data_info(0)))
        assert list(images) == ['rgb', 'hha']
        assert images['rgb'].shape == images['hha'].shape == (12, 16, 3)
        assert (images['rgb'] == 40).all()
        # HHA and not what would be sent to the device: a plane 2 m away.
        assert images['hha'].dtype == np.uint8
        assert (images['hha'][..., 2] == images['hha'][0, 0, 2]).all()

    def test_new_style_config(self, pairs, tmp_path):
        """Its types are classes."""
        pairs |= dict(type='kind', modalities='modalities')
        text = repr(pairs).replace("'kind'", 'PairedCocoDataset')
        load = 'dict(path={!r}, pipeline=[dict(type=LoadImageFromFile)])'
        loads = f'dict(a={load.format("rgb{stem}.png")})'
        text = text.replace("'modalities'}", f'{loads}}}')
        (tmp_path / 'base.py').write_text('work_dir = None\n')
        (tmp_path / 'config.py').write_text(
            'from mmcv.transforms import LoadImageFromFile\n'
            'from mmengine.config import read_base\n'
            'from mmxdistill.datasets import PairedCocoDataset\n'
            'with read_base():\n    from .base import *\n'
            f'train_dataloader = dict(dataset={text})\n'
        )
        (config,) = dataset_configs(tmp_path / 'config.py').values()
        dataset = build_dataset(config)
        assert isinstance(dataset, PairedCocoDataset)
        images = split_modalities(
            image_loader(dataset)(dataset.get_data_info(1))
        )
        assert (images['a'] == 41).all()

    def test_stock_data_set(self, pairs, tmp_path):
        config = dict(
            type='CocoDataset',
            data_root=pairs['data_root'],
            ann_file='ann.json',
            data_prefix=dict(img=''),
            metainfo=pairs['metainfo'],
            pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize')],
        )
        config['pipeline'][1] |= dict(scale=(8, 6))
        dataset = build_dataset(config)
        assert isinstance(dataset, BaseDataset)
        loader = image_loader(dataset)
        path = str(tmp_path / 'rgb1.png')
        images = split_modalities(loader(dict(img_path=path)))
        assert (images['image'] == 41).all()
        config['pipeline'] = config['pipeline'][1:]
        with pytest.raises(ValueError, match=r"\['Resize'\] of the data set"):
            image_loader(build_dataset(config))


def test_modalities_of_different_channels():
    image = np.arange(5).repeat(4).reshape(5, 2, 2).transpose(1, 2, 0)
    found = split_modalities(
        dict(img=image, modalities=('a', 'b'), modality_channels=(2, 3))
    )
    np.testing.assert_array_equal(found['a'][0, 0], [0, 1])
    np.testing.assert_array_equal(found['b'][0, 0], [2, 3, 4])
    found = split_modalities(dict(img=np.zeros((4, 6))))
    assert found['image'].shape == (4, 6, 1)
