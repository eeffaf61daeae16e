"""Train a model from a config.

Takes the flags of mmdet's ``tools/train.py``. Works from a checkout without
installation.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if (ROOT / 'mmxdistill').is_dir():
    sys.path.insert(0, str(ROOT))

# Before the stack, so that it can say what the stack lacks.
from mmxdistill import compat, config_path

# isort: split
from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint


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
        action=DictAction,
        help='override settings of the config, as KEY=VALUE pairs: '
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


def load_config(args: argparse.Namespace) -> Config:
    """Read the config and apply the shared arguments to it."""
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs', Path(args.config).stem))
    compat.prepare_cpu_processes(cfg)
    return cfg


def configure(args: argparse.Namespace) -> Config:
    """Turn the parsed command line into the config of a training run."""
    cfg = load_config(args)
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if args.amp and wrapper != 'AmpOptimWrapper':
        if wrapper != 'OptimWrapper':
            raise SystemExit(
                f'--amp would replace the optim_wrapper {wrapper} of '
                f'{args.config}, and its way to accumulate and clip '
                'gradients; train it without --amp'
            )
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise SystemExit(
                f'--auto-scale-lr: {args.config} does not say for which batch '
                'size its learning rate was chosen; add '
                'auto_scale_lr = dict(base_batch_size=...)'
            )
        cfg.auto_scale_lr.enable = True
    if args.resume == 'auto':
        # A run that was stopped before its first checkpoint starts again,
        # from the weights that the config loads.
        cfg.resume = bool(find_latest_checkpoint(cfg.work_dir))
        cfg.load_from = None if cfg.resume else cfg.get('load_from')
    elif args.resume is not None:
        cfg.resume = True
        cfg.load_from = args.resume
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


@contextmanager
def registry_hints() -> Iterator[None]:
    """Add a suggestion to mmengine's error about an unknown ``type``."""
    try:
        yield
    except KeyError as error:
        message = str(error.args[0]) if error.args else ''
        unknown = re.match(r'(\S+) is not in the .* registry', message)
        close = close_types(unknown[1]) if unknown else []
        if not close:
            raise
        raise SystemExit(
            f'{message}\nDid you mean {" or ".join(map(repr, close))}? '
            'Components of mmxdistill are written with this scope.'
        ) from error


def close_types(name: str) -> list[str]:
    """Name the registered components of mmxdistill that resemble ``name``."""
    from mmxdistill import registry

    names: dict[str, str] = {}
    for attribute in registry.__all__:
        node = getattr(registry, attribute)
        node.import_from_location()
        names |= {key.lower(): key for key in node.module_dict}
    bare = name.rpartition('.')[2].lower()
    close = [bare] if bare in names else get_close_matches(bare, names)
    return [f'mmxdistill.{names[key]}' for key in close]


def main() -> None:
    """Train."""
    cfg = configure(parse_args())
    with registry_hints():
        build_runner(cfg).train()
    compat.close_processes()


if __name__ == '__main__':
    main()
