import numpy as np
import pytest
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.registry import FUNCTIONS

from mmxdistill.registry import MODELS, TRANSFORMS

GREY_LEVELS = 1e-4


def resize(**kwargs):
    return TRANSFORMS.build(dict(type='mmxdistill.CaffeResize', **kwargs))


def flip(**kwargs):
    return TRANSFORMS.build(dict(type='mmxdistill.CaffeRandomFlip', **kwargs))


def blob(images, target, longest, means, flipped=False):
    """Images of the same channels through pipeline and preprocessor."""
    pipeline = Compose(
        [
            flip(prob=float(flipped)),
            resize(scale=target, max_size=longest),
            TRANSFORMS.build(dict(type='PackDetInputs')),
        ]
    )
    preprocessor = MODELS.build(
        dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=dict(x=dict(mean=means)),
        )
    )
    samples = [pipeline(dict(img=i, img_shape=i.shape[:2])) for i in images]
    data = preprocessor(FUNCTIONS.get('pseudo_collate')(samples))
    scales = [s.scale_factor for s in data['data_samples']]
    return data['inputs'].numpy(), scales


@pytest.mark.golden
def test_caffes_blobs(caffe_golden):
    meta, cases = caffe_golden('py_image_blob')
    means = next(m['pixel_means'] for m in meta.values() if 'pixel_means' in m)
    compared = 0
    for name, case in cases.items():
        images = [case[k] for k in sorted(case) if k.startswith('image')]
        if not images:
            continue
        size = [meta[name][k] for k in ('target_size', 'max_size')]
        used = meta[name].get('pixel_means', means)
        found, scales = blob(images, *size, used)
        expected = {'blob': found, 'train_blob': found[0]}
        if 'im_scale' in case:
            assert [s for s, _ in scales] == case['im_scale'].tolist()
            assert scales[0][0] == scales[0][1]
        if 'train_flipped' in case:
            mirrored, _ = blob(images, *size, used, flipped=True)
            expected['train_flipped'] = mirrored[0]
        for key in set(case) & set(expected):
            assert expected[key].shape == case[key].shape, (name, key)
            np.testing.assert_allclose(
                expected[key],
                case[key],
                rtol=0,
                atol=GREY_LEVELS,
                err_msg=f'{name} {key}',
            )
            compared += 1
    assert compared


@pytest.mark.golden
def test_caffes_sizes(caffe_golden):
    meta, cases = caffe_golden('py_image_blob')
    columns = meta['shapes']['columns']
    for row in cases['shapes']['table']:
        line = dict(zip(columns, row.tolist(), strict=True))
        h, w = int(line['h']), int(line['w'])
        transform = resize(
            scale=int(line['target']), max_size=int(line['max'])
        )
        out = transform(dict(img=np.zeros((h, w, 1), np.uint8)))
        assert out['img_shape'] == (line['out_h'], line['out_w'])
        assert out['img'].shape == (*out['img_shape'], 1)
        assert out['scale_factor'] == (line['scale'], line['scale'])


@pytest.mark.parametrize('channels', [1, 3, 4, 5, 6, 9, 21])
def test_any_number_of_channels(channels):
    image = np.random.default_rng(0).integers(0, 256, (37, 50, channels))
    transform = resize(scale=53, max_size=2000)
    whole = transform(dict(img=image.astype(np.uint8)))['img']
    assert whole.dtype == np.float32 and whole.shape[2] == channels
    for c in range(channels):
        plane = image[..., c].astype(np.uint8)
        alone = transform(dict(img=plane))['img']
        np.testing.assert_array_equal(whole[..., c], alone)


def test_sampling_step_is_one_over_the_scale():
    """On a ramp, bilinear resampling shows where it samples."""
    ramp = np.tile(np.arange(50, dtype=np.float32), (40, 1))
    out = resize(scale=57)(dict(img=ramp))
    scale = 57 / 40
    columns = (np.arange(out['img'].shape[1]) + 0.5) / scale - 0.5
    np.testing.assert_allclose(out['img'][0], columns.clip(0, 49), atol=1e-4)


def boxes_of_all_corners(w, h):
    return np.array(
        [[0, 0, w - 1, h - 1], [0, 0, 0, 0], [w - 1, h - 1, w - 1, h - 1]],
        np.float32,
    )


@pytest.mark.parametrize('size', [21, 40, 97])
def test_boxes_are_scaled_and_not_clipped(size):
    boxes = np.concatenate(
        [boxes_of_all_corners(50, 40), [[-3, 2.5, 60, 7.25]]]
    ).astype(np.float32)
    data = dict(
        img=np.zeros((40, 50, 3), np.uint8),
        gt_bboxes=HorizontalBoxes(boxes),
        proposals=boxes,
        proposals_scores=np.ones(len(boxes), np.float32),
    )
    wrapper = TRANSFORMS.build(
        dict(
            type='mmxdistill.FastProposalBroadcaster',
            transforms=[dict(type='mmxdistill.CaffeResize', scale=size)],
        )
    )
    out = wrapper(data)
    expected = (boxes.astype(float) * (size / 40)).astype(np.float32)
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), expected)
    np.testing.assert_array_equal(out['proposals'], expected)
    assert out['proposals'].dtype == np.float32
    assert out['gt_bboxes'].numpy().dtype == np.float32


