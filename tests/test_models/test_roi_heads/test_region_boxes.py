import numpy as np
import pytest
import torch

from mmxdistill.models.roi_heads.region_boxes import (
    crop_masks,
    instance_weights,
    normalize_boxes,
    released_test_boxes,
    snap_boxes,
)
from mmxdistill.registry import MODELS, TRANSFORMS


@pytest.fixture(scope='module')
def sds(caffe_golden):
    meta, groups = caffe_golden('py_sds')
    return meta['train_blobs'], groups


def network_input(image, settings):
    """The image as a config's pipeline and preprocessor make it."""
    results = dict(img=image, img_shape=image.shape[:2])
    for step in (
        dict(
            type='mmxdistill.CaffeResize',
            scale=settings['target_size'],
            max_size=settings['max_size'],
        ),
        dict(type='mmdet.PackDetInputs', meta_keys=()),
    ):
        results = TRANSFORMS.build(step)(results)
    preprocessor = MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=dict(rgb=dict(mean=settings['pixel_means'])),
        )
    )
    return preprocessor(
        dict(
            inputs=[results['inputs']], data_samples=[results['data_samples']]
        )
    )['inputs'].numpy()


@pytest.mark.golden
@pytest.mark.parametrize('phase', ['train', 'test'])
def test_golden_blobs(sds, phase):
    settings, groups = sds
    train, expected = groups['train_blobs'], groups[f'{phase}_blobs']
    image = train['image']
    blob = network_input(image, settings)
    np.testing.assert_allclose(blob, expected['out_image'], rtol=0, atol=1e-4)

    boxes = torch.tensor(expected['boxes'])
    if phase == 'test':
        boxes = released_test_boxes(boxes, image.shape[:2])
        np.testing.assert_array_equal(boxes, expected['clipped'])
    boxes = boxes.float()
    np.testing.assert_array_equal(
        snap_boxes(
            boxes, image.shape[:2], blob.shape[2:], settings['feat_scale']
        ),
        expected['sppboxes'][:, 1:, 0, 0],
    )
    np.testing.assert_array_equal(
        normalize_boxes(boxes, image.shape[:2]),
        expected['normalizedboxes'][:, 2:, 0, 0].astype(np.float32),
    )


@pytest.mark.golden
def test_golden_targets(sds):
    settings, groups = sds
    train = groups['train_blobs']
    boxes = torch.tensor(train['boxes']).float()
    masks = torch.tensor(train['masks'])[:, 0]
    np.testing.assert_array_equal(
        crop_masks(masks, boxes, settings['mask_size']),
        train['out_masks'][:, 0],
    )
    np.testing.assert_array_equal(
        instance_weights(boxes), train['instance_wts'].flatten()
    )


def test_half_cells_round_to_even():
    boxes = torch.tensor([[8.0, 24, 40, 56], [23.9, 24.1, 0, 8.1]])
    expected = [[0, 2, 2, 4], [1, 2, 0, 1]]
    assert snap_boxes(boxes, (100, 90), (100, 90)).tolist() == expected


def test_axes_have_scales_of_their_own():
    boxes = torch.tensor([[32.0, 32, 64, 64]])
    expected = [[2, 4, 4, 8]]
    assert snap_boxes(boxes, (100, 200), (200, 200)).tolist() == expected


def test_released_test_boxes_shift_and_clip():
    boxes = torch.tensor([[0.5, 1, 300, 50], [10, 20, 30, 40]])
    assert released_test_boxes(boxes, (40, 200)).tolist() == [
        [0, 0, 199, 39],
        [9, 19, 29, 39],
    ]


def test_labels_of_a_crop_never_mix():
    mask = torch.tensor([[0, 0, -1, 1, 1]], dtype=torch.int8).expand(1, 3, 5)
    box = torch.tensor([[0, 0, 4, 2.0]])
    crop = crop_masks(mask, box, size=9)
    assert crop.dtype == torch.int8
    # Half a pixel rounds to even.
    expected = [0, 0, 0, -1, -1, -1, 1, 1, 1]
    assert crop[0].tolist() == [expected] * 9
    # Beyond the image the border repeats.
    assert crop_masks(mask, box + 100, size=2).tolist() == [[[1, 1], [1, 1]]]
    assert crop_masks(mask[:0], box[:0]).shape == (0, 50, 50)


def test_large_boxes_count_fully():
    boxes = torch.tensor(
        [[0, 0, 111, 223], [0, 0, 223, 223], [0, 0, 500, 400]]
    )
    assert instance_weights(boxes.float()).tolist() == [0.5, 1, 1]
