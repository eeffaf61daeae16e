import pytest
import torch
from mmengine.structures import InstanceData

from mmxdistill.registry import TASK_UTILS


def build():
    return TASK_UTILS.build(
        dict(
            type='mmxdistill.CaffeMaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            match_low_quality=False,
            iou_calculator=dict(type='mmxdistill.CaffeBboxOverlaps2D'),
        )
    )


def assign(priors, truth, scale, labels=None):
    """Assign boxes of the original image, shown at a scale."""

    def resized(boxes):
        scaled = torch.tensor(boxes).double().view(-1, 4) * scale
        return scaled.float()

    proposals = InstanceData(priors=resized(priors))
    proposals.set_metainfo(dict(scale_factor=(scale, scale)))
    labels = torch.arange(len(truth)) if labels is None else labels
    instances = InstanceData(bboxes=resized(truth), labels=labels)
    ignored = InstanceData(bboxes=torch.zeros(0, 4))
    return build().assign(proposals, instances, ignored)


@pytest.mark.parametrize('scale', [1.0, 688 / 425, 600 / 530, 0.37, 3.1])
def test_the_scale_does_not_matter(scale):
    generator = torch.Generator().manual_seed(1)
    corners = torch.randint(0, 300, (400, 2, 2), generator=generator)
    boxes = torch.cat([corners.amin(1), corners.amax(1) + 1], 1).double()
    truth, priors = boxes[:9], boxes[9:]
    expected = assign(priors.tolist(), truth.tolist(), 1.0)
    found = assign(priors.tolist(), truth.tolist(), scale)
    assert torch.equal(found.gt_inds, expected.gt_inds)
    assert torch.equal(found.max_overlaps, expected.max_overlaps)
    assert 0 < (found.gt_inds > 0).sum() < len(priors)


@pytest.mark.parametrize('scale', [1.0, 688 / 425, 600 / 427, 0.61])
def test_half_is_foreground(scale):
    """Overlap 1/2 exactly, and just below: 50 and 49 of 100 columns."""
    truth = [[7, 11, 106, 60]]
    priors = [[7, 11, 56, 60], [7, 11, 55, 60], [200, 0, 210, 9]]
    found = assign(priors, truth, scale)
    assert found.max_overlaps[0] == 0.5
    assert found.gt_inds.tolist() == [1, 0, 0]


def test_plus_one_in_pixels_of_the_original():
    """A proposal that +1 in pixels of the resized image would lose."""
    truth, prior = [[0, 0, 9, 9]], [[0, 0, 4, 9]]
    assert assign(prior, truth, 4.0).gt_inds.tolist() == [1]


def test_without_ground_truth_all_is_background():
    found = assign([[0, 0, 9, 9]], [], 2.0)
    assert found.gt_inds.tolist() == [0] and found.num_gts == 0


def test_proposals_without_a_scale():
    boxes = InstanceData(priors=torch.zeros(1, 4))
    truth = InstanceData(bboxes=torch.zeros(1, 4), labels=torch.zeros(1))
    with pytest.raises(KeyError, match="'scale_factor'.*meta key"):
        build().assign(boxes, truth)
