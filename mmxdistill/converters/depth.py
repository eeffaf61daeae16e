"""Folders of depth maps as HHA or disparity images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmxdistill.converters.images import write_png
from mmxdistill.converters.runs import RunOptions, convert_items
from mmxdistill.converters.settings import FolderSettings
from mmxdistill.converters.work_list import Source, check_apart, find_files
from mmxdistill.datasets.transforms import FillDepth, LoadDepthFromFile
from mmxdistill.encodings import (
    HHADiagnostics,
    PinholeCamera,
    encode_disparity,
    encode_hha_with_diagnostics,
)

__all__ = ['DepthFormat', 'convert_depth', 'print_odd', 'read_depth']

SUFFIXES = ('.png', '.tif', '.tiff', '.pgm', '.npy')
# Estimates of gravity are wrong beyond this tilt, degrees.
_MAX_TILT = 45
# Real frames have an eigen-gap of 0.4 to 0.8; below 1e-5 gravity is not
# determined.
_MIN_GAP = 1e-3
_SHOWN = 10


@dataclass(frozen=True)
class DepthFormat:
    """How depth maps are stored, and what is done to them.

    Attributes:
        unit: Millimetres per stored unit.
        rotated_bits: They are in SUN RGB-D's encoding.
        fill: Fill holes with the nearest measurement.
    """

    unit: float = 1.0
    rotated_bits: bool = False
    fill: bool = False


def read_depth(
    path: Path, raw: Path | None, stored: DepthFormat
) -> tuple[np.ndarray, np.ndarray]:
    """Load a depth map and its mask, and fill its holes if asked for.

    Args:
        path (Path): PNG, TIFF, PGM or .npy file.
        raw (Path, optional): Raw depth, from which the mask is taken.
        stored (DepthFormat): How it is stored.

    Returns:
        tuple[np.ndarray, np.ndarray]: Depth in millimetres (H, W), of
        :class:`LoadDepthFromFile`, and where it was measured, bool (H, W).

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file is no depth map, holds no measurement, or has
            another size.
    """
    depth, measured = _read(path, stored)
    if raw:
        measured = _read(raw, stored)[1]
        if measured.shape != depth.shape:
            raise ValueError(
                f"raw depth '{raw}' has size {measured.shape[::-1]}, the "
                f'depth map {depth.shape[::-1]} (w, h)'
            )
    if stored.fill:
        depth = FillDepth()(dict(img=depth))['img']
    return depth, measured


def _read(path: Path, stored: DepthFormat) -> tuple[np.ndarray, np.ndarray]:
    loader = LoadDepthFromFile(
        unit=stored.unit, rotated_bits=stored.rotated_bits
    )
    sample: Any = loader(dict(img_path=str(path)))
    return sample['img'], sample['depth_mask']


@dataclass(frozen=True)
class DepthEncoder:
    """Encodes a file.

    Attributes:
        out: Output folder.
        encoding: ``hha`` or ``disparity``.
        camera: Of all images; needed for HHA.
        raw: Folder of raw depth.
        stored: How depth is stored.
    """

    out: Path
    encoding: str
    camera: PinholeCamera | None
    raw: Path | None
    stored: DepthFormat

    def __call__(self, source: Source) -> HHADiagnostics | None:
        """Write the encoded image; returns what is known about gravity."""
        raw = self.raw and self.raw / source.name
        depth, measured = read_depth(source.path, raw, self.stored)
        found = None
        if self.encoding == 'hha':
            assert self.camera is not None
            image, found = encode_hha_with_diagnostics(
                depth, self.camera, measured
            )
        else:
            image = encode_disparity(depth)
        write_png(self.output(source), image)
        return found

    def output(self, source: Source) -> Path:
        """Where the encoded image of a file is written."""
        return self.out / source.name.parent / f'{source.name.stem}.png'

    def settings(self) -> dict[str, Any]:
        """What the files depend on."""
        return dict(
            encoding=self.encoding,
            **asdict(self.stored),
            camera=self.camera and asdict(self.camera),
            raw=self.raw and str(self.raw),
        )

    def check_names(self, sources: Sequence[Source]) -> None:
        """Check that no file would be overwritten, and none is a result.

        Raises:
            ValueError: Two files have the same output, or one is in the
                output folder.
        """
        counts = Counter(map(self.output, sources))
        twice = [path for path, count in counts.items() if count > 1]
        if twice:
            raise ValueError(
                f'several files would become {twice[0]}: name them '
                'differently, or encode each kind to a folder of its own'
            )
        folder = self.out.resolve()
        for source in sources:
            if source.path.resolve().is_relative_to(folder):
                raise ValueError(
                    f'{source} is in the output folder {self.out}: write to '
                    'another folder'
                )


def convert_depth(
    source: Path, root: Path | None, encoder: DepthEncoder, run: RunOptions
) -> int:
    """Encode the depth maps of a folder, list or pattern.

    Args:
        source (Path): See :func:`find_files`.
        root (Path, optional): To which the paths of a list are relative.
        encoder (DepthEncoder): Says where to and how.
        run (RunOptions): How much of it to do.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        FileNotFoundError: There is no such source.
        ValueError: Its files would overwrite each other, or the output
            folder holds files that were made differently.
    """
    check_apart(source, encoder.out)
    sources = find_files(source, SUFFIXES, root)
    encoder.check_names(sources)
    settings = FolderSettings(encoder.out, encoder.settings(), ['.png'])
    settings.check(run)
    settings.begin(map(encoder.output, sources))
    converted = convert_items(
        encoder,
        sources,
        lambda item: encoder.output(item).exists(),
        run,
        encoder.out,
        'encoding',
    )
    settings.end(map(encoder.output, converted.complete))
    if encoder.encoding == 'hha':
        print_odd(converted.done)
    return converted.status


def print_odd(done: Sequence[tuple[Source, HHADiagnostics]]) -> None:
    """Print whose gravity is missing, uncertain or beyond the range."""
    kinds: dict[str, list[str]] = {}
    for source, found in done:
        gap = found.eigen_gap or 0.0
        if gap < _MIN_GAP:
            what = 'gravity not determined (too few normals, or one wall)'
            name = f'{source}: eigen-gap {gap:.1e}'
        elif found.tilt_degrees > _MAX_TILT:
            what = f'tilt beyond {_MAX_TILT} degrees, gravity is likely wrong'
            name = f'{source}: {found.tilt_degrees:.0f} degrees'
        else:
            continue
        kinds.setdefault(what, []).append(name)
    for what, names in kinds.items():
        print(f'{what}: {len(names)} of {len(done)} frames')
        for name in names[:_SHOWN]:
            print(f'  {name}')
        if len(names) > _SHOWN:
            print(f'  ... and {len(names) - _SHOWN} more')
