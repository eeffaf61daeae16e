"""Labels of mmdet's own COCO data sets are the classes that they say."""

import json
from types import SimpleNamespace

import pytest
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset, RepeatDataset
from torch import nn

from mmxdistill.datasets.coco_categories import check_categories
from mmxdistill.datasets.dataset_checks import _read_boxes
from mmxdistill.engine import run_config


def coco(folder, names, classes):
    content = dict(
        info=dict(
            note='"categories": of a text',
            categories=[dict(id=7, name='car'), dict(id=9, name='person')],
        ),
        images=[
            dict(id=1, file_name='a', width=9, height=9, categories=['car'])
        ],
        annotations=[
            dict(id=i, image_id=1, category_id=i, bbox=[1, 1, 4, 4], area=16)
            for i in range(1, len(names) + 1)
        ],
        categories=[dict(id=i, name=n) for i, n in enumerate(names, start=1)],
    )
    path = folder / f'{"-".join(names)}.json'
    path.write_text(json.dumps(content, ensure_ascii=False))
    return CocoDataset(
        ann_file=str(path),
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        pipeline=[],
    )


def labels(dataset):
    return [one['bbox_label'] for one in dataset.get_data_info(0)['instances']]


NAMES = ['person', 'ein Fahrrad für zwei', 'car']


@pytest.mark.parametrize(
    ('classes', 'found'),
    [
        (('person', 'car'), [0, 1]),
        (tuple(NAMES), [0, 1, 2]),
        ((*NAMES, 'bus'), [0, 1, 2]),  # of which there are none
    ],
)
def test_labels_are_the_classes(tmp_path, classes, found):
    dataset = coco(tmp_path, NAMES, classes)
    assert labels(dataset) == found
    check_categories(dataset)


@pytest.mark.parametrize(
    ('classes', 'found', 'ordered'),
    [
        (('car', 'person'), [0, 1], r"\['person', 'car'\]"),
        # The car has label 1, the bus.
        (('person', 'bus', 'car'), [0, 1], r"\['person', 'car'\]"),
    ],
)
def test_labels_of_others(tmp_path, classes, found, ordered):
    dataset = coco(tmp_path, NAMES, classes)
    assert labels(dataset) == found
    for one in (
        dataset,
        RepeatDataset(dataset, 2),
        ConcatDataset([dataset, dataset]),
        SimpleNamespace(dataset=RepeatDataset(dataset, 2)),
    ):
        with pytest.raises(ValueError, match=f'must follow.*: {ordered}'):
            check_categories(one)


def test_others_are_left_alone():
    check_categories(SimpleNamespace(metainfo={}))


@pytest.mark.parametrize('weight', [None, 0.0, 1.0])
def test_where_labels_are_used(tmp_path, monkeypatch, weight):
    """A detector, and a transfer only if it learns from labels, too."""
    dataset = coco(tmp_path, NAMES, ('car', 'person'))
    model = nn.Module()
    if weight is not None:
        monkeypatch.setattr(run_config, 'SupervisionTransfer', nn.Module)
        model.student_loss_weight = weight
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    if weight == 0:
        run_config._check_classes(model, loop)
        return
    with pytest.raises(ValueError, match='must follow'):
        run_config._check_classes(model, loop)


def test_check_dataset_tells(tmp_path):
    dataset = coco(tmp_path, NAMES, ('car', 'person'))
    _, ((kind, text),) = _read_boxes(dataset)
    assert kind == 'bad annotation'
    assert "must follow the order of the categories in '" in text
