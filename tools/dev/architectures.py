"""Try the transfer on stock networks and write docs/architectures.md.

Each network teaches a copy of itself (other random weights, another modality)
for 20 steps on one pair of images; its weights are then loaded into the
network of the config. What is done is remembered in a JSON file, so that the
script may be stopped and started again.

    python tools/dev/architectures.py --output docs/architectures.md
    python tools/dev/architectures.py --only retinanet --state a.json
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import base_module, weight_init
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

STEPS = 20
# Config, feature, side of the image if it is not small.
DETECTORS: list[tuple[str, str, int]] = [
    ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'neck[1]', 64),
    ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco', 'backbone.layer3', 64),
    ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco', 'backbone[2]', 64),
    ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', 'neck.fpn_convs.0', 64),
    ('rpn/rpn_r50_fpn_1x_coco', 'bbox_head.rpn_conv#1', 64),
    ('retinanet/retinanet_r50_fpn_1x_coco', 'bbox_head.cls_convs.0#1', 64),
    ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', 'bbox_head.reg_convs.1#0', 64),
    ('atss/atss_r50_fpn_1x_coco', 'neck[2]', 64),
    ('gfl/gfl_r50_fpn_1x_coco', 'neck[0]', 64),
    ('tood/tood_r50_fpn_1x_coco', 'neck[1]', 64),
    ('yolof/yolof_r50-c5_8xb8-1x_coco', 'neck', 64),
    ('centernet/centernet_r18_8xb16-crop512-140e_coco', 'neck', 64),
    ('ssd/ssd300_coco', 'neck[0]', 320),
    (
        'ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco',
        'backbone[0]',
        320,
    ),
    ('yolo/yolov3_d53_8xb8-320-273e_coco', 'backbone[1]', 64),
    ('yolo/yolov3_mobilenetv2_8xb24-320-300e_coco', 'backbone[1]', 64),
    ('yolox/yolox_tiny_8xb8-300e_coco', 'neck[1]', 64),
    ('rtmdet/rtmdet_tiny_8xb32-300e_coco', 'neck[1]', 64),
    ('hrnet/faster-rcnn_hrnetv2p-w18-1x_coco', 'backbone[2]', 64),
    ('regnet/faster-rcnn_regnetx-400MF_fpn_ms-3x_coco', 'backbone[2]', 64),
    ('res2net/faster-rcnn_res2net-101_fpn_2x_coco', 'backbone.layer2', 64),
    (
        'resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco',
        'backbone.layer2',
        64,
    ),
    (
        'efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco',
        'backbone[1]',
        64,
    ),
    ('pvt/retinanet_pvt-t_fpn_1x_coco', 'backbone[2]', 64),
    ('pvt/retinanet_pvtv2-b0_fpn_1x_coco', 'backbone[2]', 64),
    ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'backbone.stages.2[0]', 64),
    ('detr/detr_r50_8xb2-150e_coco', 'encoder', 64),
    (
        'conditional_detr/conditional-detr_r50_8xb2-50e_coco',
        'encoder.layers.0',
        64,
    ),
    ('dab_detr/dab-detr_r50_8xb2-50e_coco', 'encoder.layers.0[0]', 64),
    (
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
        'encoder.layers.0',
        64,
    ),
    ('dino/dino-4scale_r50_8xb2-12e_coco', 'neck[1]', 64),
    ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco', 'neck[1]', 64),
    ('solov2/solov2_r50_fpn_1x_coco', 'neck[2]', 64),
    ('mask2former/mask2former_r50_8xb2-lsj-50e_coco', 'backbone[2]', 64),
]
CLASSIFIERS: list[tuple[str, str, int]] = [
    ('resnet/resnet18_8xb32_in1k', 'backbone.layer3', 64),
    ('deit/deit-tiny_4xb256_in1k', 'backbone.layers.5', 64),
    (
        'dinov2/vit-small-p14_dinov2-pre_headless',
        'backbone.layers.3',
        112,
    ),
    ('clip/vit-base-p16_pt-64xb64_in1k', 'backbone.layers.1', 64),
    ('swin_transformer/swin-tiny_16xb64_in1k', 'backbone.stages.2[0]', 64),
    ('convnext/convnext-tiny_32xb128_in1k', 'backbone.stages.2', 64),
]
TIMM: list[tuple[str, str, int]] = [
    ('vit_small_patch14_reg4_dinov2.lvd142m', 'backbone[1]', 112),
    ('vit_base_patch16_clip_224', 'backbone[0]', 64),
    ('swin_tiny_patch4_window7_224', 'backbone[2]', 64),
    ('convnext_atto', 'backbone[2]', 64),
]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--output', type=Path, help='the Markdown page')
    parser.add_argument(
        '--state', type=Path, default=Path('work_dirs/architectures.json')
    )
    parser.add_argument('--only', nargs='*', help='parts of names; done anew')
    parser.add_argument('--seconds', type=float, default=1e9, help='then stop')
    return parser.parse_args()


def rows() -> list[tuple[str, dict | str, str, int]]:
    """Name, config, feature and image side of every network."""
    found: list[tuple[str, Any, str, int]] = []
    for package, table in (('mmdet', DETECTORS), ('mmpretrain', CLASSIFIERS)):
        found += [
            (f'{package}::{name}', f'{package}::{name}', feature, side)
            for name, feature, side in table
        ]
    for name, feature, side in TIMM:
        cfg = dict(type='mmxdistill.TimmBackbone', model_name=name)
        found.append((f'timm {name}', cfg, feature, side))
    return found


def without_downloads(cfg: Any) -> Any:
    """Drop init_cfg that would fetch weights."""
    if isinstance(cfg, dict):
        return ConfigDict(
            {
                key: without_downloads(value)
                for key, value in cfg.items()
                if not (
                    (
                        key in ('init_cfg', 'pretrained')
                        and 'ckpt' in str(value)
                    )
                    or (key == 'init_cfg' and 'checkpoint' in str(value))
                )
            }
        )
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_downloads(item) for item in cfg)
    return cfg


def network(cfg: dict | str) -> tuple[dict, Any]:
    """Config of a network, its types named with their package."""
    found = resolve_network(cfg)
    model = without_downloads(found.model)
    if found.scope is not None:
        model['_scope_'] = found.scope
    return model, found.preprocessing


def try_network(cfg: dict | str, feature: str, side: int) -> dict[str, Any]:
    """Transfer from a network to its copy, and load the result."""
    torch.manual_seed(0)
    model_cfg, preprocessing = network(cfg)
    statistics = dict(mean=[0.0] * 3)
    if preprocessing is not None:
        statistics = preprocessing.as_modality()
    model = MODELS.build(
        dict(
            type='mmxdistill.SupervisionTransfer',
            data_preprocessor=dict(
                type='mmxdistill.MultiModalDataPreprocessor',
                modalities=dict(rgb=statistics, x=statistics),
                pad_size_divisor=32,
            ),
            teacher=model_cfg,
            teacher_checkpoint=None,
            student=model_cfg,
            modalities=dict(teacher='rgb', student='x'),
            transfer_points=[
                dict(teacher=feature, student=feature, adaptation=dict())
            ],
        )
    )
    model.init_weights()
    losses = train(model, side)
    state = model.state_dict()
    state = {
        key.removeprefix('' if hasattr(model, 'student') else 'backbone.'): v
        for key, v in state.items()
        if not key.startswith(('transfer_points.', 'data_preprocessor.'))
    }
    missing, unexpected = model.teacher.load_state_dict(state, strict=False)
    info = model.student_features.infos[feature]
    return dict(
        feature=feature,
        layout=info.layout.kind,
        channels=info.channels,
        first=losses[0],
        last=sum(losses[-3:]) / 3,
        missing=len(missing),
        unexpected=len(unexpected),
    )


def train(model: Any, side: int) -> list[float]:
    """Losses of 20 steps on one pair."""
    image = torch.rand(6, side, side) * 255
    sample = DetDataSample(metainfo=dict(img_id=0, img_shape=(side, side)))
    model.eval()
    data = model.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
    inputs, samples = data['inputs'], data['data_samples']
    with torch.no_grad():
        ((_, target),) = model.raw_features(inputs, samples)
    model.points[0].loss.calibrate(0.5 * float(target.square().sum()))
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(learned, lr=1e-3, fused=True)
    losses = []
    # Evaluation mode: one image is no batch, and dropout is noise.
    for _ in range(STEPS):
        loss = sum(model.loss(inputs, samples).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def cell(row: dict[str, Any]) -> list[str]:
    """What the page says of a network."""
    if 'error' in row:
        return ['', f'no: {row["error"]}', 'no']
    falls = f'{row["first"]:.3g} to {row["last"]:.3g}'
    return [
        f'`{row["feature"]}` ({row["layout"]}, {row["channels"]})',
        f'yes ({falls})'
        if row['last'] < row['first']
        else f'no: it rises ({falls})',
        'yes'
        if not row['missing'] and not row['unexpected']
        else f'no: {row["missing"]} missing, {row["unexpected"]} unexpected',
    ]


def page(done: dict[str, dict]) -> str:
    """The Markdown page."""
    lines = [
        '# Architectures',
        '',
        'Stock networks, each teaching a copy of itself with other random '
        'weights: whether',
        f'the transfer loss falls in {STEPS} steps on one pair, and whether '
        'the weights load',
        'into the network of the config without a missing or an unexpected '
        'key. Weights',
        'are random and batch statistics stay at 0 and 1, so that features '
        'may be tiny or',
        'huge; the optimizer is Adam at 0.001. Networks that are missing '
        'were not tried.',
        'Written by `tools/dev/architectures.py`.',
        '',
        '| network | feature | loss falls | weights load |',
        '| --- | --- | --- | --- |',
    ]
    for name, *_ in rows():
        if name in done:
            lines.append(f'| `{name}` | {" | ".join(cell(done[name]))} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Try what has not been tried, and write the page."""
    args = parse_args()
    torch.set_num_threads(1)
    MMLogger.get_current_instance().setLevel('ERROR')
    init_default_scope('mmdet')
    # mmengine's record of who initialised what takes most of a build.
    for module in (base_module, weight_init):
        module.update_init_info = lambda *args, **kwargs: None
    begin = time.time()
    done: dict[str, dict] = {}
    if args.state.is_file():
        done = json.loads(args.state.read_text())
    for name, cfg, feature, side in rows():
        if args.only is None:
            wanted = name not in done
        else:
            wanted = any(part in name for part in args.only)
        if not wanted or time.time() - begin > args.seconds:
            continue
        start = time.time()
        try:
            done[name] = try_network(cfg, feature, side)
        except Exception as error:  # the reason goes to the page
            text = f'{type(error).__name__}: {error}'.split('\n')[0]
            done[name] = dict(error=text[:160].replace('|', '/'))
        args.state.parent.mkdir(parents=True, exist_ok=True)
        args.state.write_text(json.dumps(done, indent=1))
        print(f'{time.time() - start:6.1f} s', name, *cell(done[name]))
    if args.output:
        args.output.write_text(page(done))


if __name__ == '__main__':
    main()
