import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from torch import Tensor

from mmxdistill.registry import TASK_UTILS

DEVICES = ['cpu']
if torch.cuda.is_available():
    DEVICES.append('cuda')


def build(**kwargs):
    return TASK_UTILS.build(dict(type='mmxdistill.CaffeBBoxCoder', **kwargs))


def random_boxes(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 300
    size = torch.rand(n, 2, generator=generator, dtype=torch.float64) * 200
    return torch.cat([low, low + 1 + size], 1)


@pytest.mark.golden
def test_golden(caffe_golden):
    meta, groups = caffe_golden('py_bbox_decode')
    cases = [case for case in groups if 'deltas' in groups[case]]
    assert cases
    for case in cases:
        arrays = {k: torch.from_numpy(v) for k, v in groups[case].items()}
        shape = (meta[case]['im_height'], meta[case]['im_width'])
        for key, size in (('pred', None), ('clipped', shape)):
            found = build().decode(arrays['boxes'], arrays['deltas'], size)
            assert found.dtype == torch.float32
            error = (found - arrays[key]).abs().max()
            assert error <= 1e-6 * arrays[key].abs().max(), (case, key)
        # Not all of them lie inside.
        assert not torch.equal(arrays['pred'], arrays['clipped'])


def test_formula():
    # Widths without +1; the box of one pixel has the width 1e-14.
    rois = torch.tensor([[10.0, 20.0, 30.0, 60.0], [5.0, 5.0, 5.0, 5.0]])
    truth = torch.tensor([[12.0, 20.0, 52.0, 60.0], [5.0, 5.0, 5.0, 5.0]])
    targets = build().encode(rois, truth)
    expected = torch.tensor([[0.6, 0.0, np.log(2), 0.0], [0.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(targets, expected.float())
    assert targets.dtype == torch.float32


@pytest.mark.parametrize('device', DEVICES)
def test_decode_inverts_encode(device):
    rois, truth = random_boxes(50).to(device), random_boxes(50, 1).to(device)
    coder = build()
    deltas = coder.encode(rois, truth)
    found = coder.decode(rois, deltas)
    torch.testing.assert_close(found.double(), truth, rtol=0, atol=1e-3)
    again = coder.decode(HorizontalBoxes(rois, dtype=rois.dtype), deltas)
    assert torch.equal(again, found)
    assert torch.equal(
        coder.encode(
            HorizontalBoxes(rois, dtype=rois.dtype),
            HorizontalBoxes(truth, dtype=rois.dtype),
        ),
        deltas,
    )


@pytest.mark.skipif(len(DEVICES) < 2, reason='no GPU')
def test_cuda_agrees():
    rois, deltas = random_boxes(50), torch.randn(50, 12)
    found = build().decode(rois.cuda(), deltas.cuda(), (200, 300)).cpu()
    expected = build().decode(rois, deltas, (200, 300))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-5)


def test_sizes_are_not_clamped():
    roi = torch.tensor([[10.0, 10.0, 20.0, 20.0]])
    deltas = torch.tensor([[0.0, 0.0, 7.0, -7.0]])
    x1, y1, x2, y2 = build().decode(roi, deltas)[0].tolist()
    assert x2 - x1 == pytest.approx(10 * np.exp(7), rel=1e-6)
    assert y2 - y1 == pytest.approx(10 * np.exp(-7), rel=1e-3)


def test_clips_two_sides_of_each_axis():
    rois = torch.tensor([[-9.0, -8.0, -7.0, -6.0], [50.0, 60.0, 70.0, 80.0]])
    found = build().decode(rois, torch.zeros(2, 4), (40, 30))
    # Caffe lets x2 be negative, and x1 lie behind the border.
    expected = [[0.0, 0.0, -7.0, -6.0], [50.0, 60.0, 29.0, 39.0]]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize('kind', [torch.float16, torch.bfloat16])
def test_half_deltas_give_float_boxes(kind):
    rois, deltas = random_boxes(9).float(), torch.randn(9, 8).to(kind)
    found = build().decode(rois, deltas)
    assert found.dtype == torch.float32
    assert torch.equal(found, build().decode(rois, deltas.float()))


def test_classes_and_box_type():
    rois, deltas = random_boxes(7), torch.randn(7, 12)
    together = build().decode(rois, deltas)
    for c in range(3):
        part = slice(4 * c, 4 * c + 4)
        assert torch.equal(
            together[:, part], build().decode(rois, deltas[:, part])
        )
    boxes = build(use_box_type=True).decode(rois, deltas[:, :4])
    assert isinstance(boxes, HorizontalBoxes)
    assert torch.equal(boxes.tensor, together[:, :4])
    assert build().decode(rois[:0], deltas[:0], (9, 9)).shape == (0, 12)
    assert build().encode(rois[:0], rois[:0]).shape == (0, 4)
