"""Some classes of a detector, as a checkpoint for mmdet's own."""

import importlib.util
from pathlib import Path

import pytest
import torch

from mmxdistill.models.networks import build_network, load_weights

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/model_converters/select_classes.py'
)
MODEL = """
norm = dict(type='BN')
model = dict(
    type='YOLOX',
    backbone=dict(type='CSPDarknet', widen_factor=0.125, deepen_factor=0.33),
    neck=dict(
        type='YOLOXPAFPN',
        in_channels=[32, 64, 128],
        out_channels=8,
        num_csp_blocks=1,
    ),
    bbox_head=dict(
        type='YOLOXHead', num_classes={}, in_channels=8, feat_channels=8
    ),
)
default_scope = 'mmdet'
"""


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('select_classes', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_fits_the_detector_of_fewer_classes(tool, tmp_path):
    for number in (2, 3):
        (tmp_path / f'{number}.py').write_text(MODEL.format(number))
    full = build_network(str(tmp_path / '3.py'))
    state = dict(
        state_dict=full.state_dict(),
        meta=dict(dataset_meta=dict(classes=('cup', 'bicycle', 'person'))),
    )
    torch.save(state, tmp_path / 'full.pth')
    argv = [str(tmp_path / '3.py'), str(tmp_path / 'full.pth')]
    argv += [str(tmp_path / 'out/two.pth'), '--classes', 'person']
    tool.run(tool.parse_args([*argv, 'bike=bicycle']))
    chosen = build_network(str(tmp_path / '2.py'))
    found = load_weights(chosen, str(tmp_path / 'out/two.pth'), 'detector')
    assert found == ('person', 'bike')
    rows, all_rows = (
        net.bbox_head.multi_level_conv_cls[0].weight for net in (chosen, full)
    )
    assert torch.equal(rows, all_rows[[2, 1]])


def test_a_name_of_a_set_names_no_classes(tmp_path):
    """As in files whose meta says 'coco80'."""
    (tmp_path / '3.py').write_text(MODEL.format(3))
    network = build_network(str(tmp_path / '3.py'))
    state = dict(
        state_dict=network.state_dict(),
        meta=dict(dataset_meta=dict(classes='abc')),
    )
    torch.save(state, tmp_path / 'full.pth')
    assert load_weights(network, str(tmp_path / 'full.pth'), 'x') is None


def test_a_class_twice(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args(['a', 'b', 'c', '--classes', 'cup', 'cup=mug'])
    assert 'names a class twice' in capsys.readouterr().err
