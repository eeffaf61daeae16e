"""Images of all modalities, boxes and proposals must move together."""

import numpy as np
import pytest
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes

from mmxdistill.registry import TRANSFORMS

GEOMETRY = {
    'resize': [dict(type='Resize', scale=(90, 70), keep_ratio=False)],
    'random resize': [
        dict(
            type='RandomResize',
            scale=(100, 80),
            ratio_range=(0.5, 2.0),
            keep_ratio=True,
        )
    ],
    'flip': [
        dict(
            type='RandomFlip',
            prob=[0.3, 0.3, 0.3],
            direction=['horizontal', 'vertical', 'diagonal'],
        )
    ],
    'crop': [
        dict(
            type='RandomCrop',
            crop_size=(0.6, 0.8),
            crop_type='relative_range',
            allow_negative_crop=True,
        )
    ],
    'pad': [dict(type='mmxdistill.Pad', size_divisor=32)],
    'all': [
        dict(
            type='RandomResize',
            scale=(100, 80),
            ratio_range=(0.7, 1.5),
            keep_ratio=True,
        ),
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='RandomCrop',
            crop_size=(0.7, 0.7),
            crop_type='relative_range',
            allow_negative_crop=True,
        ),
        dict(type='mmxdistill.Pad', size_divisor=32),
    ],
}


def wrap(transforms):
    return TRANSFORMS.build(
        dict(
            type='mmxdistill.FastProposalBroadcaster',
            transforms=[dict(t) for t in transforms],
        )
    )


def sample(rng, boxes):
    """Three modalities that are equal, and proposals equal to the boxes."""
    rgb = rng.integers(0, 255, (64, 80, 3), np.uint8)
    return dict(
        img=np.concatenate([rgb, rgb, rgb], 2),
        img_shape=(64, 80),
        ori_shape=(64, 80),
        gt_bboxes=HorizontalBoxes(boxes.copy()),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
        proposals=boxes.copy(),
        proposals_scores=np.arange(len(boxes), dtype=np.float32),
    )


def random_boxes(rng, n=20):
    corners = rng.uniform(0, 1, (n, 2, 2)) * (80, 64)
    low, high = corners.min(1), corners.max(1) + 1
    return np.concatenate([low, high.clip(max=(80, 64))], 1).astype('f4')


@pytest.mark.parametrize('name', GEOMETRY)
@pytest.mark.parametrize('seed', range(8))
def test_everything_moves_together(name, seed):
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    out = wrap(GEOMETRY[name])(sample(rng, random_boxes(rng)))
    image = out['img']
    np.testing.assert_array_equal(image[..., :3], image[..., 3:6])
    np.testing.assert_array_equal(image[..., :3], image[..., 6:])
    # The same proposals survive as boxes, at the same place.
    np.testing.assert_array_equal(
        out['proposals_scores'], out['gt_bboxes_labels']
    )
    np.testing.assert_allclose(
        out['proposals'], out['gt_bboxes'].numpy(), atol=1e-3
    )
    h, w = image.shape[:2]
    assert (out['proposals'] >= 0).all()
    assert (out['proposals'] <= np.array([w, h, w, h])).all()


@pytest.mark.parametrize('mode', ['constant', 'edge', 'reflect'])
@pytest.mark.parametrize('channels', [1, 3, 7])
def test_pad_is_the_stock_one_for_any_channels(mode, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (5, 6, channels), np.uint8)
    spec = dict(size_divisor=8, pad_val=dict(img=9), padding_mode=mode)
    ours = TRANSFORMS.build(dict(type='mmxdistill.Pad', **spec))
    stock = TRANSFORMS.build(dict(type='mmdet.Pad', **spec))
    out = ours(dict(img=image))
    assert out['img'].shape == out['pad_shape'] == (8, 8, channels)
    for c in range(channels):
        plane = np.repeat(image[..., c : c + 1], 3, 2)
        expected = stock(dict(img=plane))['img'][..., 0]
        np.testing.assert_array_equal(out['img'][..., c], expected)


