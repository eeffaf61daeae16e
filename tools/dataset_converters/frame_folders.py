"""Data sets whose videos are folders of frames: links and flow."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import encode_flow

from mmxdistill.converters.clips import Clip
from mmxdistill.converters.images import read_image
from mmxdistill.converters.work_list import (
    add_arguments,
    check_settings,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.encodings import FLOW_METHODS, compute_flow
from mmxdistill.encodings import encode_flow as encode

FLOW = 'flow'


def build_parser(description: str, source: str) -> argparse.ArgumentParser:
    """Build a parser with the arguments of all converters of such data.

    Args:
        description (str): What the converter does.
        source (str): What SOURCE is.

    Returns:
        argparse.ArgumentParser: The parser.
    """
    parser = argparse.ArgumentParser(description=description)
    add_arguments(parser, source, lists=False)
    parser.add_argument(
        '--method',
        choices=FLOW_METHODS,
        default='dis',
        help='how the flow is computed (default: %(default)s)',
    )
    return parser


def link(place: Path, target: Path) -> None:
    """Link to a frame or a folder of frames, which are used as they are.

    Raises:
        ValueError: Something else is there.
    """
    target = target.resolve()
    if place.is_symlink() and place.resolve() == target:
        return
    if place.is_symlink() or place.exists():
        raise ValueError(
            f"'{place}' is there and no link to '{target}': write to another "
            'folder'
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target)


def flow_file(out: Path, clip: Clip, index: int) -> Path:
    """Place of the flow of a frame."""
    return out / FLOW / clip.name / f'{clip.stem(index)}.png'


class LastFrames:
    """Writes the flow of the last frame of a clip, which has no next one.

    It is the reverse of the flow back to the frame before, which belongs to
    the pixels of the last frame.

    Args:
        out (Path): Output folder.
        options (argparse.Namespace): Of ``encode_flow.py``.
    """

    def __init__(self, out: Path, options: argparse.Namespace) -> None:
        self.out = out
        self.options = options

    def __call__(self, clip: Clip) -> None:
        """Write it."""
        last = len(clip.frames) - 1
        before, frame = (
            read_image(clip.frames[index]) for index in (last - 1, last)
        )
        options = self.options
        flow = -compute_flow(
            frame, before, options.method, symmetric=options.symmetric
        )
        image = encode(flow, scale=options.scale, center=options.center)
        write_png(flow_file(self.out, clip, last), image)


def write_flow(
    clips: Sequence[Clip], args: argparse.Namespace
) -> tuple[int, list[Clip]]:
    """Write the flow of all frames to ``OUT/flow``.

    Args:
        clips (Sequence[Clip]): Folders of frames.
        args (argparse.Namespace): Of a parser of :func:`build_parser`.

    Returns:
        tuple: Exit status, and the clips whose flow is not complete.
    """
    out = args.out / FLOW
    options = encode_flow.parse_args(['.', str(out), '--method', args.method])
    options.overwrite = args.overwrite
    keys = ('method', 'symmetric', 'scale', 'center')
    settings = {key: getattr(options, key) for key in keys}
    check_settings(out, dict(settings, frames='all'), args.overwrite)
    mine = take_shard(clips, args.shard)
    outcome = encode_flow.Outcome()
    long = []
    for clip in mine:
        if len(clip.frames) > 1:
            long.append(clip)
        else:
            outcome.failures.append(f'{clip} has one frame: no flow')
    plans = [(clip, list(range(len(clip.frames) - 1))) for clip in long]
    parts = encode_flow.split_parts(plans, args.jobs)
    done, broken = run_all(
        encode_flow.Encoder(options), parts, args.jobs, 'flow'
    )
    for _, found in done:
        outcome.add(found)
    outcome.failures += broken
    ends = [
        clip
        for clip in long
        if args.overwrite
        or not flow_file(args.out, clip, len(clip.frames) - 1).is_file()
    ]
    work = LastFrames(args.out, options)
    last, broken = run_all(work, ends, args.jobs, 'flow of last frames')
    outcome.failures += broken
    encode_flow.print_odd(outcome, options)
    present = len(outcome.names) - outcome.written + len(long) - len(ends)
    status = report(
        out, outcome.written + len(last), present, outcome.failures
    )
    # Of the clips of this run, files may be those of an earlier one.
    written = set(outcome.names)
    failed = {clip.name for clip in ends} - {clip.name for clip, _ in last}
    failed |= {
        clip.name
        for clip, indices in plans
        if not written >= {f'{clip.name}/{clip.stem(i)}' for i in indices}
    }
    incomplete = [
        clip
        for clip in clips
        if clip.name in failed
        or not all(
            flow_file(args.out, clip, index).is_file()
            for index in range(len(clip.frames))
        )
    ]
    return status, incomplete
