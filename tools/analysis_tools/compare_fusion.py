"""Compare late fusion with its streams and with fusions of finished boxes.

One pass over the test set of a late-fusion config: each stream alone, NMS of
all boxes, weighted boxes fusion (needs ensemble-boxes), probabilistic
ensembling, and late fusion, all with the config's test_evaluator.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train import build_parser, check_files, short_errors


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser(__doc__)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='of the fused detector; left out if the streams name their own',
    )
    parser.add_argument(
        '--out', type=Path, metavar='FILE.md', help='also write the table'
    )
    args = parser.parse_intermixed_args(argv)
    check_files(parser, args, args.checkpoint)
    return args


def main(argv: list[str] | None = None) -> None:
    """Compare and print."""
    args = parse_args(argv)
    from mmxdistill.atomic import atomic_write
    from mmxdistill.engine import run_config as run
    from mmxdistill.engine.config_hints import config_hints
    from mmxdistill.evaluation.fusion_report import (
        comparable_evaluator,
        compare_fusions,
        format_report,
    )

    with short_errors(), config_hints():
        cfg = run.load_config(
            args.config, args.cfg_options, args.work_dir, args.launcher
        )
        cfg.load_from = args.checkpoint
        cfg.test_evaluator = comparable_evaluator(cfg.test_evaluator)
        runner = run.build_runner(cfg, 'test')
        runner.load_or_resume()
        table = format_report(
            compare_fusions(
                runner.model,
                runner.test_dataloader,
                lambda: runner.build_evaluator(cfg.test_evaluator),
            )
        )
    print(table)
    if args.out is not None:
        with atomic_write(args.out) as file:
            file.write(f'{table}\n'.encode())


if __name__ == '__main__':
    main()
