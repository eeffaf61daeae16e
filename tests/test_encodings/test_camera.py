from typing import Any

import cv2
import numpy as np
import pytest

from mmxdistill.encodings import PinholeCamera


def test_cropped_preset_is_the_shifted_full_one() -> None:
    cropped = PinholeCamera.preset('nyud2_cropped')
    assert cropped == PinholeCamera(
        518.85790117450188,
        519.46961112127485,
        285.58244941119034,
        208.73616633400465,
        560,
        425,
    )
    full = PinholeCamera.preset('nyud2_full')
    assert full.crop(40, 45, 560, 425) == cropped


@pytest.mark.parametrize(
    'name',
    ['nyud2_full', 'nyud2_cropped', 'kitchen', 'sunrgbd_kv2', 'sunrgbd_b3do'],
)
def test_presets_know_their_size(name: str) -> None:
    camera = PinholeCamera.preset(name)
    camera.check_fits(camera.height, camera.width)
    with pytest.raises(ValueError, match=f'{camera.width}x{camera.height}'):
        camera.check_fits(camera.height, camera.width + 1)


def test_from_any() -> None:
    camera = PinholeCamera(500.0, 510.0, 320.5, 240.5)
    matrix = [[500, 0, 320.5], [0, 510, 240.5], [0, 0, 1]]
    keys = dict(fx=500, fy=510, cx=320.5, cy=240.5)
    assert PinholeCamera.from_any(camera) is camera
    assert PinholeCamera.from_any(matrix) == camera
    assert PinholeCamera.from_any(np.array(matrix)) == camera
    assert PinholeCamera.from_any(keys) == camera
    sized = PinholeCamera.from_any(dict(keys, width=640, height=480))
    assert (sized.width, sized.height) == (640, 480)
    assert PinholeCamera.from_any('kitchen') == PinholeCamera.preset('kitchen')


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        ('kinect', 'nyud2_full'),
        (dict(fx=1.0, fy=1.0, cx=1.0), 'keys fx, fy, cx, cy'),
        (dict(fx=1.0, fy=1.0, cx=1.0, cy=1.0, f=2.0), "found .*'f'"),
        (np.eye(4), r'\[\[fx, 0, cx\]'),
        ([[5, 1, 3], [0, 5, 3], [0, 0, 1]], r'\[\[fx, 0, cx\]'),
        (7, r'\[\[fx, 0, cx\]'),
        (None, r'\[\[fx, 0, cx\]'),
        (dict(fx=0.0, fy=1.0, cx=1.0, cy=1.0), 'positive focal'),
        (dict(fx=np.nan, fy=1.0, cx=1.0, cy=1.0), 'finite'),
        (dict(fx=1, fy=1, cx=1, cy=1, width=3), 'width and height'),
        (dict(fx=1, fy=1, cx=1, cy=1, width=3, height=0), 'width and height'),
    ],
)
def test_bad_cameras_are_named(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PinholeCamera.from_any(value)


def test_crop_keeps_the_rays() -> None:
    camera = PinholeCamera(500.0, 510.0, 320.5, 240.5, 640, 480)
    u, v = camera.ray_slopes(480, 640)
    cropped = camera.crop(100, 30, 200, 150)
    cropped_u, cropped_v = cropped.ray_slopes(150, 200)
    np.testing.assert_allclose(cropped_u, u[100:300], rtol=0, atol=1e-15)
    np.testing.assert_allclose(cropped_v, v[30:180], rtol=0, atol=1e-15)


def test_first_pixel_is_at_one() -> None:
    u, v = PinholeCamera(2.0, 4.0, 1.0, 1.0).ray_slopes(3, 3)
    np.testing.assert_array_equal(u, [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(v, [0.0, 0.25, 0.5])


@pytest.mark.parametrize('size', [(320, 240), (1280, 960), (560, 420)])
def test_resize_keeps_the_rays(size: tuple[int, int]) -> None:
    camera = PinholeCamera(500.0, 510.0, 320.5, 240.5, 640, 480)
    resized = camera.resize(size[0] / 640, size[1] / 480)
    assert (resized.width, resized.height) == size
    u, v = camera.ray_slopes(480, 640)
    slopes = np.stack(np.broadcast_arrays(u, v[:, None]), axis=-1)
    # Linear interpolation of a linear function is exact inside the image.
    expected = cv2.resize(slopes, size, interpolation=cv2.INTER_LINEAR)
    resized_u, resized_v = resized.ray_slopes(size[1], size[0])
    np.testing.assert_allclose(
        resized_u[2:-2], expected[9, 2:-2, 0], atol=1e-6
    )
    np.testing.assert_allclose(
        resized_v[2:-2], expected[2:-2, 9, 1], atol=1e-6
    )


def test_camera_of_unknown_size_must_be_about_centred() -> None:
    camera = PinholeCamera(500.0, 510.0, 320.5, 240.5)
    camera.check_fits(480, 640)
    for height, width in ((240, 320), (960, 1280), (480, 320), (1000, 640)):
        with pytest.raises(ValueError, match=rf'middle of the {width}x'):
            camera.check_fits(height, width)
    with pytest.raises(ValueError, match='resize'):
        camera.crop(0, 300).check_fits(180, 640)
    camera.crop(0, 300, 640, 180).check_fits(180, 640)
