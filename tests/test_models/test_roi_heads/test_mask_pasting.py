import numpy as np
import pytest
import torch

from mmxdistill.models.roi_heads.mask_pasting import (
    paste_masks,
    superpixel_means,
    superpixel_regions,
)


@pytest.mark.golden
def test_golden_paste(caffe_golden):
    meta, groups = caffe_golden('py_sds')
    arrays = groups['paste']
    superpixels = torch.tensor(arrays['superpixels'].astype(np.int64))
    masks = torch.tensor(arrays['output'])[:, 0]
    boxes = torch.tensor(arrays['boxes'])
    means = superpixel_means(masks, boxes, superpixels)
    np.testing.assert_array_equal(means, arrays['pasted'][:, 0])
    regions = superpixel_regions(
        means, superpixels, meta['paste']['sp_thresh']
    )
    expected = arrays['binary'][:, arrays['superpixels'].astype(int) - 1]
    np.testing.assert_array_equal(regions, expected)
    # The same from the pasted images.
    images = paste_masks(masks, boxes, tuple(superpixels.shape)).double()
    for i in range(means.shape[1]):
        torch.testing.assert_close(
            images[:, superpixels == i + 1].mean(1), means[:, i]
        )


def test_pixels_take_the_cell_that_they_lie_in():
    masks = torch.tensor([[[1.0, 2], [3, 4]]]).repeat(2, 1, 1)
    # Rounded up to columns 2..4 and rows 1..2; 3 pixels for 2 cells.
    boxes = torch.tensor([[1.2, 0.1, 3.4, 1.9], [4, 2, 99, 99]])
    pasted = paste_masks(masks, boxes, (4, 6))
    assert pasted[0].tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 2, 0],
        [0, 0, 3, 3, 4, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    # Clipped to the image.
    assert pasted[1, 2:, 4:].tolist() == [[1, 2], [3, 4]]
    assert pasted[1].count_nonzero() == 4


def test_threshold_is_inclusive_and_pixels_outside_count():
    superpixels = torch.tensor([[1, 1, 3], [1, 1, 3]], dtype=torch.int32)
    box = torch.tensor([[0, 0, 0, 1.0]])
    means = superpixel_means(torch.full((1, 5, 5), 0.5), box, superpixels)
    assert means.tolist() == [[0.25, 0, 0]]  # there is no superpixel 2
    region = superpixel_regions(means, superpixels, 0.25)
    assert region.tolist() == [[[True, True, False]] * 2]
    assert not superpixel_regions(means, superpixels).any()


def test_nothing_to_paste():
    superpixels = torch.ones(4, 5, dtype=torch.long)
    masks, boxes = torch.zeros(0, 9, 9), torch.zeros(0, 4)
    assert paste_masks(masks, boxes, (4, 5)).shape == (0, 4, 5)
    means = superpixel_means(masks, boxes, superpixels)
    assert superpixel_regions(means, superpixels).shape == (0, 4, 5)
    reversed_box = torch.tensor([[3, 2, 1, 1.0]])
    assert not paste_masks(torch.ones(1, 9, 9), reversed_box, (4, 5)).any()


def test_superpixels_start_at_one():
    superpixels = torch.tensor([[0, 1], [2, 3]])
    with pytest.raises(ValueError, match='numbered from 1, found 0'):
        superpixel_means(torch.ones(1, 2, 2), torch.zeros(1, 4), superpixels)
    with pytest.raises(ValueError, match='numbered from 1, found 0'):
        superpixel_regions(torch.ones(1, 3), superpixels)
