"""Convert JHMDB: flow images and COCO annotations of its three splits."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command
from mmxdistill.converters.arguments import add_arguments, add_flow_method
from mmxdistill.converters.terms import TERMS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the flow images of JHMDB and COCO annotations of '
        'its splits. Interrupted, the same command goes on.',
        epilog=TERMS['jhmdb'],
    )
    add_arguments(
        parser,
        'folder with Rename_Images (or Frames), splits and puppet_mask (or '
        'JHMDB-GT.pkl)',
        lists=False,
    )
    add_flow_method(parser)
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> int:
    """Convert; returns the exit status."""
    from mmxdistill.converters.jhmdb_dataset import convert_jhmdb
    from mmxdistill.converters.runs import RunOptions

    return convert_jhmdb(
        args.source, args.out, args.method, RunOptions.of(args)
    )


def main(argv: list[str] | None = None) -> None:
    """Convert, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args), resumes=True)


if __name__ == '__main__':
    main()
