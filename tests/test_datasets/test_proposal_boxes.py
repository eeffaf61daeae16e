"""Boxes of an image, and of all images of a data set."""

import copy
import pickle

import numpy as np
import pytest

from mmxdistill.datasets.proposal_boxes import ProposalTable, proposal_boxes


def test_no_boxes():
    assert proposal_boxes(dict(bboxes=np.zeros(0))).bboxes.shape == (0, 4)


@pytest.mark.parametrize(
    ('item', 'message'),
    [
        (dict(boxes=1), 'dict instead of a dict or InstanceData with'),
        (None, 'NoneType instead'),
        (dict(bboxes=np.ones((3, 6))), r'shape \(3, 6\)'),
        (dict(bboxes='x'), 'bboxes are no numbers'),
        (dict(bboxes=[[1, 2], [1]]), 'bboxes are no numbers'),
        (dict(bboxes=np.ones((3, 4)), scores=[1]), '1 scores for 3'),
    ],
)
def test_other_entries(item, message):
    with pytest.raises(ValueError, match=message):
        proposal_boxes(item)


def test_table_is_shared_and_read_only():
    one = np.float32([[1, 1, 6, 6], [1, 1, 6, 6]])
    table = ProposalTable(map(proposal_boxes, (one, one[:0])))
    assert len(table) == 2
    np.testing.assert_array_equal(table[0]['bboxes'], one)
    assert table[1]['bboxes'].shape == (0, 4)
    assert copy.deepcopy(table) is table
    with pytest.raises(ValueError, match='read-only'):
        table[0]['bboxes'][:] = 0
    assert len(pickle.loads(pickle.dumps(table))) == 2
