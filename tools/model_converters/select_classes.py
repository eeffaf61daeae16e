"""Keep some of the classes that a detector knows, and their weights.

    python tools/model_converters/select_classes.py \
        mmdet::yolox/yolox_nano_8xb8-300e_coco.py yolox_nano.pth people.pth \
        --classes person

The file that is written fits the detector's config with ``num_classes`` set
to their number, and names them.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmxdistill.cli import run_command


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='of the detector')
    parser.add_argument('checkpoint', help='of the detector')
    parser.add_argument('out', type=Path, help='file to write')
    parser.add_argument(
        '--classes',
        nargs='+',
        required=True,
        metavar='NAME[=KNOWN]',
        help='classes to keep, in this order; bike=bicycle renames one',
    )
    args = parser.parse_args(argv)
    pairs = [name.partition('=')[::2] for name in args.classes]
    args.classes = {name: known or name for name, known in pairs}
    if len(args.classes) < len(pairs):
        parser.error('--classes names a class twice')
    return args


def run(args: argparse.Namespace) -> None:
    """Write the checkpoint."""
    import torch

    from mmxdistill.atomic import atomic_write
    from mmxdistill.models.detectors.class_subset import build_detector

    network = build_detector(args.config, args.checkpoint, args.classes, None)
    content = dict(
        state_dict=network.state_dict(),
        meta=dict(dataset_meta=dict(classes=tuple(args.classes))),
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.out) as file:
        torch.save(content, file)
    print(f'{args.out}: {", ".join(args.classes)}')


def main(argv: list[str] | None = None) -> None:
    """Select, or say what is wrong."""
    args = parse_args(argv)
    run_command(lambda: run(args))


if __name__ == '__main__':
    main()
