"""The facts, against the published lists."""

import json
from collections import Counter

from mmdet.datasets import CocoDataset
from scipy.io import loadmat

from mmxdistill.converters.nyud2 import (
    CLASSES,
    COCO_TO_NYUD2,
    CROP,
    CROP_SIZE,
    SPLITS,
    category_of,
    image_stem,
)


def test_splits():
    sizes = {name: len(ids) for name, ids in SPLITS.items()}
    assert sizes == dict(train=381, val=414, trainval=795, test=654)
    count = Counter(SPLITS['trainval'] + SPLITS['test'])
    assert sorted(count) == list(range(5001, 6450))
    assert set(count.values()) == {1}
    assert sorted(SPLITS['train'] + SPLITS['val']) == list(SPLITS['trainval'])


def test_splits_are_the_published_ones(data_root):
    folder = data_root / 'nyud2_meta'
    for name in ('train', 'val', 'test'):
        ids = map(int, (folder / f'{name}.txt').read_text().split())
        assert tuple(sorted(ids)) == SPLITS[name]
    official = loadmat(str(folder / 'splits.mat'))
    for name, key in (('trainval', 'trainNdxs'), ('test', 'testNdxs')):
        ids = sorted(5000 + int(i) for i in official[key].ravel())
        assert ids == list(SPLITS[name])


def test_classes_are_the_published_ones(data_root):
    file = data_root / 'nyud2_meta/nyud2_19_classes.json'
    classes = json.loads(file.read_text())['classes']
    assert tuple(c['name'] for c in classes) == CLASSES
    names = loadmat(str(file.with_name('classMapping40.mat')))
    found = [str(name[0]) for name in names['allClassName'].ravel()]
    for entry in classes:
        name = found[entry['label894'] - 1]
        assert category_of(name) == entry['name'], name
    assert len([n for n in found if category_of(n)]) == len(CLASSES)


def test_category_of():
    assert category_of('night stand') == 'night-stand'
    assert category_of('garbage-bin') == 'garbage-bin'
    assert category_of('Bed') is None
    assert category_of('books') is None


def test_shared_classes():
    assert len(COCO_TO_NYUD2) == 7
    assert set(COCO_TO_NYUD2) <= set(CocoDataset.METAINFO['classes'])
    assert set(COCO_TO_NYUD2.values()) <= set(CLASSES)


def test_crop():
    """Rows 46..470 and columns 41..600 of MATLAB."""
    assert [(part.start + 1, part.stop) for part in CROP] == [
        (46, 470),
        (41, 600),
    ]
    assert tuple(part.stop - part.start for part in CROP) == CROP_SIZE
    assert image_stem(5001) == 'img_5001'
