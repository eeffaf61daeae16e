"""Try the transfer on stock networks and write docs/architectures.md.

Each network teaches a copy of itself (other random weights, another modality)
for 20 steps on one pair of images; its checkpoint is then loaded into the
detector of the config, and two such detectors are fused. What is done is
remembered in a JSON file, so that the script may be stopped and started again.

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
from mmengine.logging import MMLogger
from mmengine.model import base_module, weight_init
from mmengine.registry import init_default_scope

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from stock_networks import LEARNING_RATE, STEPS, Trial, run_trial

# Config, feature, and the side of the image if it is not usual.
DETECTORS: list[tuple] = [
    ('faster_rcnn/faster-rcnn_r50_fpn_1x_coco', 'neck[1]'),
    ('fast_rcnn/fast-rcnn_r50_fpn_1x_coco', 'backbone.layer3'),
    ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco', 'backbone[2]'),
    ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', 'neck.fpn_convs.0'),
    ('rpn/rpn_r50_fpn_1x_coco', 'bbox_head.rpn_conv#1'),
    ('retinanet/retinanet_r50_fpn_1x_coco', 'bbox_head.cls_convs.0#1'),
    ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', 'bbox_head.reg_convs.1#0'),
    ('atss/atss_r50_fpn_1x_coco', 'neck[2]'),
    ('gfl/gfl_r50_fpn_1x_coco', 'neck[0]'),
    ('vfnet/vfnet_r50_fpn_1x_coco', 'bbox_head.cls_convs.0#1'),
    ('tood/tood_r50_fpn_1x_coco', 'neck[1]'),
    ('paa/paa_r50_fpn_1x_coco', 'bbox_head.reg_convs.1#0'),
    ('libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco', 'neck.1[1]'),
    ('nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco', 'neck[1]'),
    ('yolof/yolof_r50-c5_8xb8-1x_coco', 'neck'),
    ('centernet/centernet_r18_8xb16-crop512-140e_coco', 'neck'),
    ('ssd/ssd300_coco', 'neck[0]', 320),
    ('ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco', 'backbone[0]', 320),
    ('yolo/yolov3_d53_8xb8-320-273e_coco', 'backbone[1]'),
    ('yolo/yolov3_mobilenetv2_8xb24-320-300e_coco', 'backbone[1]'),
    ('yolox/yolox_tiny_8xb8-300e_coco', 'neck[1]'),
    ('rtmdet/rtmdet_tiny_8xb32-300e_coco', 'neck[1]'),
    ('rtmdet/rtmdet-ins_tiny_8xb32-300e_coco', 'bbox_head.mask_head'),
    ('hrnet/faster-rcnn_hrnetv2p-w18-1x_coco', 'backbone[2]'),
    ('regnet/faster-rcnn_regnetx-400MF_fpn_ms-3x_coco', 'backbone[2]'),
    (
        'resnest/faster-rcnn_s50_fpn_syncbn-backbone+head_ms-range-1x_coco',
        'backbone.layer2',
    ),
    ('efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco', 'backbone[1]'),
    ('pvt/retinanet_pvt-t_fpn_1x_coco', 'backbone[2]'),
    ('pvt/retinanet_pvtv2-b0_fpn_1x_coco', 'backbone[2]'),
    ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'backbone.stages.2[0]'),
    ('detr/detr_r50_8xb2-150e_coco', 'encoder'),
    (
        'conditional_detr/conditional-detr_r50_8xb2-50e_coco',
        'encoder.layers.0',
    ),
    ('dab_detr/dab-detr_r50_8xb2-50e_coco', 'encoder.layers.0'),
    ('deformable_detr/deformable-detr_r50_16xb2-50e_coco', 'encoder.layers.0'),
    ('dino/dino-4scale_r50_8xb2-12e_coco', 'neck[1]', 224),
    ('ddq/ddq-detr-4scale_r50_8xb2-12e_coco', 'neck[2]'),
    ('sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco', 'neck[1]'),
    ('solov2/solov2_r50_fpn_1x_coco', 'neck[2]'),
    ('mask2former/mask2former_r50_8xb2-lsj-50e_coco', 'backbone[2]'),
]
# And what their backbones give to a detector.
_MAPS = dict(out_type='featmap')
CLASSIFIERS: list[tuple] = [
    ('resnet/resnet18_8xb32_in1k', 'backbone.layer3'),
    ('deit/deit-tiny_4xb256_in1k', 'backbone.layers.5', 64, _MAPS),
    (
        'dinov2/vit-small-p14_dinov2-pre_headless',
        'backbone.layers.3',
        224,
        _MAPS,
    ),
    ('clip/vit-base-p16_pt-64xb64_in1k', 'backbone.layers.1', 64, _MAPS),
    ('swin_transformer/swin-tiny_16xb64_in1k', 'backbone.stages.2[0]', 224),
    (
        'convnext/convnext-tiny_32xb128_in1k',
        'backbone.stages.2',
        64,
        dict(gap_before_final_norm=False),
    ),
]
TIMM: list[tuple] = [
    ('vit_small_patch14_reg4_dinov2.lvd142m', 'backbone[1]', 224),
    ('vit_base_patch16_clip_224', 'backbone[0]'),
    ('swin_tiny_patch4_window7_224', 'backbone[2]', 224),
    ('convnext_atto', 'backbone[2]'),
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


def trials() -> list[Trial]:
    """What is tried, in the order of the page."""
    return [
        *(
            Trial(f'mmdet::{n}', f'mmdet::{n}', *rest)
            for n, *rest in DETECTORS
        ),
        *(
            Trial(f'mmpretrain::{n}', f'mmpretrain::{n}', *rest)
            for n, *rest in CLASSIFIERS
        ),
        *(
            Trial(
                f'timm {n}',
                dict(type='mmxdistill.TimmBackbone', model_name=n),
                *rest,
            )
            for n, *rest in TIMM
        ),
    ]


def cells(row: dict[str, Any]) -> list[str]:
    """What the page says of a network."""
    if 'error' in row:
        return ['', f'no: {row["error"]}', 'no', 'no']
    falls = f'{row["first"]:.3g} to {row["last"]:.3g}'
    missing, unexpected = row['load']
    fusion = row['fusion']
    return [
        f'`{row["feature"]}` ({row["layout"]}, {row["channels"]})',
        ('yes' if row['last'] < row['first'] else 'no: it rises')
        + f' ({falls})',
        'yes'
        if not missing and not unexpected
        else f'no: {missing} missing, {unexpected} unexpected',
        f'no: {fusion}' if isinstance(fusion, str) else f'yes ({fusion})',
    ]


def page(done: dict[str, dict]) -> str:
    """The Markdown page."""
    lines = [
        '# Architectures',
        '',
        'Stock networks, each teaching a copy of itself with other random '
        'weights:',
        '',
        f'- *falls*: the transfer loss in {STEPS} steps of Adam '
        f'({LEARNING_RATE:g}) on one pair of images of',
        '  noise; first, and mean of the last three. 1 is an output of zeros;',
        '- *loads*: the saved checkpoint has all keys of the detector and no '
        'other, besides',
        '  those of the transfer itself (`transfer_points.*`);',
        '- *fuses*: teacher and student, loaded from checkpoints, detect '
        'together (how many',
        '  boxes, of 100 at most and of any score).',
        '',
        'Networks of mmpretrain and timm become the backbone of a Faster '
        'R-CNN with an FPN',
        'for the last two columns. Batch normalisations take the statistics '
        'of the pair',
        'before the first step. Images have 64 pixels a side; 320 for SSD, '
        'and 224 for',
        'patches of 14 pixels, windows of 7 cells and the 900 queries of '
        'DINO. Written by `tools/dev/architectures.py`.',
        '',
        '| network | feature | falls | loads | fuses |',
        '| --- | --- | --- | --- | --- |',
    ]
    lines += [
        f'| `{trial.name}` | {" | ".join(cells(done[trial.name]))} |'
        for trial in trials()
        if trial.name in done
    ]
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
    for trial in trials():
        if args.only is None:
            wanted = trial.name not in done
        else:
            wanted = any(part in trial.name for part in args.only)
        if not wanted or time.time() - begin > args.seconds:
            continue
        start = time.time()
        try:
            done[trial.name] = run_trial(trial)
        except Exception as error:  # the reason goes to the page
            text = f'{type(error).__name__}: {error}'.split('\n')[0]
            done[trial.name] = dict(error=text[:160].replace('|', '/'))
        args.state.parent.mkdir(parents=True, exist_ok=True)
        args.state.write_text(json.dumps(done, indent=1))
        print(
            f'{time.time() - start:6.1f} s',
            trial.name,
            *cells(done[trial.name]),
            flush=True,
        )
    if args.output:
        args.output.write_text(page(done))


if __name__ == '__main__':
    main()
