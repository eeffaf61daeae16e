"""A paired data set, proposals, and an encoding."""

import importlib
import json
import sys
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.visualization import Visualizer

from mmxdistill.apis import MultiModalInferencer
from mmxdistill.datasets.proposal_file import write_proposals
from mmxdistill.engine import run_config
from mmxdistill.models.fusion.proposals import unite_proposals
from mmxdistill.models.networks import build_network, resolve_network
from mmxdistill.options import PROPOSAL_METHODS
from mmxdistill.registry import DATASETS

CONFIG = """
_base_ = 'mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py'
model = dict(
    data_preprocessor=dict(
        _delete_=True,
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=dict(hha=dict(mean=[100.0, 110.0, 120.0])),
        pad_size_divisor=32,
    ),
    backbone=dict(depth=18, base_channels=4, init_cfg=None),
    neck=dict(in_channels=[4, 8, 16, 32], out_channels=8),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=8),
        bbox_head=dict(in_channels=8, fc_out_channels=16, num_classes=1),
    ),
)
test_dataloader = dict(
    _delete_=True,
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmxdistill.PairedCocoDataset',
        data_root='{{fileDirname}}/',
        ann_file='test.json',
        proposal_file='proposals.pkl',
        metainfo=dict(classes=('chair',)),
        modalities=dict(
            rgb=dict(
                path='color/{stem}.png',
                pipeline=[dict(type='LoadImageFromFile')],
            ),
            hha=dict(
                path='depth/{stem}_d.png',
                pipeline=[
                    dict(type='mmxdistill.LoadDepthFromFile', mask='raw'),
                    dict(
                        type='mmxdistill.EncodeHHA',
                        camera=dict(fx=60.0, fy=60.0, cx=32.0, cy=24.0),
                        backend='numpy',
                    ),
                ],
            ),
            raw='raw/{stem}.png',
        ),
        use=['hha'],
        test_mode=True,
        pipeline=[
            dict(type='LoadProposals', num_max_proposals=20),
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=[
                    dict(type='Resize', scale=(96, 96), keep_ratio=True)
                ],
            ),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    ),
)
test_evaluator = dict(_delete_=True, type='VOCMetric')
"""
# Streams with RPNs; samples may lack depth.
STREAM = """
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, base_channels=4, init_cfg=None),
    neck=dict(in_channels=[4, 8, 16, 32], out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=8),
        bbox_head=dict(in_channels=8, fc_out_channels=16, num_classes=1),
    ),
    test_cfg=dict(rpn=dict(max_per_img=30)),
)
"""
FUSION = """
_base_ = './config.py'
stream = dict(model='{{fileDirname}}/stream.py', checkpoint=None)
model = dict(
    _delete_=True,
    type='mmxdistill.LateFusionDetector',
    data_preprocessor=dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=dict(rgb='rgb', hha='hha'),
        pad_size_divisor=32,
    ),
    streams=dict(rgb=stream, hha=stream),
)
test_dataloader = dict(
    dataset=dict(
        proposal_file=None,
        modalities=dict(
            rgb=dict(missing_channels=3), hha=dict(missing_channels=3)
        ),
        use=['rgb', 'hha'],
        pipeline=[
            dict(type='Resize', scale=(96, 96), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs'),
        ],
    ),
)
"""
STEMS = ('a', 'b')
TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp('rgbd')
    rng = np.random.default_rng(0)
    proposals = {}
    for name in ('color', 'depth', 'raw'):
        (root / name).mkdir()
    for stem in STEMS:
        rows = np.linspace(4000, 1500, 48)[:, None]
        depth = rows + rng.integers(0, 30, (48, 64))
        depth = depth.astype(np.uint16)
        cv2.imwrite(str(root / f'depth/{stem}_d.png'), depth)
        depth[rng.random(depth.shape) < 0.1] = 0
        cv2.imwrite(str(root / f'raw/{stem}.png'), depth)
        color = rng.integers(0, 256, (48, 64, 3), np.uint8)
        cv2.imwrite(str(root / f'color/{stem}.png'), color)
        low = rng.uniform(0, 30, (9, 2))
        boxes = np.hstack([low, low + rng.uniform(8, 18, (9, 2))])
        scores = np.linspace(1, 0.5, 9)
        proposals[f'color/{stem}.png'] = boxes.astype(np.float32), scores
    write_proposals(root / 'proposals.pkl', proposals)
    content = dict(
        images=[
            dict(id=i, file_name=f'{stem}.png', width=64, height=48)
            for i, stem in enumerate(STEMS)
        ],
        annotations=[],
        categories=[dict(id=1, name='chair')],
    )
    (root / 'test.json').write_text(json.dumps(content))
    (root / 'config.py').write_text(CONFIG)
    torch.manual_seed(0)
    model = build_network(resolve_network(str(root / 'config.py')))
    for parameter in model.roi_head.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    torch.save(dict(state_dict=model.state_dict()), root / 'weights.pth')
    return root


