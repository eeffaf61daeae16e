import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmengine.fileio import dump
from pycocotools import mask as coco_mask

from mmxdistill.converters.coco import coco_file
from mmxdistill.converters.nyud2 import (
    CLASSES,
    NYUD2Object,
    coco_annotations,
)


def test_mask_and_box():
    mask = np.zeros((40, 60), bool)
    mask[5:20, 10:31] = True
    mask[7, 12] = False
    item = NYUD2Object('chair', (10, 5, 30, 19), 3, mask)
    (found,), skipped = coco_annotations([item], 40, 60)
    assert not skipped
    assert found['bbox'] == [10, 5, 20, 14]
    assert found['area'] == mask.sum()
    assert (found['category_id'], found['instance']) == (5, 3)
    np.testing.assert_array_equal(
        coco_mask.decode(found['segmentation']), mask
    )


def test_area_without_mask():
    item = NYUD2Object('bed', (10, 5, 30, 19), 1)
    (found,), _ = coco_annotations([item], 40, 60)
    assert found['area'] == 21 * 15
    assert 'segmentation' not in found


@pytest.mark.parametrize(
    ('box', 'message'),
    [
        ((10, 5, 9, 19), 'empty box'),
        ((10, 5, 30, 4), 'empty box'),
        ((-1, 5, 30, 19), 'outside the 60x40 image'),
        ((10, 5, 60, 19), 'outside the 60x40 image'),
        ((10, 5, 30, 40), 'outside the 60x40 image'),
        ((10, 5, 10, 19), 'one pixel wide'),
        ((10, 5, 30, 5), 'one pixel wide'),
        ((np.nan, 5, 30, 19), 'not a number'),
    ],
)
def test_bad_boxes_are_listed(box, message):
    good = NYUD2Object('bed', (0, 0, 59, 39), 1)
    bad = NYUD2Object('sofa', box, 7)
    found, skipped = coco_annotations([bad, good], 40, 60)
    assert [a['category_id'] for a in found] == [2]
    assert len(skipped) == 1
    assert skipped[0].startswith('sofa 7') and message in skipped[0]


def test_stock_data_set_reads_the_file(tmp_path):
    mask = np.zeros((40, 60), bool)
    mask[5:20, 10:31] = True
    objects = [
        NYUD2Object('toilet', (10, 5, 30, 19), 1, mask),
        NYUD2Object('bathtub', (10, 5, 30, 19), 2, mask),
    ]
    annotations, _ = coco_annotations(objects, 40, 60)
    images = [
        dict(
            id=5001 + i,
            file_name=f'img_{5001 + i}.png',
            width=60,
            height=40,
            annotations=found,
        )
        for i, found in enumerate((annotations, [], annotations))
    ]
    content = coco_file(images, CLASSES, 'test')
    assert [a['id'] for a in content['annotations']] == [1, 2, 3, 4]
    assert 'annotations' not in content['images'][0]
    dump(content, str(tmp_path / 'a.json'))
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images/img_5003.png'), np.zeros((40, 60, 3)))
    dataset = CocoDataset(
        data_root=str(tmp_path),
        ann_file='a.json',
        data_prefix=dict(img='images'),
        metainfo=dict(classes=CLASSES),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        ],
    )
    assert len(dataset) == 3
    info = dataset.prepare_data(2)
    assert info['img_id'] == 5003
    np.testing.assert_array_equal(info['gt_bboxes_labels'], [18, 0])
    np.testing.assert_array_equal(
        info['gt_bboxes'].numpy(), [[10, 5, 30, 19]] * 2
    )
    np.testing.assert_array_equal(info['gt_masks'].masks[0], mask)
