import pytest

from mmxdistill.studies import paper_cost
from mmxdistill.studies.paper_cost import expected_hours, iteration_macs


def test_macs_of_caffenet():
    """By hand: outputs x kernel, of conv1 to conv5, of 227 x 227 pixels."""
    found = paper_cost.backbone_macs(
        dict(type='mmxdistill.CaffeNet', geometry='rgb'), (227, 227)
    )
    assert found == sum(
        cells**2 * outputs * inputs * kernel**2
        for cells, outputs, inputs, kernel in (
            (57, 96, 3, 11),
            (29, 256, 48, 5),
            (15, 384, 256, 3),
            (15, 384, 192, 3),
            (15, 256, 192, 3),
        )
    )


def test_hours_are_in_proportion():
    config, hours = paper_cost.PUBLISHED
    assert expected_hours(config) == pytest.approx(hours)
    folder = 'fast_rcnn/fast_rcnn_caffenet_hha'
    detector = expected_hours(f'{folder}_copy_40k_nyud2.py')
    assert expected_hours(f'{folder}_random_100k_nyud2.py') == pytest.approx(
        detector * 100 / 40
    )
    # Its backbone runs forward only.
    frozen = iteration_macs(f'{folder}_copy-frozen_40k_nyud2.py')
    free = iteration_macs(f'{folder}_copy_40k_nyud2.py')
    pixels = 688 * 688 * 4 / 3
    backbone = paper_cost.backbone_macs(
        dict(type='mmxdistill.CaffeNet', geometry='hha'), (224, 224)
    )
    saved = 2 * 2 * backbone * pixels / 224**2
    assert free - frozen == pytest.approx(saved)
