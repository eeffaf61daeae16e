import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes

from mmxdistill.registry import TASK_UTILS


def build():
    return TASK_UTILS.build(dict(type='mmxdistill.CaffeBboxOverlaps2D'))


@pytest.mark.golden
def test_caffes_overlaps(caffe_golden):
    _, cases = caffe_golden('py_bbox_overlaps')
    boxed = [case for case in cases.values() if 'overlaps' in case]
    assert boxed
    for case in boxed:
        boxes, query = (torch.from_numpy(case[k]) for k in ('boxes', 'query'))
        found = build()(boxes, query)
        assert found.dtype == torch.float32
        # As the RoI database stores them.
        expected = case['overlaps'].astype(np.float32)
        np.testing.assert_array_equal(found.numpy(), expected)


def test_one_pixel_is_a_box():
    pixel = torch.tensor([[3.0, 4.0, 3.0, 4.0]])
    pair = torch.tensor([[3.0, 4.0, 4.0, 4.0], [5.0, 4.0, 6.0, 4.0]])
    overlaps = build()
    assert overlaps(pixel, pixel).tolist() == [[1.0]]
    assert overlaps(pixel, pair).tolist() == [[0.5, 0.0]]
    assert overlaps(pixel, pair, mode='iof').tolist() == [[1.0, 0.0]]
    assert overlaps(pair, pair, is_aligned=True).tolist() == [1.0, 1.0]


def test_scores_and_box_types_and_no_boxes():
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0, 0.7]])
    overlaps = build()
    plain = overlaps(boxes[:, :4], boxes[:, :4])
    assert torch.equal(overlaps(boxes, boxes), plain)
    typed = HorizontalBoxes(boxes[:, :4])
    assert torch.equal(overlaps(typed, typed), plain)
    assert overlaps(boxes[:0], boxes).shape == (0, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_same_on_the_gpu():
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(2, 300, 4, generator=generator) * 200
    boxes[..., 2:] += boxes[..., :2]
    first, second = boxes
    found = build()(first.cuda(), second.cuda())
    assert found.is_cuda
    assert torch.equal(found.cpu(), build()(first, second))
