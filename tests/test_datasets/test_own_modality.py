"""A modality of one's own, as docs/data.md says."""

import json
import pickle
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmxdistill.registry import DATASETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/data.md'
BASES = ROOT / 'configs/_base_/datasets'
SIZE = (48, 64)


@pytest.fixture
def loader():
    """The one of the page; unregistered afterwards."""
    from mmdet.registry import TRANSFORMS

    blocks = re.findall(
        r'^```python\n(.*?)^```', PAGE.read_text(), re.M | re.S
    )
    (block,) = [text for text in blocks if 'class LoadPolarization' in text]
    exec(compile(block, PAGE.name, 'exec'), {})
    yield 'LoadPolarization'
    TRANSFORMS.module_dict.pop('LoadPolarization')


@pytest.fixture
def data(tmp_path):
    """Visible images and arrays of another kind, in the page's folders."""
    rng = np.random.default_rng(0)
    root = tmp_path / 'mine'
    (root / 'visible').mkdir(parents=True)
    (root / 'polarization').mkdir()
    for name in 'abcd':
        image = rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8)
        cv2.imwrite(str(root / f'visible/{name}.jpg'), image)
        np.save(root / f'polarization/{name}.npy', 255 - image)
    (root / 'unlabelled.txt').write_text('# pairs\nc.jpg\nd.jpg\n')
    for split, name in (('train', 'a'), ('test', 'b')):
        boxes = [
            dict(
                id=i,
                image_id=7,
                category_id=1,
                bbox=[4 + i, 5, 20, 30],
                area=600,
                iscrowd=i - 1,
            )
            for i in (1, 2)
        ]
        content = dict(
            images=[dict(id=7, file_name=f'{name}.jpg', height=48, width=64)],
            annotations=boxes,
            categories=[dict(id=1, name='car')],
        )
        path = root / f'annotations_{split}.json'
        path.write_text(json.dumps(content))
    return root


@pytest.fixture
def dataset_config(data, tmp_path, loader):
    """RoadScene's files with other paths, loader and classes, by role."""
    replacements = {
        'mmxdistill.LoadGrayImageFromFile': loader,
        '{{$MMXDISTILL_DATA:data}}/roadscene_rgbt/': f'{data}/',
        'data/roadscene_rgbt/proposals.pkl': f'{tmp_path}/proposals.pkl',
        'thermal/{stem}.jpg': 'polarization/{stem}.npy',
        "('person', 'bike', 'car')": "('car',)",
        "'./pairs.py'": config_expression('pairs.py'),
        "'./detection.py'": config_expression('detection.py'),
        'thermal': 'polarization',
        'roadscene_rgbt': 'mine',
    }
    unused = set(replacements)
    for path in BASES.glob('roadscene_rgbt*.py'):
        text = path.read_text()
        for old, new in replacements.items():
            unused -= {old} if old in text else set()
            text = text.replace(old, new)
        name = path.name.replace('roadscene_rgbt', 'mine')
        name = name.replace('thermal', 'polarization')
        (tmp_path / name).write_text(text)
    assert not unused

    def read(role, split):
        cfg = Config.fromfile(tmp_path / f'mine_{role}.py')
        return cfg[f'{split}_dataloader'].dataset

    return read


def config_expression(name):
    """What a config elsewhere writes for one of ours."""
    return f"__import__('mmxdistill').config_path('_base_/datasets/{name}')"


def test_pairs(dataset_config):
    """Labelled and unlabelled pairs."""
    dataset = DATASETS.build(dataset_config('pairs', 'train'))
    names = [
        Path(dataset.get_data_info(i)['img_path']).name
        for i in range(len(dataset))
    ]
    assert names == ['a.jpg', 'c.jpg', 'd.jpg']
    sample = dataset[1]
    assert sample['data_samples'].modalities == ('rgb', 'polarization')
    assert sample['inputs'].shape[0] == 6


def test_no_list(dataset_config, data):
    """All files of the folders; each must have its partner."""
    settings = dict(dataset_config('pairs', 'train'), ann_file='')
    assert len(DATASETS.build(settings)) == 4
    (data / 'polarization/c.npy').unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks 1, e\.g\. \['c'\]"):
        DATASETS.build(settings)


@pytest.mark.parametrize('use', [('rgb', 'polarization'), ('polarization',)])
def test_detection(dataset_config, tmp_path, use):
    boxes = dict(
        bboxes=np.array([[1, 2, 30, 40]], np.float32),
        scores=np.ones(1, np.float32),
    )
    path = tmp_path / 'proposals.pkl'
    path.write_bytes(pickle.dumps({f'visible/{n}.jpg': boxes for n in 'ab'}))
    role = 'detection' if len(use) == 2 else 'detection_polarization'
    for split in ('train', 'test'):
        dataset = DATASETS.build(dataset_config(role, split))
        assert len(dataset) == 1
        found = dataset[0]['data_samples']
        assert found.modalities == use
        # The crowd is neither right nor wrong.
        assert len(found.gt_instances) == 1
        assert len(found.ignored_instances) == 1
        assert len(found.proposals) == 1


def test_roadscene(data_root, monkeypatch):
    """The worked example itself."""
    folder = data_root / 'roadscene_rgbt'
    if not folder.is_dir():
        pytest.skip('no sample of RoadScene')
    cfg = Config.fromfile(BASES / 'roadscene_rgbt_pairs.py')
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    listed = (folder / 'unlabelled.txt').read_text().split()
    labelled = json.loads((folder / 'annotations_train.json').read_text())
    assert len(dataset) == len(listed) + len(labelled['images'])
    sample = dataset[0]
    assert sample['data_samples'].modalities == ('rgb', 'thermal')
    image = sample['inputs'].numpy()
    assert image.shape[0] == 6
    # Thermal is one channel, three times; it is not the visible image.
    np.testing.assert_array_equal(image[3], image[5])
    assert np.abs(image[3].astype(int) - image[:3].mean(0)).mean() > 10
