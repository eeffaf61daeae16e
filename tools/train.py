"""Train a model from a config.

Takes the flags of mmdet's ``tools/train.py``. Works from a checkout without
installation.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmxdistill import config_path


class CfgOptions(argparse.Action):
    """``mmengine.DictAction``, imported only when there are options."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Parse KEY=VALUE pairs."""
        from mmengine.config import DictAction

        for word in values:
            if '=' not in word:
                parser.error(f'--cfg-options: {word!r} is no KEY=VALUE')
        action = DictAction(self.option_strings, self.dest, nargs='+')
        action(parser, namespace, values, option_string)


def build_parser(description: str) -> argparse.ArgumentParser:
    """Create a parser with the arguments that train.py and test.py share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help='folder for logs and checkpoints '
        '(default: work_dirs/<name of the config>)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        metavar='KEY=VALUE',
        help='override settings of the config: '
        'model.backbone.depth=18 key="[a,b]" key="[(a,b),(c,d)]" '
        '(no spaces inside a value)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of this run were started',
    )
    # torch.distributed.launch passes the rank that it also exports.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS
    )
    return parser


def check_files(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    checkpoint: str | None,
) -> None:
    """End with a usage error if the config or the checkpoint is missing.

    A config that is no file is looked up among those of mmxdistill, so that
    ``configs/...`` also works outside the checkout.
    """
    if not Path(args.config).is_file():
        try:
            args.config = config_path(args.config.removeprefix('configs/'))
        except FileNotFoundError as error:
            parser.error(str(error))
    # 'https://', 'open-mmlab://' and the like are left to mmengine.
    if checkpoint and '://' not in checkpoint:
        if not Path(checkpoint).is_file():
            parser.error(f'no checkpoint {checkpoint!r}')


@contextmanager
def short_errors() -> Iterator[None]:
    """End with a line for what is wrong with a config."""
    from mmxdistill.engine.run_config import ConfigError

    try:
        yield
    except ConfigError as error:
        raise SystemExit(f'Error: {error}') from None


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser('Train a model')
    parser.add_argument(
        '--amp', action='store_true', help='train in mixed precision'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by batch size / base_batch_size',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='resume from a checkpoint, by default the last in the work dir',
    )
    args = parser.parse_args(argv)
    check_files(parser, args, None if args.resume == 'auto' else args.resume)
    return args


def configure(args: argparse.Namespace) -> Any:
    """Turn the parsed command line into the config of a training run."""
    from mmxdistill.engine import run_config as run

    cfg = run.load_config(
        args.config, args.cfg_options, args.work_dir, args.launcher
    )
    if args.amp:
        run.use_amp(cfg)
    if args.auto_scale_lr:
        run.scale_learning_rate(cfg)
    if args.resume is not None:
        run.resume(cfg, args.resume)
    return cfg


def main(argv: list[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    from mmxdistill import compat
    from mmxdistill.engine import run_config as run
    from mmxdistill.engine.config_hints import config_hints

    with short_errors(), run.plain_errors(), config_hints():
        run.build_runner(configure(args), 'train').train()
    compat.close_processes()


if __name__ == '__main__':
    main()
