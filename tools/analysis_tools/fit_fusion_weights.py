"""Fit the weights of a late fusion to the validation set of its config.

Prints them as they are written in the config: one weight per stream, and one
per stream and class. AP at IoU 0.5 decides.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train import build_parser, check_files, short_errors

# isort: split
from mmxdistill.options import positive_int


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser(__doc__)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='of the fused detector; left out if the streams name their own',
    )
    parser.add_argument(
        '--steps',
        type=positive_int,
        default=10,
        help='weights are tried in steps of 1/STEPS (default: %(default)s)',
    )
    args = parser.parse_intermixed_args(argv)
    check_files(parser, args, args.checkpoint)
    return args


def main(argv: list[str] | None = None) -> None:
    """Fit and print."""
    args = parse_args(argv)
    from mmxdistill.engine import run_config as run
    from mmxdistill.engine.config_hints import config_hints
    from mmxdistill.evaluation.fusion_weights import (
        fit_fusion_weights,
        labelled_batches,
    )

    with short_errors(), config_hints():
        cfg = run.load_config(
            args.config, args.cfg_options, args.work_dir, args.launcher
        )
        cfg.load_from = args.checkpoint
        runner = run.build_runner(cfg, 'test')
        runner.load_or_resume()
        loader = runner.build_dataloader(cfg.val_dataloader)
        fit = fit_fusion_weights(
            runner.model, labelled_batches(loader), args.steps
        )
    print(fit)


if __name__ == '__main__':
    main()
