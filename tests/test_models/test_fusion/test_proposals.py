import pytest
import torch
from mmengine.structures import InstanceData
from stock import image, pair, samples

from mmxdistill.models.fusion.proposals import (
    shared_proposals,
    unite_proposals,
)


def boxes(*lefts, scores):
    low = torch.tensor([[left, 0.0] for left in lefts])
    return InstanceData(
        bboxes=torch.cat([low, low + 10], 1), scores=torch.tensor(scores)
    )


def test_union():
    a = boxes(0, 1, 50, scores=[0.9, 0.8, 0.3])
    b = boxes(1, 51, 90, scores=[0.95, 0.2, 0.1])
    united = unite_proposals([a, b], 0.5, 10)
    # Both of a's first lie on b's; its third is better than b's second.
    assert united.bboxes[:, 0].tolist() == [1, 50, 90]
    assert united.scores.tolist() == pytest.approx([0.95, 0.3, 0.1])
    assert len(unite_proposals([a, b], 0.5, 2)) == 2


def test_no_suppression_within_a_stream():
    a = boxes(0, 1, scores=[0.9, 0.8])
    united = unite_proposals([a, a.clone()], 0.5, 10)
    assert united.bboxes.equal(a.bboxes) and united.scores.equal(a.scores)
    # A suppressed box suppresses nothing.
    b = boxes(2, scores=[0.85])
    united = unite_proposals([boxes(0, 4, scores=[0.9, 0.8]), b], 0.6, 10)
    assert united.bboxes[:, 0].tolist() == [0, 4]


def test_empty():
    none = boxes(0, scores=[0.9])[:0]
    a = boxes(3, scores=[0.9])
    assert len(unite_proposals([none, none], 0.5, 10)) == 0
    assert unite_proposals([none, a], 0.5, 10).bboxes.equal(a.bboxes)


@pytest.fixture(scope='module')
def model():
    return pair('faster_rcnn')


def test_source_of_proposals(model):
    x = torch.cat([image(), image(seed=1)], 1)
    feats = model.extract_feat(x)

    def found(batch, source='union', names='ab'):
        part = {name: feats[name] for name in names}
        return shared_proposals(model.streams, part, batch, source)

    batch = samples()
    own = {
        name: stream.rpn_head.predict(feats[name], batch, rescale=False)
        for name, stream in model.streams.items()
    }
    assert found(batch, 'b')[1].bboxes.equal(own['b'][1].bboxes)
    # That stream is absent: the others'.
    assert found(batch, 'b', 'a')[1].bboxes.equal(own['a'][1].bboxes)
    union = found(batch)
    both = torch.cat([own['a'][0].bboxes, own['b'][0].bboxes])
    assert 0 < len(union[0]) <= 30  # max_per_img
    assert (both[None] == union[0].bboxes[:, None]).all(-1).any(1).all()
    # Each sample's own, where it has them.
    mixed = samples(2, proposals=True)
    del mixed[1].proposals
    first, second = found(mixed)
    assert first.bboxes.equal(mixed[0].proposals.bboxes)
    assert second.bboxes.equal(union[1].bboxes)


def test_no_proposals_at_all(model):
    batch = samples(2, proposals=True)
    del batch[1].proposals
    stream = type('FastRCNN', (), dict(with_rpn=False))()
    with pytest.raises(ValueError, match=r"'1\.jpg' has no.*proposal_file"):
        shared_proposals(dict(a=stream), dict(a=()), batch, 'union')
