"""With a stand-in for FiftyOne, whose database is no test's business."""

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmxdistill.datasets.configured import build_dataset
from mmxdistill.visualization.fiftyone_export import (
    check_names,
    export_groups,
    list_groups,
)
from mmxdistill.visualization.predictions import read_predictions


class FiftyOne(SimpleNamespace):
    """What the export uses of the package."""

    def __init__(self):
        super().__init__(datasets={})

    def dataset_exists(self, name):
        return name in self.datasets

    def Group(self):
        return SimpleNamespace(element=lambda name: (self, name))

    def Sample(self, **fields):
        return dict(fields)

    def Detections(self, detections):
        return detections

    def Detection(self, **fields):
        return fields

    def Dataset(self, name, overwrite):
        made = SimpleNamespace(
            add_group_field=lambda name, default: setattr(
                made, 'default', default
            ),
            add_samples=lambda samples: setattr(made, 'samples', samples),
            save=lambda: None,
        )
        self.datasets[name] = made
        return made


@pytest.fixture
def fiftyone(monkeypatch):
    fake = FiftyOne()
    monkeypatch.setitem(sys.modules, 'fiftyone', fake)
    return fake


@pytest.fixture
def dataset(tmp_path):
    """Two pairs of colour and 16-bit depth."""
    init_default_scope('mmdet')
    for folder in ('color', 'depth'):
        (tmp_path / folder).mkdir()
    images, annotations = [], []
    for i in range(2):
        color = np.zeros((40, 80, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'color/{i}.png'), color)
        depth = np.full((40, 80), 3000, np.uint16)
        depth[10:] = 1000
        cv2.imwrite(str(tmp_path / f'depth/{i}.png'), depth)
        images.append(
            dict(id=7 + i, file_name=f'{i}.png', width=80, height=40)
        )
        box = dict(bbox=[20, 10, 40, 20], area=800, iscrowd=i)
        annotations.append(dict(id=i, image_id=7 + i, category_id=1, **box))
    categories = [dict(id=1, name='chair'), dict(id=2, name='table')]
    content = dict(
        images=images, annotations=annotations, categories=categories
    )
    (tmp_path / 'a.json').write_text(repr(content).replace("'", '"'))
    load = {
        'rgb': 'LoadImageFromFile',
        'depth': 'mmxdistill.LoadDepthFromFile',
    }
    return build_dataset(
        dict(
            type='mmxdistill.PairedCocoDataset',
            data_root=str(tmp_path),
            ann_file='a.json',
            metainfo=dict(classes=('chair', 'table')),
            modalities={
                name: dict(
                    path=f'{folder}/{{stem}}.png',
                    pipeline=[dict(type=load[name])],
                )
                for name, folder in (('rgb', 'color'), ('depth', 'depth'))
            },
            pipeline=[],
            test_mode=True,
        )
    )


def predictions(tmp_path, img_id=7, label=1):
    found = dict(
        bboxes=np.float32([[0, 0, 40, 40]]),
        labels=np.array([label]),
        scores=np.float32([0.75]),
    )
    content = [dict(img_id=img_id, pred_instances=found)]
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(content))
    return dict(fused=read_predictions(tmp_path / 'p.pkl'))


def test_pairs_become_groups(dataset, tmp_path, fiftyone):
    groups = list_groups(dataset, predictions(tmp_path), tmp_path / 'media')
    assert export_groups(groups, ['chair', 'table'], 'pairs') == 2
    made = fiftyone.datasets['pairs']
    assert (made.default, made.persistent) == ('rgb', True)
    assert made.default_classes == ['chair', 'table']
    assert len(made.samples) == 4
    for sample, name in zip(made.samples, ['rgb', 'depth'] * 2, strict=True):
        assert sample['group'][1] == name
        (truth,) = sample['ground_truth']
        assert truth['label'] == 'chair'
        np.testing.assert_allclose(
            truth['bounding_box'], [0.25, 0.25, 0.5, 0.5]
        )
        assert truth['ignored'] == (sample['img_id'] == 8)
        assert Path(sample['filepath']).is_file()
        # What the detector has not seen has no field.
        assert ('fused' in sample) == (sample['img_id'] == 7)
    (found,) = made.samples[1]['fused']
    assert found == dict(
        label='table', bounding_box=[0, 0, 0.5, 1], confidence=0.75
    )
    # A browser shows the file itself, or a picture of it.
    color, depth = (Path(one['filepath']) for one in made.samples[:2])
    assert color == tmp_path / 'color/0.png'
    shown = cv2.imread(str(depth))
    assert depth.parts[-3:-1] == ('media', 'depth')
    assert shown[:9].min() > 240 and shown[12:].max() < 15


def test_what_is_refused(dataset, tmp_path, fiftyone):
    media = tmp_path / 'media'
    for wrong, message in (
        (predictions(tmp_path, img_id=1), 'none of the images'),
        (predictions(tmp_path, label=2), 'label 2, the data set has 2'),
    ):
        with pytest.raises(ValueError, match=message):
            export_groups(list_groups(dataset, wrong, media), [], 'x')
        assert fiftyone.datasets == {}  # and nothing was replaced
    export_groups(list_groups(dataset, {}, media), [], 'x')
    with pytest.raises(ValueError, match='--overwrite it'):
        export_groups(list_groups(dataset, {}, media), [], 'x')
    export_groups(list_groups(dataset, {}, media), [], 'x', overwrite=True)
    for name in ('tags', 'a b', '_x', '1'):
        with pytest.raises(ValueError, match='field of FiftyOne'):
            check_names({name: None})


def test_without_fiftyone(monkeypatch):
    monkeypatch.setitem(sys.modules, 'fiftyone', None)
    with pytest.raises(ImportError, match=r'mmxdistill\[fiftyone\]'):
        export_groups(iter([]), [], 'x')
