"""Registered images show at a pixel what the camera saw there."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmxdistill.datasets.transforms import (
    RemapToReference,
    ResizeToReference,
    WarpToReference,
)

REFERENCE = (48, 64)
TURN = np.array([[0.8, 0.1, 2.3], [-0.05, 0.75, 3.7], [1e-3, -5e-4, 1.0]])


def scene(x, y):
    """Smooth grey levels of a point."""
    return 128 + 60 * np.sin(x / 9) + 50 * np.cos(y / 11 + x / 40)


def camera(shape=(60, 80), dtype=np.float32):
    y, x = np.indices(shape, float)
    return scene(x, y).astype(dtype)


def sample(image, **keys):
    return dict(
        img=image,
        img_path='thermal/7.png',
        reference_path='rgb/7.jpg',
        reference_shape=REFERENCE,
        **keys,
    )


def expected(matrix):
    y, x = np.indices(REFERENCE, float)
    points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    u, v, w = (np.linalg.inv(matrix) @ points).reshape(3, *REFERENCE)
    u, v = u / w, v / w
    return scene(u, v), (u > 0) & (u < 79) & (v > 0) & (v < 59)


@pytest.mark.parametrize(
    'matrix', [TURN, TURN * -3, TURN[:2] * [1, 1, 0.5], np.eye(3)]
)
@pytest.mark.parametrize('channels', [None, 3, 6])
def test_warp_is_exact_below_a_pixel(matrix, channels):
    image = camera()
    if channels:
        image = np.repeat(image[..., None], channels, 2)
    out = WarpToReference(matrix.tolist())(sample(image))
    full = np.vstack([matrix, [0, 0, 1]]) if len(matrix) == 2 else matrix
    wanted, inside = expected(full)
    assert inside.mean() > 0.3
    assert out['img'].shape[:2] == out['img_shape'] == REFERENCE
    assert out['img'].ndim == image.ndim
    found = out['img'] if channels is None else out['img'][..., -1]
    # OpenCV interpolates at 1/32 of a pixel; a tenth of one is 0.7 levels.
    assert np.abs(found - wanted)[inside].max() < 0.4
    assert (found[~inside] <= wanted[~inside] + 1).all()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float64])
def test_inverse_and_dtypes(dtype):
    image = camera(dtype=dtype)
    there = WarpToReference(TURN.tolist())(sample(image))['img']
    inverse = np.linalg.inv(TURN).tolist()
    back = WarpToReference(inverse, inverse=True)(sample(image))['img']
    np.testing.assert_allclose(back, there, atol=1)
    assert there.dtype == dtype


def test_matrices_of_each_image(tmp_path):
    path = tmp_path / 'homographies.json'
    image = camera()
    wanted = WarpToReference(TURN.tolist())(sample(image))['img']
    for name in ('7', '7.png', '7.jpg'):
        for item in (TURN.tolist(), dict(H=TURN.tolist(), inliers=9)):
            content = {name: item, 'x': np.eye(3).tolist()}
            if isinstance(item, dict):
                content['x'] = dict(H=content['x'])
            path.write_text(json.dumps(content))
            key = 'H' if isinstance(item, dict) else None
            out = WarpToReference(str(path), key=key)(sample(image))['img']
            np.testing.assert_array_equal(out, wanted)
    with pytest.raises(ValueError, match=r"8\.png' has no matrix.*\['7.jpg'"):
        WarpToReference(str(path), key='H')(
            {**sample(image), 'img_path': '8.png', 'reference_path': '8.jpg'}
        )


def test_matrices_of_files_of_equal_names(tmp_path):
    path = tmp_path / 'homographies.json'
    eye, turn = np.eye(3).tolist(), TURN.tolist()
    path.write_text(json.dumps({'b/thermal/7': eye, 'c/thermal/7': turn}))
    image = camera()
    for folder, matrix in (('b', eye), ('c', turn)):
        file = f'/data/{folder}/thermal/7.png'
        out = WarpToReference(str(path))({**sample(image), 'img_path': file})
        wanted = WarpToReference(matrix)(sample(image))
        np.testing.assert_array_equal(out['img'], wanted['img'])
    with pytest.raises(ValueError, match=r"7\.png' has no matrix"):
        WarpToReference(str(path))(sample(image))


def test_matrix_of_another_scene_is_not_taken(tmp_path):
    # Frame 7 of one camera is frame 6 of the other.
    path = tmp_path / 'homographies.json'
    files = dict(img_path='thermal/7.png', reference_path='rgb/6.jpg')
    path.write_text(json.dumps({'6': TURN.tolist(), '7': np.eye(3).tolist()}))
    with pytest.raises(ValueError, match=r"'7' in .*rgb/6\.jpg.*'6'"):
        WarpToReference(str(path))({**sample(camera()), **files})
    path.write_text(json.dumps({'6.jpg': TURN.tolist(), '7.jpg': [[0]]}))
    with pytest.raises(ValueError, match="'7.jpg' must be a 3x3"):
        WarpToReference(str(path))
    path.write_text('{"7": [[1, 0, 0], [0, 1, 0]], "7": [[2, 0, 0]]}')
    with pytest.raises(ValueError, match="has the key '7' twice"):
        WarpToReference(str(path))


def test_horizon_in_the_image():
    # The right half of the image is behind the reference's camera.
    step = WarpToReference([[1, 0, 0], [0, 1, 0], [-1 / 40, 0, 1]])
    with pytest.raises(ValueError, match=r'7\.png. is 80x60.*infinity'):
        step(sample(camera()))


@pytest.mark.parametrize(
    ('matrix', 'message'),
    [
        (np.zeros((3, 3)), 'singular'),
        ([[1, 2, 0], [2, 4, 0], [0, 0, 1]], 'singular'),
        ([[1, 0], [0, 1]], '3x3 homography or 2x3 affine'),
        ([[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]], 'finite'),
        ('gone.json', r'gone\.json. does not exist'),
        ([['a', 0, 0], [0, 1, 0]], '3x3 homography'),
        (
            dict(a=dict(H=np.eye(3).tolist())),
            r"'a' is a dict of \['H'\].*key=",
        ),
        ({}, 'no matrix'),
    ],
)
def test_wrong_matrices_are_refused_when_built(matrix, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        WarpToReference(matrix)


def test_small_scales_are_not_singular():
    WarpToReference([[1e-4, 0, 0], [0, 1e-4, 0], [0, 0, 1]])
    WarpToReference([[1, 0, 1e4], [0, 1, 1e4], [0, 0, 1]])


@pytest.mark.parametrize('kind', [np.int32, np.uint32, np.float16, np.bool_])
@pytest.mark.parametrize('step', [WarpToReference(np.eye(3)), None])
def test_kinds_unknown_to_opencv_are_rounded(kind, step):
    step = step or ResizeToReference(max_stretch=0.5)
    image = camera(dtype=np.float64) > 128 if kind is np.bool_ else camera()
    out = step(sample(image.astype(kind)))['img']
    exact = step(sample(image.astype(kind).astype(np.float64)))['img']
    assert out.dtype == kind
    if kind is not np.float16:
        exact = np.rint(exact)  # cutting off would be lower by half a level
    np.testing.assert_array_equal(out, exact.astype(kind))


@pytest.mark.parametrize(
    'matrix',
    [
        [[1, 0, 100], [0, 1, 0], [0, 0, 1]],
        [[0.01, 0, 5], [0, 0.01, 5], [0, 0, 1]],
        # All of the reference is beyond the horizon.
        [[1, 0, 0], [0, 1, 0], [-1, 0, -1.0]],
    ],
)
def test_images_that_miss_the_reference_are_named(matrix):
    step = WarpToReference(matrix)
    for method in (step.check, step.transform):
        with pytest.raises(
            ValueError, match=r'thermal/7\.png. reaches .*inver'
        ):
            method(sample(camera()))


def test_remap_is_the_warp_of_its_maps(tmp_path):
    y, x = np.indices(REFERENCE, float)
    points = np.stack([x, y, np.ones_like(x)]).reshape(3, -1)
    u, v, w = (np.linalg.inv(TURN) @ points).reshape(3, *REFERENCE)
    path = str(tmp_path / 'maps.npz')
    np.savez(path, x=u / w, y=v / w)
    mask = np.ones((60, 80), bool)
    mask[:, :40] = False
    step = RemapToReference(path, border_value=7)
    out = step(sample(camera(), depth_mask=mask))
    wanted, inside = expected(TURN)
    assert np.abs(out['img'] - wanted)[inside].max() < 0.4
    far = (u / w < -1) | (u / w > 80) | (v / w < -1) | (v / w > 60)
    assert (out['img'][far] == 7).all()
    assert out['depth_mask'].dtype == bool
    np.testing.assert_array_equal(
        out['depth_mask'][inside], np.rint(u / w)[inside] >= 40
    )
    small = {**sample(camera()), 'reference_shape': (10, 10)}
    with pytest.raises(
        ValueError, match=r'maps .* are 64x48.*7\.png. is 10x10'
    ):
        step(small)
    np.savez(path, x=u / w + 500, y=v / w)
    with pytest.raises(ValueError, match=r'7\.png. reaches 0\.0%'):
        RemapToReference(path)(sample(camera()))
    np.savez(path, x=u)
    content = Path(path).read_bytes()
    for damaged in (content, b'', b'PK', content[:60] + content[64:]):
        Path(path).write_bytes(damaged)
        with pytest.raises(ValueError, match=r'maps\.npz. must be an \.npz'):
            RemapToReference(path)
    with pytest.raises(FileNotFoundError, match=r'none\.npz. does not exist'):
        RemapToReference(str(tmp_path / 'none.npz'))


def test_resize_keeps_the_edges():
    image = cv2.resize(camera(REFERENCE), (128, 96))
    out = ResizeToReference('area')(sample(image))
    np.testing.assert_allclose(out['img'], camera(REFERENCE), atol=1.5)
    with pytest.raises(
        ValueError, match=r'7\.png. is 80x70, which is another'
    ):
        ResizeToReference()(sample(camera((70, 80))))
    wide = ResizeToReference(max_stretch=0.2)(sample(camera((70, 80))))
    assert wide['img'].shape == REFERENCE


def test_a_reference_is_needed():
    with pytest.raises(ValueError, match='ResizeToReference needs a refer'):
        ResizeToReference()(dict(img=camera(), img_path='a'))
    with pytest.raises(ValueError, match='interpolation must be one of'):
        ResizeToReference('cubic')
