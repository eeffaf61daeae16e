"""Optical flow of clips, as images or in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.clips import Clip, choose_frames, find_clips
from mmxdistill.converters.images import write_png
from mmxdistill.converters.runs import RunOptions, report, run_all
from mmxdistill.converters.settings import FolderSettings
from mmxdistill.converters.work_list import check_apart, take_shard
from mmxdistill.datasets.lists import write_list
from mmxdistill.encodings import (
    FLOW_CENTER,
    FLOW_SCALE,
    compute_flow,
    encode_flow_with_diagnostics,
    write_flow,
)
from mmxdistill.encodings.flow_image import check_constants

__all__ = [
    'FlowOptions',
    'FlowOutcome',
    'FlowWriter',
    'Part',
    'convert_flow',
    'list_of_shard',
    'print_odd',
    'split_parts',
]

# A video is decoded from its start for every part of it: seeking is exact
# only with some codecs. So parts are not small.
_SMALLEST_PART = 16
_PARTS_PER_JOB = 8
# Frames with a larger share of saturated pixels are reported as odd.
_ODD_SHARE = 0.1
_SHOWN = 10


@dataclass(frozen=True)
class FlowOptions:
    """How flow is computed and stored.

    Attributes:
        out: Output folder.
        method: One of ``FLOW_METHODS``.
        symmetric: Average with the flow of the mirrored frames.
        step: Frames from one to the other.
        scale: Levels per pixel of motion.
        center: Level of no motion.
        raw: ``flo`` or ``kitti`` for flow in pixels, None for flow images.
        frames_out: Folder for the frames that the flow belongs to.
    """

    out: Path
    method: str = 'dis'
    symmetric: bool = True
    step: int = 1
    scale: float = FLOW_SCALE
    center: int = FLOW_CENTER
    raw: str | None = None
    frames_out: Path | None = None

    @property
    def suffix(self) -> str:
        """Of the flow files."""
        return '.flo' if self.raw == 'flo' else '.png'

    def settings(self) -> dict[str, Any]:
        """What the flow files depend on."""
        keys = ('method', 'symmetric', 'step', 'raw', 'scale', 'center')
        return {key: getattr(self, key) for key in keys}

    def flow_file(self, clip: Clip, index: int) -> Path:
        """Place of the flow of a frame."""
        return self.out / (name_of(clip, index) + self.suffix)

    def frame_file(self, clip: Clip, index: int) -> Path | None:
        """Place of a frame, None if frames are not written."""
        if self.frames_out is None:
            return None
        suffix = '.png' if clip.video else clip.frames[index].suffix
        return self.frames_out / (name_of(clip, index) + suffix)


def name_of(clip: Clip, index: int) -> str:
    """Name of a frame in lists, and of its files without suffix."""
    return (clip.name / clip.stem(index)).as_posix()


@dataclass(frozen=True)
class Part:
    """A run of frames of a clip, for one process."""

    clip: Clip
    indices: list[int]

    def __str__(self) -> str:
        """Name of the clip."""
        return str(self.clip)


@dataclass
class FlowOutcome:
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

    def add(self, other: FlowOutcome) -> None:
        """Join the outcome of another part."""
        self.names += other.names
        self.written += other.written
        self.failures += other.failures
        self.saturated |= other.saturated
        self.still += other.still


@dataclass(frozen=True)
class FlowWriter:
    """Writes the flow of a part.

    Attributes:
        options: Where to and how.
        overwrite: Make again what is there.
    """

    options: FlowOptions
    overwrite: bool = False

    def __call__(self, part: Part) -> FlowOutcome:
        """Write what is not there yet; errors of frames are recorded."""
        clip, step, outcome = part.clip, self.options.step, FlowOutcome()
        todo = {
            index
            for index in part.indices
            if self.overwrite or not self._is_there(clip, index)
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
            name_of(clip, index)
            for index in part.indices
            if index not in failed
        ]
        return outcome

    def _is_there(self, clip: Clip, index: int) -> bool:
        frame = self.options.frame_file(clip, index)
        flow = self.options.flow_file(clip, index)
        return flow.exists() and (frame is None or frame.exists())

    def _write(
        self,
        clip: Clip,
        index: int,
        first: Any,
        second: Any,
        outcome: FlowOutcome,
    ) -> None:
        for frame in (first, second):
            if isinstance(frame, ValueError):
                raise frame
        options, name = self.options, name_of(clip, index)
        try:
            flow = compute_flow(
                first, second, options.method, symmetric=options.symmetric
            )
        except ValueError as error:
            label = clip.label(index + options.step)
            raise ValueError(
                f'{clip.label(index)} to {label}: {error}'
            ) from error
        image, found = encode_flow_with_diagnostics(
            flow, scale=options.scale, center=options.center
        )
        if options.raw:
            write_flow(options.flow_file(clip, index), flow)
        else:
            write_png(options.flow_file(clip, index), image)
            outcome.saturated[name] = found.num_saturated / found.num_pixels
        if found.largest * options.scale < 0.5:  # nothing but the centre
            outcome.still.append(name)
        place = options.frame_file(clip, index)
        if place is not None and clip.video:
            write_png(place, first)
        elif place is not None:
            with atomic_write(place) as file:
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


def print_odd(outcome: FlowOutcome, options: FlowOptions) -> None:
    """Print which frames are saturated or still."""
    if outcome.saturated:
        shares = outcome.saturated
        limit = check_constants(options.scale, options.center) / options.scale
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


def list_of_shard(out: Path, part: int, parts: int) -> Path:
    """The list of a shard, or of all."""
    name = 'pairs.txt' if parts == 1 else f'pairs_{part}of{parts}.txt'
    return out / name


def convert_flow(
    source: Path,
    root: Path | None,
    options: FlowOptions,
    run: RunOptions,
    most: int | None = None,
) -> int:
    """Write the flow of all frames of this shard, and the list of them.

    Args:
        source (Path): Folder of videos or frames, video, or list.
        root (Path, optional): To which the paths of a list are relative.
        options (FlowOptions): Where to and how.
        run (RunOptions): How much of it to do.
        most (int, optional): Frames of each clip. Defaults to all.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: There is no such source.
        ValueError: Two clips would go to the same place, or the output
            folder holds files that were made differently.
    """
    outputs = filter(None, (options.out, options.frames_out))
    check_apart(source, *outputs)
    settings = FolderSettings(
        options.out, options.settings(), [options.suffix]
    )
    settings.check(run)
    clips = find_clips(source, root)
    part, parts = run.shard
    # Few clips are shared out frame by frame.
    by_clip = len(clips) >= parts
    if by_clip:
        clips = take_shard(clips, run.shard)
    choose = partial(choose_frames, step=options.step, most=most)
    plans, failures = run_all(choose, clips, run.jobs, 'counting frames')
    if not by_clip:
        plans = [(c, take_shard(found, run.shard)) for c, found in plans]
    settings.begin(
        options.flow_file(c, i) for c, found in plans for i in found
    )
    outcome = write_parts(plans, options, run)
    outcome.failures[:0] = failures
    settings.end(
        options.out / (name + options.suffix) for name in outcome.names
    )
    write_list(list_of_shard(options.out, part, parts), outcome.names)
    print_odd(outcome, options)
    present = len(outcome.names) - outcome.written
    return report(options.out, outcome.written, present, outcome.failures)


def write_parts(
    plans: Iterable[tuple[Clip, list[int]]],
    options: FlowOptions,
    run: RunOptions,
) -> FlowOutcome:
    """Write the flow of some frames of clips, in parallel."""
    work = split_parts(list(plans), run.jobs)
    writer = FlowWriter(options, run.overwrite)
    done, broken = run_all(writer, work, run.jobs, 'flow')
    outcome = FlowOutcome()
    for _, found in done:
        outcome.add(found)
    outcome.failures += broken
    return outcome