@pytest.fixture(scope='module')
def inferencer(folder):
    weights = folder / 'weights.pth'
    return MultiModalInferencer(folder / 'config.py', weights, 'cpu')


def sources(folder, stem):
    return dict(
        rgb=folder / f'color/{stem}.png',
        hha=folder / f'depth/{stem}_d.png',
        raw=folder / f'raw/{stem}.png',
    )


def test_equals_the_test_tool(folder, inferencer, tmp_path, monkeypatch):
    monkeypatch.setattr(Config, 'pretty_text', '')
    cfg = run_config.load_config(
        str(folder / 'config.py'), work_dir=str(tmp_path)
    )
    cfg.load_from = str(folder / 'weights.pth')
    runner = run_config.build_runner(cfg, 'test')
    dump = DumpDetResults(out_file_path=str(tmp_path / 'out.pkl'))
    runner.test_evaluator.metrics.append(dump)
    runner.test()
    results = load(tmp_path / 'out.pkl')
    by_file = inferencer(
        dict(rgb=folder / 'color', hha=folder / 'depth', raw=folder / 'raw'),
        proposals=folder / 'proposals.pkl',
    )
    boxes = load(folder / 'proposals.pkl')
    in_memory = [
        {
            name: cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            for name, path in sources(folder, stem).items()
        }
        for stem in STEMS
    ]
    by_memory = inferencer(
        in_memory,
        proposals=[boxes[f'color/{stem}.png']['bboxes'] for stem in STEMS],
    )
    assert by_memory == by_file
    for one, result in zip(by_file, results, strict=True):
        assert len(one['scores']) > 3
        for key in ('labels', 'scores', 'bboxes'):
            np.testing.assert_array_equal(
                np.float32(one[key]), result['pred_instances'][key].numpy()
            )


@pytest.mark.filterwarnings('ignore')
def test_functions_of_mmdet_say_what_to_use(folder):
    config, weights = str(folder / 'config.py'), str(folder / 'weights.pth')
    detector = init_detector(config, weights, device='cpu')
    with pytest.raises(ValueError, match='hha of each .*MultiModalInferencer'):
        inference_detector(detector, str(folder / 'depth/a_d.png'))
    with pytest.raises(ValueError, match=r'config.py.*MultiModalInferencer'):
        DetInferencer(config, weights, 'cpu')


@pytest.mark.parametrize(
    'option',
    [
        dict(batch_size=0),
        dict(batch_size=1.5),
        dict(score_thr='0.3'),
        dict(score_thr=None),
        dict(score_thr=float('nan')),
    ],
)
def test_wrong_options_before_anything_is_loaded(fusion, option):
    with pytest.raises(ValueError, match=next(iter(option))):
        fusion(dict(rgb='nowhere.jpg', hha='nowhere.png'), **option)


def test_proposals(folder, inferencer):
    pair = sources(folder, 'a')
    for method in PROPOSAL_METHODS[not hasattr(cv2, 'ximgproc') and 2 :]:
        (found,) = inferencer(pair, proposals=method)
        # Smooth depth has no closed contours.
        assert found['scores'] or method == 'edge_boxes'
    boxes = np.float32([[0, 0, 20, 20]])
    for proposals, message in (
        (None, 'the detector takes proposals'),
        ([boxes, boxes], 'more lists of boxes than pairs'),
        ([], "no boxes left for 'a"),
        (boxes[:, :3], "proposals of 'a.*shape"),
        (boxes[:, ::-1] + np.float32([9, 9, 0, 0]), 'x1, y1, x2, y2'),
    ):
        with pytest.raises(ValueError, match=message):
            inferencer(pair, proposals=proposals)
    with pytest.raises(FileNotFoundError, match="'none.pkl' is neither"):
        inferencer(pair, proposals='none.pkl')
    with pytest.raises(ValueError, match='only a LateFusionDetector'):
        inferencer(dict(pair, hha=None), proposals=boxes)


