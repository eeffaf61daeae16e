r"""Show what networks have learned (the paper, fig. 2).

    python tools/analysis_tools/show_filters.py filters.png \
        --net RGB rgb.py rgb.pth --net transferred hha.py hha.pth \
        --net random hha.py random

draws the filters of the first convolutions side by side. With

    --data fusion.py --modality rgb hha hha --units 3 17

the images of the test set of a config with all modalities in which these
units of ``--feature`` are most active are looked for, and drawn to
``filters_units.png``: each patch with the RGB patch below.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('output', type=Path, metavar='OUT.png')
    parser.add_argument(
        '--net',
        nargs=3,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG', 'CHECKPOINT'),
        help="a network; 'random' in place of a checkpoint leaves it as it "
        'starts',
    )
    parser.add_argument('--data', metavar='CONFIG', help='with the images')
    parser.add_argument(
        '--modality', nargs='+', help='modality that each network sees'
    )
    parser.add_argument('--units', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--feature', default='pool5')
    parser.add_argument(
        '--patch', type=int, default=64, help='side in pixels (default 64)'
    )
    parser.add_argument(
        '--images', type=int, default=200, help='images to look at'
    )
    parser.add_argument(
        '--count', type=int, default=8, help='patches per unit (default 8)'
    )
    args = parser.parse_args()
    if args.data and len(args.modality or ()) != len(args.net):
        parser.error('--data needs one --modality per --net')
    return args


def build_backbone(name: str, config: str, checkpoint: str) -> Any:
    """The backbone (or the student) of a config, with its weights."""
    from mmxdistill.models.networks import (
        build_network,
        load_weights,
        resolve_network,
    )

    network = resolve_network(config)
    model = network.model
    part = model.get('backbone') or model.get('student') or model
    backbone = build_network(network._replace(model=part))
    if checkpoint == 'random':
        backbone.init_weights()
    else:
        load_weights(backbone, checkpoint, name)
    backbone.eval()  # of mmpretrain it returns None
    return backbone


def find_patches(args: argparse.Namespace, nets: dict[str, Any]) -> dict:
    """Rows of patches by title; see ``draw_patches``."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    from mmxdistill.models.features import FeatureExtractor
    from mmxdistill.registry import MODELS
    from mmxdistill.visualization.activations import TopActivations, crop_patch

    look = {}
    for name, net in nets.items():
        look[name] = FeatureExtractor(net, [args.feature], name)
        (info,) = look[name].infos.values()
        if len(next(iter(info.grids.values()))) < 2:
            raise ValueError(f'--feature: {info} has no places in the image')
    cfg = Config.fromfile(args.data)
    init_default_scope('mmdet')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    top = {name: TopActivations(args.units, args.count) for name in nets}
    for index in range(min(args.images, len(dataset))):
        sample = dataset[index]
        batch = preprocessor(
            dict(
                inputs=[sample['inputs']],
                data_samples=[sample['data_samples']],
            )
        )
        padded = batch['inputs'].shape[2:]
        real = batch['data_samples'][0].get(
            'img_shape', sample['inputs'].shape[1:]
        )
        covered = (padded[1] / real[1], padded[0] / real[0])
        for name, modality in zip(nets, args.modality, strict=True):
            with torch.no_grad():
                part = batch['inputs'][:, preprocessor.slices[modality]]
                (feature,) = look[name](part).values()
            top[name].add(index, feature[0].numpy(), covered)
    rows = {}
    for (name, found), modality in zip(
        top.items(), args.modality, strict=True
    ):
        views = dict.fromkeys([modality, 'rgb'])
        for unit in args.units:
            silent = found.best(unit)[0].value <= 0
            note = '\n(never active)' if silent else ''
            rows[f'{name}\nunit {unit}{note}'] = [
                [
                    crop_patch(
                        dataset[best.image]['inputs'][
                            preprocessor.slices[view]
                        ]
                        .permute(1, 2, 0)
                        .clamp(0, 255)
                        .byte()
                        .numpy(),
                        best.place,
                        args.patch,
                    )
                    for view in views
                ]
                for best in found.best(unit)
            ]
    return rows


def run(args: argparse.Namespace) -> None:
    """Draw the figures."""
    from torch import nn

    from mmxdistill.visualization import draw_filters, draw_patches

    nets = {net[0]: build_backbone(*net) for net in args.net}
    first = {
        name: next(m for m in net.modules() if isinstance(m, nn.Conv2d))
        for name, net in nets.items()
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    weights = {n: conv.weight.detach().numpy() for n, conv in first.items()}
    draw_filters(weights).savefig(args.output)
    print(f'Wrote {args.output}')
    if args.data:
        name = f'{args.output.stem}_units{args.output.suffix}'
        path = args.output.with_name(name)
        draw_patches(find_patches(args, nets)).savefig(path)
        print(f'Wrote {path}')


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
