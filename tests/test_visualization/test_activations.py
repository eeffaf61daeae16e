import numpy as np
import pytest

from mmxdistill.visualization import (
    TopActivations,
    crop_patch,
    draw_patches,
)


def test_best_places_one_per_image():
    top = TopActivations([0, 2], count=2)
    for image, values in enumerate(([1, 5], [7, 6], [3, 2])):
        feature = np.zeros((3, 2, 4))
        feature[0, 1, 3], feature[0, 0, 0] = values
        feature[2] = -image
        top.add(image, feature)
    first, second = top.best(0)
    assert first == (7, 1, (7 / 8, 3 / 4))
    assert second == (5, 0, (1 / 8, 1 / 4))
    assert [found.image for found in top.best(2)] == [0, 1]
    with pytest.raises(ValueError, match='units 0 to 1'):
        top.add(3, feature[:2])


def test_padding_is_no_place():
    """An image whose feature covers twice its width, and its height."""
    top = TopActivations([0], count=1)
    top.add(0, np.array([[[1.0, 3.0, 2.0, 9.0]]]), covered=(2, 1))
    assert top.best(0) == [(3, 0, (3 / 4, 1 / 2))]


def test_patches_stay_in_the_image():
    image = np.arange(6 * 8).reshape(6, 8, 1)
    assert (crop_patch(image, (0.5, 0.5), 4) == image[1:5, 2:6]).all()
    assert (crop_patch(image, (0, 1), 4) == image[2:, :4]).all()
    assert crop_patch(image, (0.5, 0.5), 99).shape == (6, 6, 1)


def test_rows_of_patches():
    patch = np.zeros((8, 8, 3), np.uint8)
    figure = draw_patches({'a': [[patch, patch]] * 3, 'b': [[patch]]})
    assert len(figure.axes) == 6
    assert figure.axes[0].images[0].get_array().shape == (16, 8, 3)
    assert figure.axes[3].get_ylabel() == 'b'
