import numpy as np
import pytest

from mmxdistill.visualization import draw_filters, filter_sheet


def test_each_filter_is_stretched_around_grey():
    weight = np.zeros((3, 3, 2, 2))
    weight[0, 2, 0, 1] = 1e-3  # a little red
    weight[1, 0] = -7  # no blue at all
    sheet = filter_sheet(weight, columns=2)
    assert sheet.shape == (5, 5, 3) and sheet.dtype == np.uint8
    assert sheet[0, 1].tolist() == [255, 128, 128]
    assert (sheet[:2, 3:] == [128, 128, 0]).all()
    assert (sheet[3:, :2] == 128).all()  # the third is all zeros
    assert (sheet[3:, 3:] == 255).all()  # there is no fourth
    grey = filter_sheet(np.ones((1, 1, 2, 2)))
    assert (grey == 255).all()
    with pytest.raises(ValueError, match=r'filters must be \(K, C, h, w\)'):
        filter_sheet(np.zeros((3, 2)))


def test_panels():
    figure = draw_filters(
        {'RGB': np.ones((4, 3, 5, 5)), 'HHA': -np.eye(5)[None, None]}
    )
    assert [axes.get_title() for axes in figure.axes] == ['RGB', 'HHA']
