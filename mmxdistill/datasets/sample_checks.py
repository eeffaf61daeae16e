"""What can be wrong with a sample of a data set."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import get

from mmxdistill.datasets.proposal_boxes import proposal_boxes
from mmxdistill.datasets.transforms import LoadDepthFromFile, LoadModalities
from mmxdistill.datasets.transforms.image_file import check_stock_loader

# Kinds of problems, in the order of the report.
KINDS = (
    'data set',
    'missing file',
    'unreadable file',
    'size mismatch',
    'unit of depth',
    'empty box',
    'box outside the image',
    'bad annotation',
    'missing proposals',
    'bad proposals',
    'same file in two splits',
    'same content in two splits',
)

# A box may stick out by a pixel: conventions differ by that much.
_TOLERANCE = 1.0
_FAR_PERCENTILE = 95

Problem = tuple[str, str]


@dataclass(frozen=True)
class Sample:
    """A sample to check.

    Attributes:
        name: Of its image, in messages.
        info: Sample as the pipeline starts from it.
        loader: Transform that loads its images.
        boxes: (g, 4) xyxy in pixels, as the annotation file has them.
        proposals: Entry of the proposal file; None if there is no file.
        has_proposals: Whether that file lists the image.
        depth_range: Metres between which the depth must lie.
    """

    name: str
    info: dict[str, Any]
    loader: Any
    boxes: np.ndarray
    proposals: Any = None
    has_proposals: bool = True
    depth_range: tuple[float, float] = (0.0, np.inf)

    def __str__(self) -> str:
        """How messages name it."""
        return self.name


@dataclass
class Finding:
    """What was found.

    Attributes:
        problems: Kind and message of each.
        digest: Of the content of the image file; None if it is missing.
    """

    problems: list[Problem] = field(default_factory=list)
    digest: str | None = None


def check_sample(sample: Sample) -> Finding:
    """Look for everything that is wrong with a sample.

    Args:
        sample (Sample): The sample.

    Returns:
        Finding: Problems, also those that stopped a part of the checks.
    """
    finding = Finding(digest=_digest(sample.info['img_path']))
    sizes: dict[str, tuple[int, int]] = {}
    registered = getattr(sample.loader, 'registered', {})
    for name, path, load in image_steps(sample):
        try:
            if isinstance(load, LoadImageFromFile):
                check_stock_loader(load, path)
            results = load({**sample.info, 'img_path': path})
            if results is None or results.get('img') is None:
                raise ValueError(f"'{path}' gave no image")
        except FileNotFoundError:
            if name not in getattr(sample.loader, 'stand_ins', ()):
                finding.problems.append(('missing file', path))
            continue
        except Exception as error:  # whatever: the walk goes on
            text = error.args[0] if isinstance(error, KeyError) else error
            text = f'{sample}, {name}: {type(error).__name__}: {text}'
            finding.problems.append(('unreadable file', text))
            continue
        if name not in registered:
            sizes[f"{name} '{path}'"] = results['img'].shape[1::-1]
        if isinstance(load, LoadDepthFromFile):
            finding.problems += check_depth(
                results['img'], path, sample.depth_range
            )
    finding.problems += check_sizes(sample, sizes)
    if registered and not finding.problems:
        try:
            sample.loader.check(sample.info)
        except ValueError as error:
            finding.problems.append(('size mismatch', f'{sample}: {error}'))
    size = _size(sample, sizes)
    for kind, text in check_boxes(sample.boxes, size):
        finding.problems.append((kind, f'{sample}: {text}'))
    finding.problems += check_proposals(sample, size)
    return finding


def _digest(path: str) -> str | None:
    try:
        return hashlib.sha256(get(path)).hexdigest()
    except Exception:  # of any file backend; the loader will tell
        return None


def image_steps(sample: Sample) -> Iterator[tuple[str, str, Any]]:
    """List the images of a sample.

    Args:
        sample (Sample): The sample.

    Yields:
        tuple[str, str, Any]: Modality ('image' of a sample without any), path
        and loader.
    """
    info, loader = sample.info, sample.loader
    if not isinstance(loader, LoadModalities):
        yield 'image', info['img_path'], loader
        return
    paths = loader.paths(info)
    wanted = info.get('modalities', tuple(loader.pipelines))
    for name, pipeline in loader.pipelines.items():
        if name in wanted and name in paths:
            yield name, paths[name], pipeline.transforms[0]


def _size(
    sample: Sample, sizes: Mapping[str, tuple[int, int]]
) -> tuple[int, int] | None:
    info = sample.info
    if info.get('width') and info.get('height'):
        return info['width'], info['height']
    return next(iter(sizes.values()), None)


def check_sizes(
    sample: Sample, sizes: Mapping[str, tuple[int, int]]
) -> list[Problem]:
    """Compare the sizes of the images, and what the annotations say.

    Args:
        sample (Sample): The sample.
        sizes (Mapping): Image -> width, height in pixels.

    Returns:
        list[Problem]: One, or none.
    """
    found = dict(sizes)
    info = sample.info
    if info.get('width') and info.get('height'):
        found['its record'] = (info['width'], info['height'])
    if len(set(found.values())) < 2:
        return []
    text = ', '.join(f'{name} {w}x{h}' for name, (w, h) in found.items())
    if len(set(sizes.values())) > 1:
        text += '; of one view: put mmxdistill.ResizeToReference there'
    return [('size mismatch', f'{sample}: {text}')]


def check_depth(
    depth: np.ndarray, path: str, depth_range: tuple[float, float]
) -> list[Problem]:
    """Judge by the distances whether the unit is right.

    Args:
        depth (np.ndarray): (H, W) millimetres, 0 = missing.
        path (str): The file.
        depth_range (tuple[float, float]): Metres: half of the image is
            farther than the first, nearly all nearer than the second.

    Returns:
        list[Problem]: One, or none.
    """
    metres = depth[depth > 0] / 1000
    if not metres.size:
        return []
    middle = float(np.median(metres))
    far = float(np.percentile(metres, _FAR_PERCENTILE))
    low, high = depth_range
    if low <= middle and far <= high:
        return []
    text = (
        f"'{path}': median {middle:.4g} m, {_FAR_PERCENTILE} % within "
        f'{far:.4g} m, expected {low:g} to {high:g} m'
    )
    if middle < low:
        text += ' (are the values metres, or is unit too small?)'
    else:
        text += (
            ' (is unit too large, or rotated_bits of SUN RGB-D set wrongly?)'
        )
    return [('unit of depth', text)]


def check_boxes(
    boxes: np.ndarray, size: Sequence[int] | None
) -> list[Problem]:
    """Find boxes that are empty or outside of their image.

    Args:
        boxes (np.ndarray): (n, 4) xyxy in pixels.
        size (Sequence[int], optional): Width and height; None if unknown.

    Returns:
        list[Problem]: At most one of each kind.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    x1, y1, x2, y2 = boxes.T
    # mmdet drops boxes below a pixel without a word.
    with np.errstate(invalid='ignore'):
        empty = ~((x2 - x1 >= 1) & (y2 - y1 >= 1))
        empty |= ~np.isfinite(boxes).all(axis=1)
    problems = []
    if empty.any():
        problems.append(('empty box', _some(boxes[empty])))
    if size is not None:
        width, height = size
        outside = ~empty & (
            (boxes[:, :2] < -_TOLERANCE).any(axis=1)
            | (x2 > width + _TOLERANCE)
            | (y2 > height + _TOLERANCE)
        )
        if outside.any():
            text = f'{_some(boxes[outside])} in {width}x{height}'
            problems.append(('box outside the image', text))
    return problems


