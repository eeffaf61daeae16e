"""Contact sheets: samples of a data set as the network gets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mmdet.structures.bbox import HorizontalBoxes, get_box_tensor
from mmengine.dataset import BaseDataset
from mmengine.runner import set_random_seed
from mmengine.utils import track_iter_progress

from mmxdistill.datasets.configured import split_modalities
from mmxdistill.datasets.proposal_file import image_names
from mmxdistill.parallel import describe_error
from mmxdistill.visualization.detections import draw_boxes
from mmxdistill.visualization.images import draw_image, to_levels

__all__ = ['Sample', 'draw_contact_sheets', 'load_sample', 'load_samples']

OBJECT: dict[str, Any] = dict(color='lime', linewidth=1.6)
IGNORED: dict[str, Any] = dict(color='lightgrey', linewidth=1.6)
PROPOSAL: dict[str, Any] = dict(color='orange', linewidth=0.9, linestyle='--')
_COLUMNS = 4
_ROWS = 4


@dataclass
class Sample:
    """What the pipeline made of a sample.

    Attributes:
        name: Of its image file.
        images: Modality -> (H, W, C).
        boxes: (g, 4) in pixels of these images.
        texts: Class of each.
        ignored: (g,) bool, boxes that are not trained on.
        proposals: (n, 4), best first.
        paths: Modality -> its file.
        img_id: As the data set has it.
        homography: (3, 3), from pixels of the original image to those of
            these images; None if they are the same.
    """

    name: str
    images: dict[str, np.ndarray]
    boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    texts: Sequence[str] = ()
    ignored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    proposals: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    paths: Mapping[str, str] = field(default_factory=dict)
    img_id: Any = None
    homography: np.ndarray | None = None


def load_sample(dataset: BaseDataset, index: int) -> Sample:
    """Run the pipeline on a sample, up to where it is packed.

    Args:
        dataset (BaseDataset): The data set.
        index (int): Index of the sample.

    Returns:
        Sample: The sample.

    Raises:
        ValueError: The pipeline drops the sample.
    """
    set_random_seed(index)
    results = dataset.get_data_info(index)
    name = Path(results['img_path']).name
    paths = results.get('modality_paths') or {'image': results['img_path']}
    # Without a proposal file, the pipeline still wants to load some.
    none = dict(bboxes=np.zeros((0, 4)), scores=np.zeros(0))
    results.setdefault('proposals', none)
    moved_before = None
    for transform in dataset.pipeline.transforms:
        if type(transform).__name__.startswith('Pack'):
            break
        had_boxes = 'gt_bboxes' in results
        results = transform(results)
        if results is None:
            raise ValueError(f'{type(transform).__name__} drops it')
        if 'gt_bboxes' in results and not had_boxes:
            # A test pipeline loads the boxes last: those of the original
            # image, in which detections are evaluated.
            moved_before = results.get('homography_matrix')
    images = split_modalities(results)
    sample = Sample(
        name,
        images,
        paths={n: str(paths[n]) for n in images if n in paths},
        img_id=results.get('img_id'),
        homography=results.get('homography_matrix'),
    )
    if not isinstance(results['proposals'], dict):
        sample.proposals = np.asarray(results['proposals'])
    if 'gt_bboxes' in results:
        boxes = HorizontalBoxes(get_box_tensor(results['gt_bboxes']).clone())
        if moved_before is not None:
            boxes.project_(moved_before)
        sample.boxes = boxes.numpy()
        labels = results['gt_bboxes_labels']
        sample.texts = [dataset.metainfo['classes'][i] for i in labels]
        sample.ignored = np.asarray(
            results.get('gt_ignore_flags', np.zeros(len(labels))), bool
        )
    return sample


def _titles(dataset: BaseDataset, indices: Sequence[int]) -> dict[int, str]:
    """Names of image files, with folders if files of one name are shown."""
    infos = [dataset.get_data_info(index) for index in indices]
    paths = [str(info.get('img_path', '')) for info in infos]
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(set(paths)):
        names = image_names(paths)
    return dict(zip(indices, names, strict=True))


def load_samples(
    dataset: BaseDataset, num: int
) -> Iterator[tuple[int, Sample | str]]:
    """Load evenly spaced samples of a data set, with a progress bar.

    Args:
        dataset (BaseDataset): The data set.
        num (int): Number of samples.

    Yields:
        tuple[int, Sample | str]: Index and sample, or why it cannot be
        loaded.

    Raises:
        ValueError: The data set is empty.
    """
    if not len(dataset):
        raise ValueError('the data set is empty')
    num = min(num, len(dataset))
    indices = np.linspace(0, len(dataset) - 1, num).round().astype(int)
    names = _titles(dataset, indices.tolist())
    for index in track_iter_progress(indices.tolist()):
        try:
            sample = load_sample(dataset, index)
            sample.name = names[index]
            yield index, sample
        except (KeyError, OSError, TypeError, ValueError) as error:
            yield index, describe_error(error)
    print()  # ends the line of the progress


def _draw_tile(
    axes: Axes, sample: Sample, modality: str, num_proposals: int
) -> None:
    """Draw one modality of a sample with its boxes."""
    image = sample.images[modality]
    height, width = image.shape[:2]
    title = f'{sample.name}  {modality}  {width}x{height}'
    draw_image(axes, to_levels(image), title)
    axes.title.set(fontsize=8, fontweight='normal')
    draw_boxes(axes, sample.proposals[:num_proposals], **PROPOSAL)
    draw_boxes(axes, sample.boxes[~sample.ignored], **OBJECT)
    draw_boxes(axes, sample.boxes[sample.ignored], **IGNORED)
    for (x, y, _, _), text in zip(sample.boxes, sample.texts, strict=True):
        # Above the box if there is room, so that small objects can be seen.
        side = 'bottom' if y > 0.05 * height else 'top'
        box = dict(facecolor=OBJECT['color'], alpha=0.7, linewidth=0, pad=0.5)
        axes.text(x, y, text, fontsize=6, va=side, clip_on=True, bbox=box)
    # Boxes that leave the image would move it.
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))


def _draw_page(
    samples: Sequence[Sample], title: str, num_proposals: int, path: Path
) -> None:
    """Draw samples, all modalities of one side by side."""
    tiles = [(s, modality) for s in samples for modality in s.images]
    columns = _columns_of(samples[0])
    rows = -(-len(tiles) // columns)
    aspects = [
        s.images[name].shape[0] / s.images[name].shape[1] for s, name in tiles
    ]
    heights = [
        4 * max(aspects[i : i + columns]) + 0.3
        for i in range(0, len(tiles), columns)
    ]
    figure = Figure(
        figsize=(4 * columns, sum(heights) + 0.8), layout='constrained'
    )
    grid = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw=dict(height_ratios=heights),
    ).ravel()
    for axes, (sample, modality) in zip(grid, tiles, strict=False):
        _draw_tile(axes, sample, modality, num_proposals)
    for axes in grid[len(tiles) :]:
        axes.axis('off')
    figure.suptitle(title)
    names = {'object': OBJECT}
    if any(sample.ignored.any() for sample in samples):
        names['object not trained on'] = IGNORED
    if any(len(sample.proposals) for sample in samples) and num_proposals:
        names[f'the {num_proposals} best proposals'] = PROPOSAL
    if any(len(sample.boxes) or len(sample.proposals) for sample in samples):
        figure.legend(
            handles=[
                Patch(label=label, fill=False, **style)
                for label, style in names.items()
            ],
            loc='outside lower center',
            ncols=len(names),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _columns_of(sample: Sample) -> int:
    """Columns of a page: whole samples side by side."""
    modalities = len(sample.images)
    return modalities * max(1, _COLUMNS // modalities)


def draw_contact_sheets(
    dataset: BaseDataset,
    folder: Path,
    name: str,
    title: str,
    num: int = 16,
    num_proposals: int = 10,
) -> tuple[list[Path], dict[int, str]]:
    """Draw evenly spaced samples of a data set, all modalities of each.

    Args:
        dataset (BaseDataset): With a pipeline.
        folder (Path): Gets ``<name>_<page>.png``.
        name (str): Of the data set, for the file names.
        title (str): Above each page.
        num (int): Number of samples. Defaults to 16.
        num_proposals (int): The best ones are drawn. Defaults to 10.

    Returns:
        tuple[list[Path], dict[int, str]]: The pages, and of the samples that
        could not be loaded the index and why.

    Raises:
        ValueError: The data set is empty.
    """
    pages: list[Path] = []
    failures: dict[int, str] = {}
    page: list[Sample] = []

    def finish() -> None:
        file = folder / f'{name.replace("/", "-")}_{len(pages) + 1:03}.png'
        pages.append(file)
        _draw_page(page, f'{title}, page {len(pages)}', num_proposals, file)
        page.clear()

    for index, sample in load_samples(dataset, num):
        if isinstance(sample, str):
            failures[index] = sample
            continue
        page.append(sample)
        per_page = _ROWS * _columns_of(sample)
        if len(page) * len(sample.images) >= per_page:
            finish()
    if page:
        finish()
    return pages, failures
