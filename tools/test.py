"""Test a checkpoint with the config it was trained with.

Takes the flags of mmdet's ``tools/test.py``. Works from a checkout without
installation.
"""

import argparse
from typing import Any

from train import build_parser, check_files, short_errors


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
        '--show', action='store_true', help='show the predictions in a window'
    )
    parser.add_argument(
        '--show-dir',
        help='draw the predictions into <work dir>/<time>/SHOW_DIR',
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        metavar='SECONDS',
        help='how long --show shows each image (default: %(default)s)',
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='test every image together with its mirror image, or with the '
        "config's own tta_pipeline and tta_model",
    )
    # An optional positional may then also follow the options.
    args = parser.parse_intermixed_args(argv)
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        parser.error(f'--out: {args.out!r} does not end with .pkl or .pickle')
    check_files(parser, args, args.checkpoint)
    return args


def configure(args: argparse.Namespace) -> Any:
    """Turn the parsed command line into the config of a test run."""
    from mmxdistill.engine import run_config as run
    from mmxdistill.models.networks import names_weights

    cfg = run.load_config(
        args.config, args.cfg_options, args.work_dir, args.launcher
    )
    if args.checkpoint is None and not names_weights(cfg.model):
        raise run.ConfigError(
            f'{args.config}: give a checkpoint file; only a model whose '
            'streams or parts all have checkpoints is tested without'
        )
    cfg.load_from = args.checkpoint
    if args.show or args.show_dir is not None:
        run.draw_predictions(cfg, args.show, args.show_dir, args.wait_time)
    if args.tta:
        run.add_flipped_views(cfg)
    return cfg


def main(argv: list[str] | None = None) -> None:
    """Test."""
    args = parse_args(argv)
    from mmxdistill import compat
    from mmxdistill.engine import run_config as run
    from mmxdistill.engine.config_hints import config_hints

    with short_errors(), run.plain_errors(), config_hints():
        runner = run.build_runner(configure(args), 'test')
        if args.out is not None:
            from mmdet.evaluation import DumpDetResults

            runner.test_evaluator.metrics.append(
                DumpDetResults(out_file_path=args.out)
            )
        runner.test()
    compat.close_processes()


if __name__ == '__main__':
    main()
