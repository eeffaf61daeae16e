"""Tools for late fusion, on a fused checkpoint alone."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmxdistill.registry import MODELS
from mmxdistill.synthetic import write_dataset

NUM_CLASSES = 5
ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = [__import__('mmxdistill').config_path(
    'late_fusion/fusion_caffenet-s_rgb-hha_synthetic.py')]
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Data, a config whose streams name files that are not there, weights."""
    path = tmp_path_factory.mktemp('fusion')
    write_dataset(
        path / 'data/synthetic_rgbd',
        dict(rgb=1, pairs=1, train=1, test=1),
        image_size=(96, 64),
        num_proposals=30,
        processes=1,
    )
    (path / 'fusion.py').write_text(CONFIG)
    model = MODELS.build(Config.fromfile(path / 'fusion.py').model)
    torch.save(dict(state_dict=model.state_dict(), meta={}), path / 'all.pth')
    return path


def run(folder, monkeypatch, capsys, tool, *args):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    monkeypatch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
    try:
        importlib.import_module(tool).main(['fusion.py', *args])
    finally:
        sys.modules.pop(tool, None)
    return capsys.readouterr().out


@pytest.mark.slow
def test_compare_fusion(folder, monkeypatch, capsys):
    out = run(
        *(folder, monkeypatch, capsys, 'compare_fusion'),
        *('all.pth', '--out', 'table.md'),
    )
    table = (folder / 'table.md').read_text()
    assert table.strip() in out
    methods = [line.split('|')[1].strip() for line in table.splitlines()]
    assert methods[0] == 'method' and methods[2:4] == ['rgb', 'hha']
    assert methods[-1] == 'late fusion' and 'voc/mAP' in table


@pytest.mark.slow
def test_fit_fusion_weights(folder, monkeypatch, capsys):
    out = run(
        *(folder, monkeypatch, capsys, 'fit_fusion_weights'),
        *('all.pth', '--steps', '1'),
    )
    alone, *_, classes = (line for line in out.splitlines() if 'AP50' in line)
    assert re.fullmatch(r'each stream alone: AP50 rgb \S+, hha \S+', alone)
    weights = ast.literal_eval(classes.partition('weights=')[2])
    assert set(weights) == {'rgb', 'hha'}
    assert {len(row) for row in weights.values()} == {NUM_CLASSES}


@pytest.mark.slow
def test_neither_checkpoint(folder, monkeypatch, capsys):
    """One line, before anything is run."""
    with pytest.raises(SystemExit, match="Error: .*iter_2000.pth' of the str"):
        run(folder, monkeypatch, capsys, 'compare_fusion')
