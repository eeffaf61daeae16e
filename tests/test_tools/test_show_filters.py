import runpy
import sys
from pathlib import Path

import cv2
import pytest
import torch

from mmxdistill.models import CaffeNet

TOOL = (
    Path(__file__).resolve().parents[2]
    / 'tools/analysis_tools/show_filters.py'
)
NET = """
model = dict(
    type='mmxdistill.SupervisionTransfer',
    data_preprocessor=dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=dict(rgb=dict(mean=[9.0] * 3), hha=dict(mean=[9.0] * 3))),
    student=dict(type='mmxdistill.CaffeNet', channels=[4, 4, 4, 4, 4]))
data = dict(
    type='mmxdistill.PairedDataset', data_root={root!r}, test_mode=True,
    modalities=dict(
        rgb=dict(path='rgb/{{stem}}.png',
                 pipeline=[dict(type='LoadImageFromFile')]),
        hha=dict(path='hha/{{stem}}.png',
                 pipeline=[dict(type='LoadImageFromFile')])),
    pipeline=[dict(type='PackDetInputs', meta_keys=('img_path',))])
test_dataloader = dict(dataset=data)
"""


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    with pytest.raises(SystemExit) as info:
        runpy.run_path(str(TOOL), run_name='__main__')
    return info.value.code


def test_filters_and_patches(tmp_path, monkeypatch, capsys):
    config = tmp_path / 'net.py'
    config.write_text(NET.format(root=str(tmp_path)))
    for number, folder in enumerate(('rgb', 'hha'), start=1):
        (tmp_path / folder).mkdir()
        for name in 'abc':
            picture = cv2.randu(
                cv2.UMat(96, 96, cv2.CV_8UC3).get(), 0, 80 * number
            )
            cv2.imwrite(str(tmp_path / folder / f'{name}.png'), picture)
    out = tmp_path / 'out' / 'figure.png'
    nets = ['--net', 'start', config, 'random', '--net', 'b', config, 'random']
    shown = ['--data', config, '--modality', 'rgb', 'hha', '--units', 0, 3]
    assert run(monkeypatch, out, *nets, *shown, '--patch', 32) == 0
    assert cv2.imread(str(out)).std() > 10
    patches = cv2.imread(str(out.with_name('figure_units.png')))
    assert patches.std() > 10
    assert 'figure_units.png' in capsys.readouterr().out
    message = run(
        monkeypatch, out, *nets, *shown, '--feature', 'conv9', '--images', 1
    )
    assert "'conv9'" in message and 'conv1' in message
    # Any backbone, at the feature that was asked for: not the one it returns.
    model = "dict(type='ResNet', depth=18, norm_eval=True, out_indices=(3,))"
    other = tmp_path / 'resnet.py'
    other.write_text(f"default_scope = 'mmdet'\nmodel = {model}\n")
    nets = ['--net', 'resnet', other, 'random']
    shown = ['--data', config, '--modality', 'rgb', '--feature', 'layer1']
    assert run(monkeypatch, out, *nets, *shown, '--units', 3) == 0
    message = run(monkeypatch, out, *nets, *shown, '--units', 64)
    assert 'the feature has the units 0 to 63' in message
    assert run(monkeypatch, out, *nets, '--data', config) == 2


def test_checkpoint_does_not_need_what_training_started_from(
    tmp_path, monkeypatch
):
    model = dict(type='mmxdistill.CaffeNet', channels=[4, 4, 4, 4, 4])
    net = CaffeNet([4, 4, 4, 4, 4])
    torch.nn.init.constant_(net.conv1.weight, 0.5)
    weights = tmp_path / 'net.pth'
    torch.save(dict(state_dict=net.state_dict()), weights)
    config = tmp_path / 'net.py'
    model['init_cfg'] = dict(type='Pretrained', checkpoint='gone.pth')
    config.write_text(f'model = {model}\n')
    out = tmp_path / 'figure.png'
    assert run(monkeypatch, out, '--net', 'a', config, weights) == 0
    assert 'gone.pth' in run(monkeypatch, out, '--net', 'a', config, 'random')
