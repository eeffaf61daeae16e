import numpy as np
import pytest
from matplotlib.figure import Figure

from mmxdistill.evaluation.proposal_recall import LIMITS, ProposalRecall
from mmxdistill.visualization import plot_recall

CLASSES = ('box', 'chair', 'lamp')


@pytest.mark.parametrize('classes', [False, True])
def test_plot(classes):
    recall = ProposalRecall(CLASSES)
    boxes = np.float32([[0, 0, 10, 10], [40, 40, 50, 50]])
    recall.add(boxes, np.array([0, 2]), boxes[::-1])
    axes = Figure().subplots()
    plot_recall(axes, dict(a=recall, b=recall), 0.7, classes)
    lines = axes.get_lines()
    assert len(lines) == 2 * (1 + classes * len(CLASSES))
    np.testing.assert_array_equal(lines[0].get_xdata(), LIMITS)
    np.testing.assert_allclose(lines[0].get_ydata(), recall.recall[0, :, 1])
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {'a', 'b'} <= set(names)
    assert set(CLASSES) <= set(names) or not classes
