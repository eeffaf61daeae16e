"""Data sets whose videos are folders of frames: links and flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmxdistill.converters.clips import Clip
from mmxdistill.converters.flow import FlowOptions, print_odd, write_parts
from mmxdistill.converters.images import read_image, write_png
from mmxdistill.converters.runs import RunOptions, report, run_all
from mmxdistill.converters.settings import FolderSettings
from mmxdistill.converters.work_list import take_shard
from mmxdistill.encodings import compute_flow, encode_flow

__all__ = ['link', 'write_all_flow']

FLOW = 'flow'


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


@dataclass(frozen=True)
class LastFrames:
    """Writes the flow of the last frame of a clip, which has no next one.

    It is the reverse of the flow back to the frame before, which belongs to
    the pixels of the last frame.

    Attributes:
        options: Where to and how.
    """

    options: FlowOptions

    def place(self, clip: Clip) -> Path:
        """The file."""
        return self.options.flow_file(clip, len(clip.frames) - 1)

    def __call__(self, clip: Clip) -> None:
        """Write it."""
        before, frame = map(read_image, clip.frames[-2:])
        options = self.options
        flow = -compute_flow(
            frame, before, options.method, symmetric=options.symmetric
        )
        image = encode_flow(flow, scale=options.scale, center=options.center)
        write_png(self.place(clip), image)


def write_all_flow(
    clips: Sequence[Clip], out: Path, method: str, run: RunOptions
) -> tuple[int, list[Clip]]:
    """Write the flow of all frames to ``OUT/flow``.

    Args:
        clips (Sequence[Clip]): Folders of frames.
        out (Path): OUT.
        method (str): How the flow is computed.
        run (RunOptions): How much of it to do.

    Returns:
        tuple: Exit status, and the clips whose flow is not complete.

    Raises:
        ValueError: The folder holds files that were made differently.
    """
    options = FlowOptions(out / FLOW, method)
    keys = ('method', 'symmetric', 'scale', 'center')
    content = {key: options.settings()[key] for key in keys}
    settings = FolderSettings(
        options.out, dict(content, frames='all'), [options.suffix]
    )
    settings.check(run)
    settings.begin(_files(clips, options))
    mine = take_shard(clips, run.shard)
    failures = [
        f'{clip} has one frame: no flow'
        for clip in mine
        if len(clip.frames) == 1
    ]
    long = [clip for clip in mine if len(clip.frames) > 1]
    plans = [(clip, list(range(len(clip.frames) - 1))) for clip in long]
    outcome = write_parts(plans, options, run)
    work = LastFrames(options)
    ends = [c for c in long if run.overwrite or not work.place(c).is_file()]
    last, broken = run_all(work, ends, run.jobs, 'flow of last frames')
    outcome.failures[:0] = failures
    outcome.failures += broken
    print_odd(outcome, options)
    present = len(outcome.names) - outcome.written + len(long) - len(ends)
    status = report(
        out, outcome.written + len(last), present, outcome.failures
    )
    # Of the clips of this run, files may be those of an earlier one.
    written = {options.out / f'{name}.png' for name in outcome.names}
    failed_ends = set(ends) - {clip for clip, _ in last}
    written |= {work.place(c) for c in long if c not in failed_ends}
    settings.end(written)
    ours = set(mine)
    incomplete = [
        clip
        for clip in clips
        if not all(
            path.is_file() and (clip not in ours or path in written)
            for path in _files([clip], options)
        )
    ]
    return status, incomplete


def _files(clips: Sequence[Clip], options: FlowOptions) -> list[Path]:
    return [
        options.flow_file(clip, index)
        for clip in clips
        for index in range(len(clip.frames))
    ]
