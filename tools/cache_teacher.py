r"""Compute the teachers' features of a transfer before it is trained.

    python tools/cache_teacher.py CONFIG --cfg-options \
        model.teacher_cache.path=work_dirs/teacher_features

fills the folder that the training with the same --cfg-options then uses. It
may be interrupted and goes on. Several processes or GPUs share the work:
torchrun --nproc_per_node N tools/cache_teacher.py CONFIG --launcher pytorch.
Without it, the first epoch of the training fills the folder.
"""

import argparse

from train import build_parser, check_files, short_errors

from mmxdistill.cli import run_command


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = build_parser("Compute the teachers' features of a transfer")
    args = parser.parse_args(argv)
    check_files(parser, args, None)
    return args


def run(args: argparse.Namespace) -> int:
    """Fill the folder; returns 1 if something did not fit."""
    from mmengine.dist import is_main_process

    from mmxdistill import compat
    from mmxdistill.engine import run_config
    from mmxdistill.engine.config_hints import config_hints
    from mmxdistill.engine.fill_cache import fill_cache

    with short_errors(), config_hints():
        cfg = run_config.load_config(
            args.config, args.cfg_options, args.work_dir, args.launcher
        )
        runner = run_config.build_runner(cfg, 'train')
    filled = fill_cache(runner)
    if is_main_process():
        print(
            f'{filled.images:,} images, {len(filled.ways)} of each '
            f'({"; ".join(filled.ways)}): {filled.added:,} computed, '
            f'{filled.size / 1e6:,.1f} MB'
        )
        if filled.hint is not None:
            print(filled.hint)
    compat.close_processes()
    return int(not filled.complete)


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
