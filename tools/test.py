"""Test a checkpoint with the config it was trained with.

Takes the flags of mmdet's ``tools/test.py``. Works from a checkout without
installation.
"""

import argparse

from train import (
    build_parser,
    build_runner,
    check_files,
    load_config,
    registry_hints,
)

# isort: split
from mmengine.config import Config

from mmxdistill import compat


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser('Test (and evaluate) a model')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='checkpoint file; left out for a late fusion whose streams name '
        'their own checkpoints',
    )
    parser.add_argument(
        '--out', metavar='FILE.pkl', help='write the predictions to a pickle'
    )
    parser.add_argument(
        '--show-dir',
        help='draw the predictions into <work dir>/<time>/SHOW_DIR',
    )
    # An optional positional may then also follow the options.
    args = parser.parse_intermixed_args(argv)
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out: {args.out!r} does not end with .pkl or .pickle')
    check_files(parser, args, args.checkpoint)
    return args


def configure(args: argparse.Namespace) -> Config:
    """Turn the parsed command line into the config of a test run."""
    cfg = load_config(args)
    streams = cfg.model.get('streams', {}).values()
    if args.checkpoint is None and not (
        streams and all(stream.get('checkpoint') for stream in streams)
    ):
        raise SystemExit(
            f'{args.config}: give a checkpoint file; only a model whose '
            'streams all name their checkpoints is tested without'
        )
    cfg.load_from = args.checkpoint
    if args.show_dir is not None:
        hook = cfg.get('default_hooks', {}).get('visualization')
        if hook is None:
            raise SystemExit(
                f'--show-dir: {args.config} has no default_hooks.visualization'
                "; add dict(type='DetVisualizationHook')"
            )
        hook.draw = True
        hook.test_out_dir = args.show_dir
    return cfg


def main() -> None:
    """Test."""
    args = parse_args()
    cfg = configure(args)
    with registry_hints():
        runner = build_runner(cfg)
        if args.out is not None:
            from mmdet.evaluation import DumpDetResults

            runner.test_evaluator.metrics.append(
                DumpDetResults(out_file_path=args.out)
            )
        runner.test()
    compat.close_processes()


if __name__ == '__main__':
    main()
