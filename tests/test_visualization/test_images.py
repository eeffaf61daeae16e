import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mmxdistill.visualization import (
    HHA_CAPTION,
    draw_depth,
    draw_image,
    to_levels,
)


@pytest.fixture
def figure():
    figure = Figure((2, 2), dpi=50)
    FigureCanvasAgg(figure)
    return figure


def pixels(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_image_shows_opencv_order(figure):
    axes = figure.add_axes((0, 0, 1, 1))
    image = np.zeros((4, 4, 3), np.uint8)
    image[:2] = (255, 0, 0)  # blue above
    image[2:] = (0, 0, 255)  # red below
    draw_image(axes, image, 'a scene', HHA_CAPTION)
    drawn = pixels(figure)
    np.testing.assert_array_equal(drawn[20, 50], (0, 0, 255))
    np.testing.assert_array_equal(drawn[80, 50], (255, 0, 0))
    assert axes.get_title() == 'a scene'
    assert axes.get_xlabel() == HHA_CAPTION


def test_depth_is_in_metres_and_missing_is_grey(figure):
    axes = figure.add_axes((0, 0, 1, 1))
    depth = np.array([[0, 1000], [2000, 4500]], np.uint16)
    draw_depth(axes, depth, 'depth')
    (drawn,) = axes.images
    assert drawn.get_clim() == (1.0, 4.5)
    missing = pixels(figure)[25, 25]
    np.testing.assert_allclose(missing, 153, atol=1)
    near, far = drawn.cmap(0.0), drawn.cmap(1.0)
    assert sum(near[:3]) > sum(far[:3])  # near is bright
    (scale,) = axes.child_axes
    assert 'metres' in scale.get_xlabel()


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_any_image_becomes_visible(dtype):
    levels = np.linspace(0, 200, 12).reshape(3, 4, 1).astype(dtype)
    shown = to_levels(levels)
    assert shown.dtype == np.uint8
    assert shown.shape == (3, 4, 3)
    np.testing.assert_array_equal(shown[..., 2], np.rint(levels[..., 0]))
    if dtype != np.uint8:
        shown = to_levels(levels * 10)
        assert (shown.min(), shown.max()) == (0, 255)


def test_image_without_levels_becomes_visible():
    """A wall at one distance, and what was not measured."""
    wall = np.full((2, 3, 1), 1000, np.uint16)
    assert not to_levels(wall).any()
    wall = wall.astype(np.float32)
    wall[0, 0], wall[1, 1], wall[0, 2] = np.nan, np.inf, 3000
    shown = to_levels(wall)
    assert shown[0, 2].tolist() == [255] * 3
    assert shown.sum() == 3 * 255
    assert not to_levels(np.full((1, 1, 1), np.nan, np.float32)).any()