def _some(boxes: np.ndarray) -> str:
    first = ', '.join(f'{value:g}' for value in boxes[0])
    others = f' and {len(boxes) - 1} more' if len(boxes) > 1 else ''
    return f'(x1, y1, x2, y2) = ({first}){others}'


def check_proposals(
    sample: Sample, size: Sequence[int] | None
) -> list[Problem]:
    """Check that there are proposals, and that they are boxes of the image.

    Args:
        sample (Sample): The sample.
        size (Sequence[int], optional): Width and height; None if unknown.

    Returns:
        list[Problem]: At most one.
    """
    if not sample.has_proposals:
        return [('missing proposals', str(sample))]
    if sample.proposals is None:
        return []
    try:
        boxes = proposal_boxes(sample.proposals).bboxes
        if not len(boxes):
            raise ValueError('no box at all')
    except ValueError as error:
        return [('bad proposals', f'{sample}: {error}')]
    # Proposals may be as small as they like.
    wrong = ~np.isfinite(boxes).all(axis=1) | (
        boxes[:, 2:] < boxes[:, :2]
    ).any(axis=1)
    if wrong.any():
        return [('bad proposals', f'{sample}: {_some(boxes[wrong])}')]
    if size is not None:
        limit = np.tile(np.asarray(size, np.float64), 2) + _TOLERANCE
        wrong = (boxes < -_TOLERANCE).any(axis=1) | (boxes > limit).any(axis=1)
        if wrong.any():
            text = f'{_some(boxes[wrong])} in {size[0]}x{size[1]}'
            return [('bad proposals', f'{sample}: {text}')]
    return []