@pytest.mark.parametrize('seed', range(6))
def test_boxes_stay_on_their_object(seed):
    """A bright rectangle is inside its box, before and after."""
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    box = np.array([[20, 10, 60, 50]], np.float32)
    data = sample(rng, box)
    data['img'][:] = 0
    data['img'][10:50, 20:60] = 255
    transforms = [
        dict(type='Resize', scale_factor=1.5),
        dict(type='RandomFlip', prob=0.5),
        dict(
            type='RandomCrop',
            crop_size=(80, 100),
            allow_negative_crop=True,
        ),
    ]
    out = wrap(transforms)(data)
    for channel in range(9):
        rows, columns = np.nonzero(out['img'][..., channel] > 127)
        found = (columns.min(), rows.min(), columns.max(), rows.max())
        x1, y1, x2, y2 = out['proposals'][0]
        np.testing.assert_allclose(found, (x1, y1, x2 - 1, y2 - 1), atol=1)


def test_same_as_the_stock_broadcaster():
    rng = np.random.default_rng(1)
    boxes = random_boxes(rng)
    transforms = [
        dict(type='Resize', scale=(123, 77), keep_ratio=False),
        dict(type='RandomFlip', prob=0.5),
    ]
    for seed in range(4):
        ours, stock = (
            sample(np.random.default_rng(2), boxes) for _ in range(2)
        )
        np.random.seed(seed)
        ours = wrap(transforms)(ours)
        np.random.seed(seed)
        stock = TRANSFORMS.build(
            dict(type='mmdet.ProposalBroadcaster', transforms=transforms)
        )(stock)
        np.testing.assert_array_equal(ours['img'], stock['img'])
        np.testing.assert_allclose(
            ours['proposals'], np.asarray(stock['proposals']), atol=1e-3
        )


@pytest.mark.parametrize(
    'transform',
    [
        dict(type='Expand', prob=1.0),
        dict(type='MinIoURandomCrop', min_ious=(0.1,)),
    ],
)
def test_transform_that_hides_its_geometry(transform):
    rng = np.random.default_rng(0)
    with pytest.raises(TypeError, match=transform['type']):
        for seed in range(10):  # MinIoURandomCrop keeps the image at times
            np.random.seed(seed)
            data = sample(rng, random_boxes(rng))
            data['img'] = data['img'][..., :3]  # Expand takes no more
            wrap([transform])(data)


def test_photometric_transforms_pass():
    rng = np.random.default_rng(0)
    data = sample(rng, random_boxes(rng))
    data['img'] = data['img'][..., :3]
    before = data['proposals'].copy()
    out = wrap([dict(type='PhotoMetricDistortion')])(data)
    np.testing.assert_array_equal(out['proposals'], before)


def test_sample_without_proposals():
    with pytest.raises(KeyError, match=r'x\.jpg.*proposal_file'):
        wrap([])(dict(img=np.zeros((4, 4, 3)), img_path='x.jpg'))


@pytest.mark.parametrize('shapes', [((4, 5), (4,)), ((5, 4), (3,))])
def test_what_is_no_list_of_proposals(shapes):
    boxes, scores = (np.zeros(shape, np.float32) for shape in shapes)
    sample = dict(img=np.zeros((4, 4, 3)), img_path='x.jpg')
    with pytest.raises(ValueError, match=r"'x\.jpg': proposals .* \(n, 4\)"):
        wrap([])({**sample, 'proposals': boxes, 'proposals_scores': scores})


def test_homography_goes_on():
    """A broadcaster behind another transform keeps the whole matrix."""
    rng = np.random.default_rng(3)
    boxes = random_boxes(rng, 3)
    resize = dict(type='Resize', scale_factor=2.0)
    pipeline = Compose([TRANSFORMS.build(resize), wrap([resize])])
    data = sample(rng, boxes)
    data['proposals'] = boxes * 2
    out = pipeline(data)
    np.testing.assert_allclose(
        out['homography_matrix'], np.diag([4.0, 4.0, 1.0])
    )
