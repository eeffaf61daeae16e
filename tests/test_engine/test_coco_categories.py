"""Labels of mmdet's own COCO data sets are the classes that they say."""

import json
from types import SimpleNamespace

import pytest
from mmdet.datasets import CocoDataset
from mmengine.dataset import ConcatDataset, RepeatDataset

from mmxdistill.engine.coco_categories import check_categories


def coco(folder, names, classes, **extra):
    content = dict(
        info=dict(extra, note='"categories": of a text'),
        images=[dict(id=1, file_name='a.png', width=9, height=9)],
        annotations=[
            dict(
                id=i,
                image_id=1,
                category_id=i,
                bbox=[1, 1, 4, 4],
                area=16,
                iscrowd=0,
            )
            for i in range(1, len(names) + 1)
        ],
        categories=[dict(id=i, name=n) for i, n in enumerate(names, start=1)],
    )
    path = folder / f'{"-".join(names)}.json'
    path.write_text(json.dumps(content))
    return CocoDataset(
        ann_file=str(path),
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        pipeline=[],
    )


def test_order_of_the_file_is_that_of_the_labels(tmp_path):
    names = ['person', 'bike', 'car']
    good = coco(tmp_path, names, ('person', 'car'))
    check_categories(good)
    # mmdet: the car has label 1, and the class of that number.
    labels = [one['bbox_label'] for one in good.get_data_info(0)['instances']]
    assert labels == [0, 1]
    wrong = coco(tmp_path, names, ('car', 'person'))
    assert [i['bbox_label'] for i in wrong.get_data_info(0)['instances']] == [
        0,
        1,
    ]
    message = r"another order.*write classes=\['person', 'car'\]"
    for dataset in (
        wrong,
        RepeatDataset(wrong, 2),
        ConcatDataset([wrong, wrong]),
        SimpleNamespace(dataset=RepeatDataset(wrong, 2)),
    ):
        with pytest.raises(ValueError, match=message):
            check_categories(dataset)


def test_class_that_the_file_has_not(tmp_path):
    dataset = coco(tmp_path, ['person', 'car'], ('person', 'bike', 'car'))
    labels = [
        one['bbox_label'] for one in dataset.get_data_info(0)['instances']
    ]
    assert labels == [0, 1]  # a car with the number of bikes
    with pytest.raises(ValueError, match=r"has no category \['bike'\]"):
        check_categories(dataset)


def test_others_are_left_alone():
    check_categories(SimpleNamespace(metainfo={}))
