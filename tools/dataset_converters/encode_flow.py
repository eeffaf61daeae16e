r"""Make flow images of videos or frame folders, and the frames they belong to.

    python tools/dataset_converters/encode_flow.py trainlist01.txt flow \
        --root UCF-101 --frames-out frames --max-frames-per-video 5 \
        --jobs 8 --shard 1/4

The flow from a frame to the one ``--step`` later goes to
``OUT/<video or folder>/<frame>.png``, and ``OUT/pairs.txt`` lists what is
there as a data set takes it. Each part of a sharded run has a list of its
own. A run that was stopped goes on where it was.
"""

import argparse
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.clips import Clip, choose_frames, find_clips
from mmxdistill.converters.work_list import (
    add_arguments,
    check_apart,
    check_settings,
    report,
    run_all,
    take_shard,
    write_png,
)
from mmxdistill.encodings import (
    FLOW_CENTER,
    FLOW_METHODS,
    FLOW_SCALE,
    compute_flow,
    encode_flow_with_diagnostics,
    write_flow,
)
from mmxdistill.encodings.flow_image import check_constants

# A video is decoded from its start for every part of it: seeking is exact
# only with some codecs. So parts are not small.
_SMALLEST_PART = 16
_PARTS_PER_JOB = 8
# Frames with a larger share of saturated pixels are reported as odd.
_ODD_SHARE = 0.1
_SHOWN = 10


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(
        parser,
        'folder of videos or of frames (with sub-folders), a video, or a '
        '.txt list of videos, frame folders or frames',
    )
    parser.add_argument('--method', choices=FLOW_METHODS, default='dis')
    parser.add_argument(
        '--symmetric',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='average with the flow of the mirrored frames, which makes the '
        'flow exactly flippable and takes twice the time (default: yes)',
    )
    parser.add_argument(
        '--step', type=int, default=1, help='from a frame to the next one'
    )
    parser.add_argument(
        '--max-frames-per-video',
        type=int,
        metavar='K',
        help='flow of K evenly spaced frames of each video or folder '
        '(default: of all)',
    )
    parser.add_argument(
        '--scale',
        type=float,
        default=FLOW_SCALE,
        help='levels per pixel of motion (default: %(default)g)',
    )
    parser.add_argument(
        '--center',
        type=int,
        default=FLOW_CENTER,
        help='level of no motion (default: %(default)s)',
    )
    parser.add_argument(
        '--raw',
        choices=['flo', 'kitti'],
        help='write flow in pixels instead of flow images',
    )
    parser.add_argument(
        '--frames-out',
        type=Path,
        metavar='FOLDER',
        help='write the frames the flow belongs to, under the same names',
    )
    args = parser.parse_args(argv)
    for name in ('step', 'max_frames_per_video'):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1')
    try:
        check_constants(args.scale, args.center)
    except ValueError as error:
        parser.error(str(error))
    return args


@dataclass(frozen=True)
class Part:
    """A run of frames of a clip, for one process."""

    clip: Clip
    indices: list[int]

    def __str__(self) -> str:
        """Name of the clip."""
        return str(self.clip)


@dataclass
class Outcome:
    """What became of a part, or of all.

    Attributes:
        names: ``<clip>/<frame>`` of the flow that is there now.
        written: How many of them were made now.
        failures: One message per frame that failed.
        saturated: Name -> share of saturated pixels.
        still: Names of flow without any motion of half a level.
    """

    names: list[str] = field(default_factory=list)
    written: int = 0
    failures: list[str] = field(default_factory=list)
    saturated: dict[str, float] = field(default_factory=dict)
    still: list[str] = field(default_factory=list)

    def add(self, other: 'Outcome') -> None:
        """Join the outcome of another part."""
        self.names += other.names
        self.written += other.written
        self.failures += other.failures
        self.saturated |= other.saturated
        self.still += other.still


