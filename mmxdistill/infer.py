r"""Detect objects in pairs of images, folders of them, or videos.

    python -m mmxdistill.infer CONFIG WEIGHTS rgb=a.jpg thermal=b.png

WEIGHTS may be left out for a late fusion whose streams name their own.
Writes OUT/preds/<name>.json and OUT/vis/<name>.jpg for each pair.
"""

import argparse
import re
from pathlib import Path

from mmxdistill import config_path
from mmxdistill.cli import run_command
from mmxdistill.options import positive_int

_INPUT = re.compile(r'(\w+)=(.*)', re.DOTALL)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m mmxdistill.infer',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s [options] CONFIG [WEIGHTS] MODALITY=PATH ...',
    )
    parser.add_argument('config', metavar='CONFIG', help='config file')
    parser.add_argument(
        'words',
        metavar='[WEIGHTS] MODALITY=PATH ...',
        nargs='+',
        help='checkpoint; and for each modality an image, a folder or a '
        'video, or nothing (MODALITY=) if it is missing',
    )
    parser.add_argument(
        '--out-dir',
        default='outputs',
        metavar='OUT',
        help='folder to write (default: %(default)s)',
    )
    parser.add_argument(
        '--html',
        metavar='PAGE',
        help='also write one page with all pairs; of a late fusion with the '
        'boxes of each stream as well, which takes longer',
    )
    parser.add_argument(
        '--batch-size',
        type=positive_int,
        default=1,
        metavar='N',
        help='pairs that the network sees at once (default: %(default)s)',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.3,
        metavar='T',
        help='lowest score of what is drawn (default: %(default)s)',
    )
    parser.add_argument(
        '--proposals',
        metavar='FILE|METHOD',
        help='for detectors that take them: a proposal file, or windows, '
        'selective_search or edge_boxes',
    )
    parser.add_argument(
        '--allow-missing',
        action='store_true',
        help='files that do not exist are missing modalities, which a late '
        'fusion does without',
    )
    parser.add_argument(
        '--device', metavar='D', help='such as cpu or cuda:1 (default: a GPU)'
    )
    args = parser.parse_intermixed_args(argv)
    args.weights, args.inputs = None, {}
    for word in args.words:
        given = _INPUT.fullmatch(word)
        if given is None:
            if args.weights is not None:
                parser.error(f'{word!r} is no MODALITY=PATH')
            args.weights = word
        elif given[1] in args.inputs:
            parser.error(f'{given[1]!r} is given twice')
        else:
            args.inputs[given[1]] = given[2] or None
    if not args.inputs:
        parser.error('give the images: MODALITY=PATH for each modality')
    if not Path(args.config).is_file():
        try:
            args.config = config_path(args.config.removeprefix('configs/'))
        except FileNotFoundError as error:
            parser.error(str(error))
    if args.weights and '://' not in args.weights:
        if not Path(args.weights).is_file():
            parser.error(f'no checkpoint {args.weights!r}')
    for name, path in args.inputs.items():
        if path and not (args.allow_missing or Path(path).exists()):
            parser.error(f'{name}={path}: there is no such file or folder')
    return args


def run(args: argparse.Namespace) -> None:
    """Detect."""
    from mmxdistill.apis import MultiModalInferencer

    inferencer = MultiModalInferencer(args.config, args.weights, args.device)
    found = inferencer(
        args.inputs,
        proposals=args.proposals,
        batch_size=args.batch_size,
        out_dir=args.out_dir,
        score_thr=args.score_thr,
        allow_missing=args.allow_missing,
        html=args.html,
    )
    number = sum(
        score >= args.score_thr for one in found for score in one['scores']
    )
    print(
        f'{len(found)} pairs, {number} objects of score {args.score_thr:g} '
        f'and more: {args.out_dir}' + (f', {args.html}' if args.html else '')
    )


if __name__ == '__main__':
    args = parse_args()
    run_command(lambda: run(args))
