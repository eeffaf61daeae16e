import numpy as np
import pytest

from mmxdistill.datasets import proposal_search
from mmxdistill.datasets.proposal_search import ProposalSearch
from mmxdistill.datasets.proposals import sliding_windows

GRAY = np.zeros((30, 40, 1), np.uint8)
COLOUR = np.ones((30, 40, 3), np.uint8)


@pytest.fixture
def found(monkeypatch):
    """What is searched; finds a box of its own for each method."""
    images = []

    def search(method):
        def of_image(image, *args):
            images.append((method, image))
            return np.float32([[len(images), 0, 20, 20]])

        return of_image

    for name in ('selective_search', 'edge_boxes'):
        monkeypatch.setattr(proposal_search, name, search(name))
    monkeypatch.setattr(proposal_search, 'require_contrib', lambda: None)
    return images


def test_all_images_are_searched_by_all_methods(found):
    search = ProposalSearch(['selective_search', 'edge_boxes'], max_iou=1.0)
    search.check()
    boxes, scores = search(dict(rgb=COLOUR, thermal=GRAY))
    assert [method for method, _ in found] == [*search.methods] * 2
    assert all(image.shape == (30, 40, 3) for _, image in found)
    assert sorted(boxes[:, 0].tolist()) == [1, 2, 3, 4]
    assert scores.tolist() == [1, 0.75, 0.5, 0.25]


def test_windows_need_no_look_at_the_images(found):
    deep = GRAY.astype(np.uint16)
    boxes, _ = ProposalSearch(['windows'], max_iou=1.0)(dict(depth=deep))
    assert len(boxes) == len(sliding_windows(30, 40)) and not found
    both = ProposalSearch(['windows', 'edge_boxes'], max_iou=1.0)
    assert len(both(dict(rgb=COLOUR))[0]) == len(boxes) + 1


@pytest.mark.parametrize('image', [GRAY.astype(np.uint16), COLOUR[..., :2]])
def test_what_cannot_be_searched(found, image):
    with pytest.raises(ValueError, match="modality 'x' is .* 8-bit grey or c"):
        ProposalSearch()(dict(rgb=COLOUR, x=image))