DIRECTIONS = {
    'horizontal': (True, False),
    'vertical': (False, True),
    'diagonal': (True, True),
}


@pytest.mark.parametrize('direction', DIRECTIONS)
def test_flip_of_inclusive_boxes(direction):
    """The pixels inside a box are the same before and after."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (30, 41, 6), np.uint8)
    x, y = (np.sort(rng.integers(0, n, (2, 7)), 0) for n in (41, 30))
    boxes = np.stack([x[0], y[0], x[1], y[1]], 1).astype(np.float32)
    boxes = np.concatenate([boxes, boxes_of_all_corners(41, 30)])
    data = dict(
        img=image,
        gt_bboxes=HorizontalBoxes(boxes),
        proposals=boxes,
        proposals_scores=np.ones(len(boxes), np.float32),
    )
    settings = dict(prob=1.0, direction=direction)
    wrapper = TRANSFORMS.build(
        dict(
            type='mmxdistill.FastProposalBroadcaster',
            transforms=[dict(type='mmxdistill.CaffeRandomFlip', **settings)],
        )
    )
    out = wrapper(data)
    assert out['flip_direction'] == direction
    np.testing.assert_array_equal(out['proposals'], out['gt_bboxes'].numpy())
    flip_x, flip_y = DIRECTIONS[direction]
    for before, after in zip(boxes, out['proposals'], strict=True):
        a, b, c, d = before.astype(int)
        inside = image[b : d + 1, a : c + 1]
        a, b, c, d = after.astype(int)
        np.testing.assert_array_equal(
            out['img'][b : d + 1, a : c + 1],
            inside[:: -1 if flip_y else 1, :: -1 if flip_x else 1],
        )


def test_flipped_boxes_without_box_type():
    boxes = np.array([[2.0, 3, 5, 7]], np.float32)
    out = flip(prob=1.0)(dict(img=np.zeros((9, 11, 3)), gt_bboxes=boxes))
    np.testing.assert_array_equal(out['gt_bboxes'], [[5, 3, 8, 7]])


def test_no_flip():
    boxes = HorizontalBoxes([[2.0, 3, 5, 7]])
    out = flip(prob=0.0)(dict(img=np.zeros((9, 11, 3)), gt_bboxes=boxes))
    assert not out['flip'] and 'homography_matrix' not in out
    assert out['gt_bboxes'].tensor.tolist() == [[2, 3, 5, 7]]


def test_flip_then_resize_round_once():
    rng = np.random.default_rng(1)
    boxes = rng.integers(0, 425, (50, 4)).astype(np.float32)
    data = dict(
        img=np.zeros((425, 560, 1), np.uint8),
        proposals=boxes,
        proposals_scores=np.ones(50, np.float32),
    )
    names = ('mmxdistill.CaffeRandomFlip', 'mmxdistill.CaffeResize')
    steps = [dict(type=names[0], prob=1.0), dict(type=names[1])]
    wrapper = TRANSFORMS.build(
        dict(type='mmxdistill.FastProposalBroadcaster', transforms=steps)
    )
    out = wrapper(data)
    x = 560 - 1 - boxes[:, [2, 0]].astype(float)
    expected = np.stack([x, boxes[:, [1, 3]]], 2).transpose(0, 2, 1)
    expected = np.sort(expected.reshape(50, 2, 2), 2) * (688 / 425)
    found = np.sort(out['proposals'].reshape(50, 2, 2).transpose(0, 2, 1), 2)
    np.testing.assert_array_equal(found, expected.astype(np.float32))


def test_masks_and_segmentation_follow():
    mask = np.zeros((1, 40, 50), np.uint8)
    mask[0, :20] = 1
    out = resize(scale=80)(
        dict(
            img=np.zeros((40, 50, 3), np.uint8),
            gt_masks=BitmapMasks(mask, 40, 50),
            gt_seg_map=mask[0],
        )
    )
    assert out['gt_masks'].masks[0, :40].all()
    assert not out['gt_masks'].masks[0, 40:].any()
    np.testing.assert_array_equal(out['gt_masks'].masks[0], out['gt_seg_map'])
    assert out['gt_seg_map'].shape == out['img_shape']


def test_bad_sizes():
    with pytest.raises(ValueError, match=r'scale=0, max_size=2000'):
        resize(scale=0)
