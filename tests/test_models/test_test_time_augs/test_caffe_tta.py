import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmxdistill.datasets.transforms import CaffeRandomFlip
from mmxdistill.models.test_time_augs import CaffeTTAModel


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_boxes_come_back_to_where_they_were(direction):
    boxes = np.float32([[3, 4, 20, 30], [0, 0, 49, 39]])
    results = dict(
        img=np.zeros((40, 50, 3), np.uint8),
        img_shape=(40, 50),
        gt_bboxes=HorizontalBoxes(boxes),
    )
    flipped = CaffeRandomFlip(prob=1.0, direction=direction)(results)
    views = [torch.tensor(boxes), flipped['gt_bboxes'].tensor]
    metas = [
        dict(ori_shape=(40, 50), flip=False, flip_direction=None),
        dict(ori_shape=(40, 50), flip=True, flip_direction=direction),
    ]
    scores = [torch.tensor([0.5, 0.6]), torch.tensor([0.7, 0.8])]
    model = CaffeTTAModel.__new__(CaffeTTAModel)  # it uses no module
    merged, merged_scores = model.merge_aug_bboxes(views, scores, metas)
    np.testing.assert_array_equal(merged, np.concatenate([boxes, boxes]))
    torch.testing.assert_close(merged_scores, torch.cat(scores))
    assert torch.equal(model.merge_aug_bboxes(views, None, metas), merged)
