"""What the check of data sets found, on one HTML page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from mmxdistill.datasets.dataset_checks import Checked
from mmxdistill.datasets.sample_checks import (
    KINDS,
    Sample,
    check_boxes,
    image_steps,
)
from mmxdistill.visualization.gallery import LIMIT, Boxes, Gallery, Picture
from mmxdistill.visualization.page import Cell, Page, link

__all__ = ['write_check_page']


def write_check_page(
    path: str | os.PathLike[str],
    config: str,
    checked: Mapping[str, Checked],
    shared: Sequence[tuple[str, str, Sequence[str]]],
) -> None:
    """Write the page: how many findings, each with its files, and pictures.

    Args:
        path (str or PathLike): The page.
        config (str): Name of the config.
        checked (Mapping[str, Checked]): Data set -> what was found.
        shared (Sequence): What two splits share, see :func:`find_shared`.
    """
    total = sum(len(data.problems) for data in checked.values()) + len(shared)
    page = Page(
        f'Check of {config}',
        f'{total} findings.' if total else 'Nothing was found: all is well.',
    )
    page.facts(
        {name: f'{len(data.paths)} samples' for name, data in checked.items()}
    )
    groups = {name: data.problems for name, data in checked.items()}
    if len(checked) > 1:
        groups['between splits'] = [(kind, text) for kind, text, _ in shared]
    counts = {
        name: Counter(kind for kind, _ in problems)
        for name, problems in groups.items()
    }
    page.section('Summary')
    page.table(
        ['what', *groups],
        [
            [kind, *(_count(counts[name][kind]) for name in groups)]
            for kind in KINDS
            if any(counts[name][kind] for name in groups)
        ],
    )
    page.section('Findings')
    rows: list[list[Cell | str]] = [
        [name, kind, text, Cell('', links=files)]
        for name, data in checked.items()
        for (kind, text), files in zip(
            data.problems, _files(data, path), strict=True
        )
    ]
    for kind, text, shown in shared:
        files = {file: link(file, path) for file in shown}
        rows.append(['between splits', kind, text, Cell('', links=files)])
    page.table(['data set', 'what', 'finding', 'files'], rows)
    for name, data in checked.items():
        gallery = _draw(data, path, LIMIT // len(checked))
        if gallery.cards:
            page.section(f'Samples with findings: {name}')
            page.gallery(gallery)
    page.write(path)


def _count(count: int) -> Cell:
    return Cell(str(count), muted=not count)


def _files(
    data: Checked, page: str | os.PathLike[str]
) -> list[dict[str, str]]:
    """Links to the files of each problem: modality -> address."""
    return [
        {}
        if owner is None
        else {
            name: link(path, page)
            for name, path, _ in image_steps(data.samples[owner])
        }
        for owner in data.owners
    ]


def _draw(data: Checked, page: str | os.PathLike[str], limit: int) -> Gallery:
    """Pictures of the samples that have a problem."""
    gallery = Gallery('samples', limit=limit)
    notes: dict[int, list[str]] = {}
    for owner, (kind, text) in zip(data.owners, data.problems, strict=True):
        if owner is not None:
            notes.setdefault(owner, []).append(f'{kind}: {text}')
    for owner, texts in notes.items():
        if gallery.full:
            gallery.skip()
            continue
        sample = data.samples[owner]
        pictures = [
            _picture(sample, name, path, load, page)
            for name, path, load in image_steps(sample)
        ]
        gallery.add(sample.name, pictures, texts)
    return gallery


def _picture(
    sample: Sample,
    name: str,
    path: str,
    load: object,
    page: str | os.PathLike[str],
) -> Picture:
    try:
        results = load({**sample.info, 'img_path': path})  # type: ignore
        image = np.atleast_3d(results['img'])
    except Exception as error:  # whatever: it is what the check has found
        note = f'cannot be loaded: {type(error).__name__}'
        return Picture(name, None, href=link(path, page), note=note)
    if name in getattr(sample.loader, 'registered', {}):
        return Picture(f'{name}, as it is', image, href=link(path, page))
    size = image.shape[1::-1]
    wrong = np.array(
        [bool(check_boxes(box, size)) for box in sample.boxes], bool
    )
    layers = [
        Boxes(layer, sample.boxes[chosen])
        for layer, chosen in (('boxes', ~wrong), ('wrong boxes', wrong))
        if chosen.any()
    ]
    return Picture(name, image, layers, href=link(path, page))
