import cv2
import numpy as np
import pytest

from mmxdistill.datasets.transforms.channels import (
    pick_channels,
    split_channels,
    stack_channels,
)
from mmxdistill.registry import TRANSFORMS

VIEWS = {
    'contiguous': lambda image: image,
    'flipped': lambda image: image[:, ::-1],
    'upside down': lambda image: image[::-1],
    'turned': lambda image: image[::-1, ::-1],
    'cropped': lambda image: image[2:-3, 1:-4],
    'every other': lambda image: image[::2, ::3],
    'transposed': lambda image: image.swapaxes(0, 1),
}


def draw(channels, dtype='uint8', size=(13, 17)):
    shape = size if channels is None else (*size, channels)
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('dtype', ['uint8', 'float16', 'float32', 'bool'])
@pytest.mark.parametrize('widths', [(3, 3), (3, None, 1), (21, 3, 4), (3,)])
def test_stack_is_concatenate(widths, dtype, view):
    images = [VIEWS[view](draw(width, dtype)) for width in widths]
    expected = np.dstack(images)
    found = stack_channels(images)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    if len(widths) > 1:
        assert split_channels(found).base is found.base  # nothing is copied


def test_stack_of_two_types():
    images = [draw(3), draw(4, 'float32')[..., 2::-1]]
    found = stack_channels(images)
    np.testing.assert_array_equal(found, np.dstack(images))
    assert found.dtype == np.float32
    with pytest.raises(ValueError, match=r'different sizes.*13, 16'):
        stack_channels([draw(3), draw(3, size=(13, 16))])


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('channels', [None, 1, 3, 6, 21, 600])
@pytest.mark.parametrize('dtype', ['uint8', 'float64', 'int64'])
def test_split_is_a_transpose(channels, dtype, view):
    image = VIEWS[view](draw(channels, dtype))
    found = split_channels(image)
    expected = np.atleast_3d(image).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == image.dtype and found.flags.c_contiguous


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('dtype', ['uint8', 'float64', 'int64'])
@pytest.mark.parametrize('size', [(13, 17), (1, 17), (13, 1), (0, 4)])
def test_split_of_a_stack(view, dtype, size):
    parts = [draw(3, dtype, size), draw(None, dtype, size)]
    image = VIEWS[view](stack_channels(parts))
    found = split_channels(image)
    expected = VIEWS[view](np.dstack(parts)).transpose(2, 0, 1)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == image.dtype and found.flags.c_contiguous


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('dtype', ['uint8', 'float32', 'int64'])
@pytest.mark.parametrize('wanted', [(0, 1, 2), (5,), (3, 3, 3), (4, 5)])
def test_pick(view, dtype, wanted):
    parts = [draw(3, dtype), draw(4, dtype)]
    for image in (np.dstack(parts), stack_channels(parts)):
        found = pick_channels(VIEWS[view](image), wanted)
        expected = VIEWS[view](np.dstack(parts))[..., wanted]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == dtype and found.flags.c_contiguous


@pytest.mark.parametrize('view', VIEWS)
@pytest.mark.parametrize('target', [9, 31])
def test_caffe_resize_is_that_of_slices(view, target):
    """As it was written first: slices of three channels, and dstack."""
    image = VIEWS[view](draw(6, size=(23, 31)))
    factor = target / min(image.shape[:2])
    parts = [
        cv2.resize(
            np.ascontiguousarray(image.astype(np.float32)[..., part]),
            None,
            fx=factor,
            fy=factor,
            interpolation=cv2.INTER_LINEAR,
        )
        for part in (slice(3), slice(3, 6))
    ]
    transform = TRANSFORMS.build(
        dict(type='mmxdistill.CaffeResize', scale=target)
    )
    found = transform(dict(img=image))['img']
    np.testing.assert_array_equal(found, np.dstack(parts))
    # What PackDetInputs need not copy.
    assert found.transpose(2, 0, 1).flags.c_contiguous
