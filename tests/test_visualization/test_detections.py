import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mmxdistill.visualization import (
    Detections,
    detection_legend,
    draw_boxes,
    draw_detections,
    draw_image,
    match_detections,
)
from mmxdistill.visualization.detections import CORRECT, TRUTH, WRONG

CLASSES = ('box', 'chair')


@pytest.fixture
def axes():
    """Axes with a black image of 100 x 100, one screen pixel each."""
    figure = Figure((1, 1), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, np.zeros((100, 100, 3), np.uint8), 'RGB')
    return axes


def colour(axes, x, y):
    axes.figure.canvas.draw()
    return np.asarray(axes.figure.canvas.buffer_rgba())[y, x, :3] / 255


def test_match_follows_voc():
    boxes = [
        [0, 0, 10, 10],  # finds the box
        [0, 0, 10, 11],  # finds it again, with a lower score
        [50, 50, 60, 60],  # a chair where there is a box
        [20, 20, 40, 40],  # too far from the chair
        [80, 80, 90, 90],  # right, but not sure
    ]
    found = match_detections(
        boxes,
        labels=[0, 0, 1, 1, 0],
        scores=[0.9, 0.8, 0.7, 0.6, 0.5],
        true_boxes=[
            [0, 0, 10, 10],
            [50, 50, 60, 60],
            [35, 35, 55, 55],
            [80, 80, 90, 90],
        ],
        true_labels=[0, 0, 1, 0],
    )
    assert found.correct.tolist() == [True, False, False, False]
    assert (found.num_correct, found.num_wrong) == (1, 3)
    assert found.num_objects == 4
    np.testing.assert_array_equal(found.boxes, boxes[:4])


@pytest.mark.parametrize('detections', [0, 2])
@pytest.mark.parametrize('objects', [0, 1])
def test_match_of_nothing(detections, objects):
    found = match_detections(
        np.tile([10.0, 10, 20, 20], (detections, 1)),
        np.zeros(detections, int),
        np.full(detections, 0.9),
        [[10, 10, 20, 20]] * objects,
        [0] * objects,
    )
    assert found.num_correct == min(detections, objects)
    assert found.num_wrong == detections - found.num_correct


def test_pixels_and_text_of_a_box(axes):
    draw_boxes(
        axes, np.array([[30, 40, 70, 80]]), ['box'], color='red', linewidth=2
    )
    for x, y in ((50, 40), (50, 80), (30, 70), (70, 60)):
        np.testing.assert_allclose(colour(axes, x, y), (1, 0, 0), atol=0.3)
    np.testing.assert_array_equal(colour(axes, 50, 60), (0, 0, 0))
    np.testing.assert_array_equal(colour(axes, 20, 40), (0, 0, 0))
    (text,) = axes.texts
    assert text.get_text() == 'box'
    assert text.get_position() == (30, 40)


def test_a_text_per_box(axes):
    boxes = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    with pytest.raises(ValueError, match='zip'):
        draw_boxes(axes, boxes, ['box'], color='red')


def test_detections_tell_right_from_wrong(axes):
    found = Detections(
        np.array([[10, 10, 30, 30], [50, 50, 80, 80]]),
        labels=np.array([0, 1]),
        scores=np.array([0.91, 0.52]),
        correct=np.array([True, False]),
        num_objects=3,
    )
    true_boxes = np.array([[11, 11, 31, 31]])
    draw_detections(axes, found, CLASSES, true_boxes)
    texts = {text.get_text(): text for text in axes.texts}
    assert set(texts) == {'box 0.91', 'chair 0.52'}
    patches = {
        tuple(patch.get_bbox().extents): patch.get_edgecolor()[:3]
        for patch in axes.patches
    }
    assert patches == {
        (10, 10, 30, 30): to_rgb(CORRECT['color']),
        (50, 50, 80, 80): to_rgb(WRONG['color']),
        (11, 11, 31, 31): to_rgb(TRUTH['color']),
    }
    assert axes.get_title() == 'RGB: 1 of 3 found, 1 wrong'


def test_legend_has_the_colours_of_the_boxes():
    colours = [handle.get_edgecolor()[:3] for handle in detection_legend()]
    styles = (CORRECT, WRONG, TRUTH)
    assert colours == [to_rgb(style['color']) for style in styles]
