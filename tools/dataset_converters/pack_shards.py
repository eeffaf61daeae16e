"""Pack the pairs of a config into tar shards, for ShardedPairedDataset."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.options import SPLITS, positive_int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the files of all pairs of a data set into tar '
        'shards in the format of WebDataset, unchanged, with an index. '
        'Interrupted, the same command goes on. Without a config, the shards '
        'that are in the folder are indexed.'
    )
    parser.add_argument('out', type=Path, help='folder of the shards')
    parser.add_argument('config', nargs='?', help='config with the pairs')
    parser.add_argument(
        '--split', choices=SPLITS, default='train', help='default: train'
    )
    parser.add_argument(
        '--per-shard',
        type=positive_int,
        default=1000,
        metavar='N',
        help='samples of a shard (default: %(default)s)',
    )
    parser.add_argument(
        '--jobs', type=positive_int, help='processes (default: all CPUs)'
    )
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Pack; returns the exit status."""
    from mmxdistill.converters.shards import pack_shards
    from mmxdistill.datasets.checks import check_samples
    from mmxdistill.datasets.configured import build_dataset, dataset_configs
    from mmxdistill.datasets.shards import write_index

    if args.config is None:
        samples = write_index(args.out)
    else:
        found = dataset_configs(args.config, [args.split])
        if len(found) > 1:
            raise ValueError(
                f"'{args.config}' has the data sets {list(found)}: give a "
                'config that has one'
            )
        (config,) = found.values()
        dataset = build_dataset(config)
        check_samples(dataset)
        samples = pack_shards(dataset, args.out, args.per_shard, args.jobs)
    print(f'{args.out}: {samples} samples')
    return 0


def main(argv: list[str] | None = None) -> None:
    """Pack, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
