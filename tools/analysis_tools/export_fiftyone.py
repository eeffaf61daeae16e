r"""Show a data set of pairs and detections in FiftyOne.

    python tools/analysis_tools/export_fiftyone.py CONFIG \
        --predictions rgb=rgb.pkl thermal=thermal.pkl fused=fused.pkl
    fiftyone app launch NAME

Each pair becomes a group with one slice per modality; every slice has the
objects (``ground_truth``) and a field of detections for each file that
tools/test.py --out wrote. Needs ``pip install mmxdistill[fiftyone]``.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import SPLITS, split_names


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', type=Path, metavar='CONFIG')
    parser.add_argument(
        '--split',
        choices=SPLITS,
        default='test',
        help='data set to show (default: %(default)s)',
    )
    parser.add_argument(
        '--predictions',
        nargs='+',
        default=[],
        metavar='NAME=FILE',
        help='detections that tools/test.py --out wrote',
    )
    parser.add_argument(
        '--name',
        help='of the data set (default: name of the config and split)',
    )
    parser.add_argument(
        '--media',
        type=Path,
        metavar='FOLDER',
        help='gets pictures of modalities whose files no browser shows '
        '(default: work_dirs/fiftyone/NAME)',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='replace a data set of this name',
    )
    args = parser.parse_args()
    args.predictions = split_names(parser, args.predictions)
    args.name = args.name or f'{args.config.stem}_{args.split}'
    args.media = args.media or Path('work_dirs/fiftyone', args.name)
    return args


def run(args: argparse.Namespace) -> None:
    """Export."""
    from mmxdistill.datasets.configured import build_dataset, dataset_configs
    from mmxdistill.visualization import fiftyone_export as export
    from mmxdistill.visualization.predictions import read_predictions

    export.check_names(args.predictions)
    predictions = {
        name: read_predictions(path) for name, path in args.predictions.items()
    }
    configs = dataset_configs(args.config, [args.split])
    if len(configs) > 1:
        raise ValueError(f'{args.config} has {len(configs)} data sets in one')
    dataset = build_dataset(next(iter(configs.values())))
    count = export.export_groups(
        export.list_groups(dataset, predictions, args.media),
        [str(name) for name in dataset.metainfo.get('classes') or ()],
        args.name,
        args.overwrite,
    )
    print(f'{count} pairs; look at them: fiftyone app launch {args.name}')


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