class Encoder:
    """Writes the flow of a part.

    Args:
        args (argparse.Namespace): The command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.suffix = '.flo' if args.raw == 'flo' else '.png'

    def __call__(self, part: Part) -> Outcome:
        """Write what is not there yet; errors of frames are recorded."""
        clip, step, outcome = part.clip, self.args.step, Outcome()
        todo = {
            index
            for index in part.indices
            if self.args.overwrite or not self._is_there(clip, index)
        }
        failed = set()
        frames: dict[int, Any] = {}
        wanted = sorted(todo | {index + step for index in todo})
        for index, frame in clip.read(wanted) if wanted else ():
            frames[index] = frame
            first = index - step
            if first in todo:
                try:
                    self._write(clip, first, frames[first], frame, outcome)
                except (ValueError, OSError, cv2.error) as error:
                    failed.add(first)
                    outcome.failures.append(str(error))
            # Only later frames are the first of a pair to come.
            frames = {k: v for k, v in frames.items() if k > first}
        outcome.written = len(todo) - len(failed)
        outcome.names = [
            self._name(clip, index)
            for index in part.indices
            if index not in failed
        ]
        return outcome

    @staticmethod
    def _name(clip: Clip, index: int) -> str:
        return (clip.name / clip.stem(index)).as_posix()

    def _flow_file(self, clip: Clip, index: int) -> Path:
        return self.args.out / (self._name(clip, index) + self.suffix)

    def _frame_file(self, clip: Clip, index: int) -> Path:
        suffix = '.png' if clip.video else clip.frames[index].suffix
        return self.args.frames_out / (self._name(clip, index) + suffix)

    def _is_there(self, clip: Clip, index: int) -> bool:
        wanted = [self._flow_file(clip, index)]
        if self.args.frames_out:
            wanted.append(self._frame_file(clip, index))
        return all(path.exists() for path in wanted)

    def _write(
        self, clip: Clip, index: int, first: Any, second: Any, outcome: Outcome
    ) -> None:
        for frame in (first, second):
            if isinstance(frame, ValueError):
                raise frame
        args, name = self.args, self._name(clip, index)
        try:
            flow = compute_flow(
                first, second, args.method, symmetric=args.symmetric
            )
        except ValueError as error:
            label = clip.label(index + args.step)
            raise ValueError(
                f'{clip.label(index)} to {label}: {error}'
            ) from error
        image, found = encode_flow_with_diagnostics(
            flow, scale=args.scale, center=args.center
        )
        if args.raw:
            write_flow(self._flow_file(clip, index), flow)
        else:
            write_png(self._flow_file(clip, index), image)
            outcome.saturated[name] = found.num_saturated / found.num_pixels
        if found.largest * args.scale < 0.5:  # nothing but the centre
            outcome.still.append(name)
        if args.frames_out and clip.video:
            write_png(self._frame_file(clip, index), first)
        elif args.frames_out:
            with atomic_write(self._frame_file(clip, index)) as file:
                file.write(clip.frames[index].read_bytes())


def split_parts(plans: list[tuple[Clip, list[int]]], jobs: int) -> list[Part]:
    """Split the work into parts that keep all processes busy."""
    total = sum(len(indices) for _, indices in plans)
    size = max(_SMALLEST_PART, -(-total // (_PARTS_PER_JOB * jobs)))
    return [
        Part(clip, indices[start : start + size])
        for clip, indices in plans
        for start in range(0, len(indices), size)
    ]


def print_odd(outcome: Outcome, args: argparse.Namespace) -> None:
    """Print which frames are saturated or still."""
    if outcome.saturated:
        shares = outcome.saturated
        limit = check_constants(args.scale, args.center) / args.scale
        odd = sorted(
            (name for name in shares if shares[name] > _ODD_SHARE),
            key=lambda name: -shares[name],
        )
        print(
            f'saturated (motion beyond {limit:.1f} pixels): '
            f'{np.mean(list(shares.values())):.1%} of all pixels, more than '
            f'{_ODD_SHARE:.0%} in {len(odd)} of {len(shares)} frames'
            + (', first the worst; consider a smaller --scale' if odd else '')
        )
        for name in odd[:_SHOWN]:
            print(f'  {name}: {shares[name]:.0%}')
    if outcome.still:
        shown = ', '.join(outcome.still[:_SHOWN])
        print(f'no motion at all in {len(outcome.still)} frames: {shown}')


def main(argv: list[str] | None = None) -> int:
    """Write the flow of all frames of this shard.

    Args:
        argv (list[str], optional): Command line. Defaults to that of the
            process.

    Returns:
        int: Exit status: 1 if anything failed, else 0.
    """
    args = parse_args(argv)
    outputs = [args.out] + ([args.frames_out] if args.frames_out else [])
    check_apart(args.source, *outputs)
    clips = find_clips(args.source, args.root)
    part, parts = args.shard
    # Few clips are shared out frame by frame.
    by_clip = len(clips) >= parts
    if by_clip:
        clips = take_shard(clips, args.shard)
    keys = ('method', 'symmetric', 'step', 'raw', 'scale', 'center')
    settings = {key: getattr(args, key) for key in keys}
    check_settings(args.out, settings, args.overwrite)
    choose = partial(
        choose_frames, step=args.step, most=args.max_frames_per_video
    )
    plans, failures = run_all(choose, clips, args.jobs, 'counting frames')
    if not by_clip:
        plans = [(c, take_shard(found, args.shard)) for c, found in plans]
    outcome = Outcome(failures=failures)
    work = split_parts(plans, args.jobs)
    done, broken = run_all(Encoder(args), work, args.jobs, 'flow')
    for _, found in done:
        outcome.add(found)
    outcome.failures += broken
    name = 'pairs.txt' if parts == 1 else f'pairs_{part}of{parts}.txt'
    with atomic_write(args.out / name) as file:
        file.writelines(f'{line}\n'.encode() for line in outcome.names)
    print_odd(outcome, args)
    present = len(outcome.names) - outcome.written
    return report(args.out, outcome.written, present, outcome.failures)


if __name__ == '__main__':
    sys.exit(main())
