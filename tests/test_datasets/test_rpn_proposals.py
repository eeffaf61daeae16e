"""The way to proposals of a detector's RPN that docs/proposals.md shows."""

import json
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.fileio import load
from warm_python import warm_python

from mmxdistill.datasets import PairedCocoDataset

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
_base_ = 'rpn_mine.py'
model = dict(
    backbone=dict(depth=18, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512]),
    test_cfg=dict(rpn=dict(max_per_img=30)),
)
test_dataloader = dict(num_workers=0, persistent_workers=False)
"""


@pytest.fixture
def root(tmp_path):
    """Data of the documented layout, the config, a detector's checkpoint."""
    (tmp_path / 'data/mine/color').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i, split in enumerate(('train', 'test')):
        image = rng.integers(0, 255, (60 + 8 * i, 80, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f'data/mine/color/{i}.jpg'), image)
        images = [dict(id=1, file_name=f'{i}.jpg', height=60, width=80)]
        categories = [dict(id=1, name='box')]
        content = dict(images=images, annotations=[], categories=categories)
        file = tmp_path / f'data/mine/annotations_{split}.json'
        file.write_text(json.dumps(content))
    text = (ROOT / 'docs/proposals.md').read_text()
    (block,) = re.findall(r'^```python\n(.*?)^```', text, re.M | re.S)
    block = block.replace('(1333, 800)', '(128, 96)')
    (tmp_path / 'rpn_mine.py').write_text(block)
    (tmp_path / 'small.py').write_text(SMALL)
    return tmp_path


@pytest.mark.slow
def test_documented_config(root):
    cfg = Config.fromfile(root / 'small.py')
    detector = MODELS.build({**cfg.model, 'type': 'FasterRCNN'})
    rpn = MODELS.build(cfg.model)
    torch.manual_seed(0)
    weights = {
        k: torch.randn(v.shape) * 0.05 if v.dtype.is_floating_point else v
        for k, v in detector.state_dict().items()
    }
    weights = {
        k: v.abs() if 'running_var' in k else v for k, v in weights.items()
    }
    rpn.load_state_dict(weights, strict=False)
    head = 'rpn_head.rpn_conv.weight'
    assert torch.equal(rpn.bbox_head.rpn_conv.weight, weights[head])
    torch.save(dict(state_dict=weights), root / 'detector.pth')
    command = [warm_python(), ROOT / 'tools/test.py', 'small.py']
    subprocess.run(
        [*command, 'detector.pth'], cwd=root, check=True, capture_output=True
    )
    found = load(root / 'data/mine/proposals.pkl')
    assert set(found) == {'color/0.jpg', 'color/1.jpg'}
    data = PairedCocoDataset(
        data_root=str(root / 'data/mine'),
        ann_file='annotations_test.json',
        metainfo=dict(classes=('box',)),
        modalities=dict(rgb='color/{file_name}'),
        proposal_file='proposals.pkl',
        pipeline=[dict(type='LoadProposals')],
    )
    boxes = data[0]['proposals']
    # In pixels of the 80x68 image, not of the resized one.
    assert 5 < len(boxes) <= 30
    assert boxes.max() > 40
    assert (boxes.max(axis=0) <= [80, 68, 80, 68]).all()
    assert (boxes.min(axis=0) >= 0).all()
    assert (np.diff(data[0]['proposals_scores']) <= 0).all()
