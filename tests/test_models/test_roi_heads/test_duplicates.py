import numpy as np
import pytest
import torch
from torch import Tensor

from mmxdistill.models.roi_heads.duplicates import (
    score_unique_rois,
    unique_rois,
)


def some_rois(n: int = 500, images: int = 2) -> Tensor:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (n, 2))
    corners = np.hstack([low, low + rng.uniform(0, 60, (n, 2))])
    index = rng.integers(0, images, (n, 1))
    return torch.tensor(np.hstack([index, corners]), dtype=torch.float32)


@pytest.mark.parametrize('stride', [16, 8, 12.0])
def test_representatives(stride):
    rois = some_rois()
    keys = rois.double().numpy()
    keys[:, 1:] = np.round(keys[:, 1:] / stride)
    first: dict[tuple, int] = {}
    expected = [first.setdefault(tuple(k), i) for i, k in enumerate(keys)]
    index, inverse = unique_rois(rois, stride)
    assert len(index) == len(first) < len(rois)
    assert index[inverse].tolist() == expected


def test_images_are_kept_apart():
    rois = torch.tensor([[0.0, 1, 1, 9, 9], [1.0, 1, 1, 9, 9]])
    assert len(unique_rois(rois, 16)[0]) == 2


def test_signed_zeros_and_large_coordinates():
    rois = torch.tensor(
        [
            [0.0, -3.0, -0.0, 40.0, 40.0],
            [0.0, 3.0, 0.0, 40.0, 40.0],
            # The released keys, x1 + 1000 y1 + ..., would be equal.
            [0.0, 16000.0, 0.0, 40.0, 40.0],
            [0.0, 0.0, 16.0, 40.0, 40.0],
        ]
    )
    index, inverse = unique_rois(rois, 16)
    assert index[inverse].tolist() == [0, 0, 2, 3]


def test_scores_are_copied_with_the_roi():
    rois = some_rois()
    seen = []

    def score(part: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(part)
        return part.sum(1, keepdim=True), part * 2

    found, scores, deltas = score_unique_rois(score, rois, 16)
    index, inverse = unique_rois(rois, 16)
    assert torch.equal(seen[0], rois[index])
    assert torch.equal(found, rois[index[inverse]])
    assert torch.equal(scores, found.sum(1, keepdim=True))
    assert torch.equal(deltas, found * 2)

    found, scores, _ = score_unique_rois(score, rois, None)
    assert found is rois and seen[1] is rois


def test_no_rois():
    index, inverse = unique_rois(torch.zeros(0, 5), 16)
    assert len(index) == len(inverse) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_cuda_gives_the_same():
    rois = some_rois()
    for here, there in zip(
        unique_rois(rois, 16), unique_rois(rois.cuda(), 16), strict=True
    ):
        assert torch.equal(here, there.cpu())
