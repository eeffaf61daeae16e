r"""Report how many objects the proposals of a data set cover.

    python tools/analysis_tools/proposal_recall.py CONFIG --split train test \
        --proposals RGB=rgb.pkl union=union.pkl --plot recall.png

Prints tables of the recall in percent against the number of proposals per
image, for all objects and per class.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import add_jobs_option, add_split_option


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'source',
        type=Path,
        metavar='SOURCE',
        help='a config (.py), or a COCO annotation file (.json)',
    )
    add_split_option(parser, 'of a config: whose objects', ['test'])
    parser.add_argument(
        '--proposals',
        nargs='+',
        metavar='[NAME=]FILE',
        help='proposal files to compare (default: that of the data set)',
    )
    parser.add_argument(
        '--plot', type=Path, metavar='FILE.png', help='draw the recall'
    )
    parser.add_argument(
        '--trust-pickle',
        action='store_true',
        help='unpickle whatever the files hold, not arrays only; this runs '
        'code that they name',
    )
    add_jobs_option(parser)
    args = parser.parse_args()
    if args.source.suffix not in ('.py', '.json'):
        parser.error(f'{args.source} is neither a config (.py) nor a .json')
    if args.source.suffix == '.json' and not args.proposals:
        parser.error('an annotation file needs --proposals')
    return args


def read_sources(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Configs of the data sets to look at."""
    from mmengine.registry import init_default_scope

    from mmxdistill.datasets.coco_file import read_coco
    from mmxdistill.datasets.configured import dataset_configs

    if args.source.suffix == '.py':
        return list(dataset_configs(args.source, args.split).values())
    init_default_scope('mmdet')
    content = read_coco(args.source)
    classes = tuple(item['name'] for item in content['categories'])
    config = dict(
        type='CocoDataset',
        ann_file=str(args.source),
        data_prefix=dict(img=''),
        metainfo=dict(classes=classes),
        test_mode=True,
    )
    return [config]


def read_files(
    args: argparse.Namespace, configs: list[dict[str, Any]]
) -> dict[str, list[str]]:
    """Proposal files to compare: name -> file of each data set."""
    from mmxdistill.datasets.proposal_file import find_proposal_file

    if not args.proposals:
        files = [find_proposal_file(config) for config in configs]
        if None in files:
            raise ValueError(
                f"a data set of '{args.source}' has no proposal_file: give "
                '--proposals'
            )
        return {'proposals': [file for file in files if file]}
    named = {}
    for text in args.proposals:
        name, equals, file = text.partition('=')
        if not equals:
            name, file = Path(text).stem, text
        if name in named:
            raise ValueError(
                f"two of --proposals are called '{name}': write NAME=FILE"
            )
        named[name] = [file] * len(configs)
    return named


def run(args: argparse.Namespace) -> None:
    """Print the tables and draw the plot."""
    from mmxdistill.datasets.configured import build_dataset
    from mmxdistill.evaluation.dataset_recall import measure_recall
    from mmxdistill.evaluation.proposal_recall import IOU_THRS

    configs = read_sources(args)
    files = read_files(args, configs)
    datasets = [build_dataset(config) for config in configs]
    by_name = args.source.suffix == '.json'
    recalls = {
        name: measure_recall(
            datasets, paths, by_name, args.jobs, name, args.trust_pickle
        )
        for name, paths in files.items()
    }
    for name, recall in recalls.items():
        print(
            f'\n{name}: {recall.total[0]} objects in {recall.num_images} '
            f'images, {recall.num_proposals / recall.num_images:.0f} '
            'proposals per image; recall in percent of the best n\n'
        )
        print('\n\n'.join(recall.format(iou_thr) for iou_thr in IOU_THRS))
    if args.plot:
        from mmxdistill.visualization import draw_recalls

        args.plot.parent.mkdir(parents=True, exist_ok=True)
        draw_recalls(recalls).savefig(args.plot, dpi=120)


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
