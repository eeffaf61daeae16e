import json

import cv2
import numpy as np
import pytest
from scipy import ndimage

from mmxdistill.datasets.transforms import (
    EncodeDisparity,
    EncodeHHA,
    FillDepth,
)
from mmxdistill.encodings import (
    PinholeCamera,
    encode_disparity,
    encode_hha,
)
from mmxdistill.encodings.deferred import position_image
from mmxdistill.registry import TRANSFORMS

CAMERA = dict(fx=60.0, fy=60.0, cx=32.5, cy=24.5)


def tilted_plane():
    rows = np.arange(48)[:, None] + np.zeros((1, 64))
    return (3000 - 25 * rows).astype(np.uint16)


def test_hha_is_that_of_the_encoder():
    depth = tilted_plane()
    mask = np.ones(depth.shape, bool)
    mask[10:20, 30:40] = False
    sample = EncodeHHA(camera=CAMERA)(dict(img=depth.copy(), depth_mask=mask))
    expected = encode_hha(depth, CAMERA, np.where(mask, depth, 0))
    np.testing.assert_array_equal(sample['img'], expected)


def test_camera_from_file_and_from_the_sample(tmp_path):
    path = tmp_path / 'camera.json'
    path.write_text(json.dumps(CAMERA))
    depth = tilted_plane()
    from_file = EncodeHHA(camera=str(path))(dict(img=depth.copy()))
    from_sample = EncodeHHA()(dict(img=depth.copy(), camera=CAMERA))
    np.testing.assert_array_equal(from_file['img'], from_sample['img'])
    with pytest.raises(KeyError, match='needs a camera'):
        EncodeHHA()(dict(img=depth))


def test_gravity_of_the_sample_is_used():
    gravity = np.array([0.0, np.cos(0.3), np.sin(0.3)])
    depth = tilted_plane()
    given = EncodeHHA(camera=CAMERA, use_gravity=True)(
        dict(img=depth.copy(), gravity=gravity)
    )
    expected = encode_hha(depth, CAMERA, gravity=gravity)
    np.testing.assert_array_equal(given['img'], expected)
    with pytest.raises(KeyError, match="no 'gravity'"):
        EncodeHHA(camera=CAMERA, use_gravity=True)(dict(img=depth))


def test_encoder_errors_name_the_file():
    wrong = dict(fx=60.0, fy=60.0, cx=900.0, cy=24.5)
    with pytest.raises(ValueError, match=r'd\.png.*principal point'):
        EncodeHHA(camera=wrong)(dict(img=tilted_plane(), img_path='d.png'))


@pytest.mark.parametrize('backend', ['numpy', 'auto'])
def test_backend(backend):
    depth = tilted_plane()
    depth += np.random.default_rng(0).integers(0, 9, depth.shape, np.uint16)
    encode = TRANSFORMS.build(
        dict(type='mmxdistill.EncodeHHA', camera=CAMERA, backend=backend)
    )
    np.testing.assert_array_equal(
        encode(dict(img=depth.copy()))['img'], encode_hha(depth, CAMERA)
    )
    with pytest.raises(ValueError, match="'numpy', 'numba'.*'gpu'"):
        EncodeHHA(camera=CAMERA, backend='gpu')


def test_on_device_leaves_depth_and_a_stand_in():
    depth = tilted_plane()
    mask = depth > 2500
    gravity = [0.0, 1.0, 0.1]
    encode = TRANSFORMS.build(
        dict(
            type='mmxdistill.EncodeHHA',
            camera=CAMERA,
            use_gravity=True,
            on_device=True,
        )
    )
    sample = encode(dict(img=depth.copy(), depth_mask=mask, gravity=gravity))
    np.testing.assert_array_equal(sample['img'], position_image(48, 64))
    left = sample['encoder_input']
    np.testing.assert_array_equal(left['depth_mm'], depth)
    np.testing.assert_array_equal(left['raw_depth_mm'], mask)
    assert left['camera'] == PinholeCamera.from_any(CAMERA)
    assert left['gravity'] == gravity
    # Bad samples are found in the loader, where the file is known.
    for bad in (depth / 1000, depth[:, :20]):
        with pytest.raises(
            ValueError, match=r"'d\.png': .*(metres|principal)"
        ):
            encode(dict(img=bad, gravity=gravity, img_path='d.png'))


def test_disparity():
    depth = tilted_plane()
    sample = EncodeDisparity()(dict(img=depth.copy()))
    np.testing.assert_array_equal(sample['img'], encode_disparity(depth))


def test_fill_takes_the_nearest_measurement():
    rng = np.random.default_rng(0)
    depth = rng.integers(500, 9000, (40, 50)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.6] = 0
    filled = FillDepth()(dict(img=depth.copy()))['img']
    np.testing.assert_array_equal(filled[depth > 0], depth[depth > 0])
    exact = ndimage.distance_transform_edt(depth == 0)
    # The distance to the pixel whose value was taken: OpenCV's 5x5 mask is
    # exact to about a tenth of a pixel at these distances.
    values = {v: np.argwhere(depth == v) for v in np.unique(depth) if v}
    for y, x in np.argwhere(depth == 0)[::7]:
        sources = values[filled[y, x]]
        distance = np.hypot(*(sources - (y, x)).T).min()
        assert distance <= exact[y, x] + 0.5


@pytest.mark.parametrize('value', [0, 700])
def test_fill_without_holes_or_measurements(value):
    depth = np.full((4, 4), value, np.uint16)
    filled = FillDepth()(dict(img=depth.copy()))['img']
    np.testing.assert_array_equal(filled, depth)
    assert cv2.countNonZero(filled) == np.count_nonzero(depth)
