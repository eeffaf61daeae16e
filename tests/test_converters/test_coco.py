"""Parts of COCO annotation files."""

import numpy as np
import pytest
from pycocotools.coco import COCO

from mmxdistill.converters.coco import clip_box, coco_file


@pytest.mark.parametrize(
    ('box', 'expected', 'cut'),
    [
        ((1, 2, 5, 6), (1, 2, 5, 6), False),
        ((-3, 2, 5, 60), (0, 2, 5, 20), True),
        ((0, 0, 30, 20), (0, 0, 30, 20), False),
        ((-9, 2, -1, 6), None, False),
        ((30, 2, 40, 6), None, False),
        ((29.5, 2, 40, 6), None, False),
        ((5, 6, 5, 9), None, False),
        ((5, 9, 9, 6), None, False),
        ((np.nan, 2, 5, 6), None, False),
        ((0, 0, np.inf, 6), None, False),
    ],
)
def test_clip(box: tuple, expected: tuple | None, cut: bool) -> None:
    assert clip_box(box, 30, 20) == (expected, cut)


def test_file() -> None:
    annotation = dict(bbox=[1, 2, 3, 4], area=12, iscrowd=0)
    records = [
        dict(id=7, file_name='a.jpg', width=9, height=8, annotations=[]),
        dict(
            id=3,
            file_name='b.jpg',
            width=9,
            height=8,
            annotations=[
                dict(category_id=1, **annotation),
                dict(category_id=2, **annotation),
            ],
        ),
    ]
    content = coco_file(records, ('x', 'y'), 'What it is')
    assert content['info']['description'] == 'What it is'
    assert 'annotations' not in content['images'][0]
    coco = COCO()
    coco.dataset = content
    coco.createIndex()
    assert coco.getAnnIds(imgIds=[7]) == []
    assert coco.getAnnIds(imgIds=[3]) == [1, 2]
    assert [c['name'] for c in coco.loadCats([1, 2])] == ['x', 'y']