@pytest.fixture(scope='module')
def fusion(folder):
    (folder / 'stream.py').write_text(STREAM)
    (folder / 'fusion.py').write_text(FUSION)
    torch.manual_seed(0)
    model = build_network(resolve_network(str(folder / 'fusion.py')))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            fan = parameter[0].numel()
            torch.nn.init.normal_(parameter, 0, fan**-0.5)
    # As sure as the other RPN, so that both have a share in the union.
    model.streams['hha'].rpn_head.rpn_cls.bias.data += 1.8
    weights = folder / 'fusion.pth'
    torch.save(dict(state_dict=model.state_dict()), weights)
    return MultiModalInferencer(folder / 'fusion.py', weights, 'cpu')


def test_proposals_of_the_rpns(folder, fusion):
    """The union of both; of one alone, where a modality is missing."""
    pair, model = sources(folder, 'a'), fusion.model
    cfg = Config.fromfile(folder / 'fusion.py')
    packed = DATASETS.build(cfg.test_dataloader.dataset)[0]
    packed = {key: [value] for key, value in packed.items()}

    def proposed(*names):
        data = model.data_preprocessor(packed)
        feats = model.extract_feat(data['inputs'], names)
        return [
            model.streams[name].rpn_head.predict(
                feats[name], data['data_samples'], rescale=False
            )[0]
            for name in names
        ]

    def detect(proposals):
        data = model.data_preprocessor(packed)
        data['data_samples'][0].proposals = proposals
        (found,) = model.predict(**_named(data))
        return found.pred_instances

    sets = proposed('rgb', 'hha')
    union = unite_proposals(sets, 0.7, 30)
    origin = [
        (one.bboxes[None] == union.bboxes[:, None]).all(-1).any(1)
        for one in sets
    ]
    assert all(0 < found.sum() < len(union) for found in origin)
    assert (origin[0] | origin[1]).all()
    (together,) = fusion(pair)
    expected = detect(union)
    assert len(expected) > 3
    assert together['bboxes'] == expected.bboxes.tolist()
    assert together['scores'] == expected.scores.tolist()
    (alone,) = fusion(dict(pair, hha=None))
    with model.only('rgb'):
        expected = detect(sets[0])
    assert len(expected) > 3 and alone != together
    assert alone['bboxes'] == expected.bboxes.tolist()
    assert alone['scores'] == expected.scores.tolist()
    with pytest.raises(ValueError, match='finds its own boxes'):
        fusion(pair, proposals='windows')


def _named(data):
    return dict(
        batch_inputs=data['inputs'], batch_data_samples=data['data_samples']
    )


@pytest.mark.parametrize('name', ['rgb', 'hha'])
def test_test_tool_with_a_missing_file(
    folder, fusion, tmp_path, monkeypatch, name
):
    """... which the detections are drawn without."""
    monkeypatch.setattr(Config, 'pretty_text', '')
    # mmdet's hook draws with the one whose name is newest in the process.
    monkeypatch.setattr(Visualizer, '_instance_dict', OrderedDict())
    monkeypatch.syspath_prepend(str(TOOLS))
    pairs = [sources(folder, stem) for stem in STEMS]
    expected = [fusion(pairs[0])[0], fusion({**pairs[1], name: None})[0]]
    assert expected[1] != fusion(pairs[1])[0]
    hidden = pairs[1][name].rename(folder / 'hidden.png')
    command = ['fusion.py', 'fusion.pth', '--out', str(tmp_path / 'out.pkl')]
    monkeypatch.chdir(folder)
    try:
        tool = importlib.import_module('test')
        tool.main([*command, '--work-dir', str(tmp_path), '--show-dir', 'v'])
    finally:
        hidden.rename(pairs[1][name])
        for module in ('test', 'train'):
            sys.modules.pop(module, None)
    assert len(list(tmp_path.glob('*/v/*.png'))) == 2
    found = load(tmp_path / 'out.pkl')
    assert [one['missing_modalities'] for one in found[1:]] == [(name,)]
    for one, result in zip(expected, found, strict=True):
        assert len(one['scores']) > 3
        for key in ('labels', 'scores', 'bboxes'):
            np.testing.assert_array_equal(
                np.float32(one[key]), result['pred_instances'][key].numpy()
            )


@pytest.mark.parametrize('device', ['tpu9', 'cuda:99'])
def test_device_that_is_not_there(folder, fusion, device):
    with pytest.raises(ValueError, match=f"device='{device}': "):
        MultiModalInferencer(
            folder / 'fusion.py', folder / 'fusion.pth', device=device
        )
