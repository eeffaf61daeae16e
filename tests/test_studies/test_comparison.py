import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mmxdistill.studies.comparison import (
    draw_comparison,
    find_telling_image,
)

BOX = [10, 10, 30, 30]
FAR = [60, 60, 80, 80]


class Images:
    """A data set of images that all have one object, in ``BOX``."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def get_data_info(self, index):
        return dict(
            img_id=100 + index, instances=[dict(bbox=BOX, bbox_label=0)]
        )


def predict(*boxes_per_image):
    """Samples of one detector, sure of all its boxes; in any order."""
    return [
        dict(
            img_id=100 + index,
            pred_instances=dict(
                bboxes=np.array(boxes, np.float32).reshape(-1, 4),
                labels=np.zeros(len(boxes), int),
                scores=np.full(len(boxes), 0.9),
            ),
        )
        for index, boxes in reversed(list(enumerate(boxes_per_image)))
    ]


def test_the_image_on_which_the_last_is_furthest_ahead():
    rgb = predict([BOX], [FAR], [FAR], [])
    hha = predict([FAR], [FAR, FAR], [BOX], [])
    fused = predict([BOX], [BOX], [BOX], [BOX])
    index, found = find_telling_image(Images(4), [rgb, hha, fused])
    assert index == 1  # ahead by 2; by 0, 0 and 1 elsewhere
    assert [(one.num_correct, one.num_wrong) for one in found] == [
        (0, 1),
        (0, 2),
        (1, 0),
    ]


def test_of_equal_images_the_one_with_more_found_then_the_first():
    single = predict([FAR], [], [])
    fused = predict([], [BOX], [BOX])
    assert find_telling_image(Images(3), [single, fused])[0] == 1


def test_no_image():
    with pytest.raises(ValueError, match='empty'):
        find_telling_image(Images(0), [[], []])


def test_comparison_is_written(tmp_path):
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 255, (100, 120, 3), np.uint8)
    scene = dict(
        rgb=colour,
        hha=colour[::-1],
        depth=rng.integers(500, 4000, (100, 120), np.uint16),
    )
    _, (wrong, right) = find_telling_image(
        Images(1), [predict([FAR]), predict([BOX])]
    )
    figure = Figure((14, 9), layout='compressed')
    draw_comparison(
        figure,
        scene,
        Images(1).get_data_info(0)['instances'],
        {('RGB', 'rgb'): wrong, ('HHA', 'hha'): wrong, ('Both', 'rgb'): right},
        ('box',),
    )
    top, bottom = figure.axes[:3], figure.axes[3:6]
    assert [text.get_text() for text in top[0].texts] == ['box']
    assert [axes.get_title() for axes in bottom] == [
        'RGB: 0 of 1 found, 1 wrong',
        'HHA: 0 of 1 found, 1 wrong',
        'Both: 1 of 1 found, 0 wrong',
    ]
    shown = [axes.images[0].get_array() for axes in bottom]
    np.testing.assert_array_equal(shown[1], colour[::-1, :, ::-1])
    np.testing.assert_array_equal(shown[2], colour[..., ::-1])
    figure.savefig(tmp_path / 'picture.png', dpi=50)
    picture = cv2.imread(str(tmp_path / 'picture.png'))
    assert picture.shape[:2] == (450, 700)
