"""Region proposals for the images of a config or of folders."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import abspath
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.runner import set_random_seed

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.images import IMAGE_SUFFIXES
from mmxdistill.converters.runs import RunOptions, convert_items
from mmxdistill.converters.settings import FolderSettings, read_settings
from mmxdistill.converters.work_list import walk
from mmxdistill.datasets.configured import (
    build_dataset,
    dataset_configs,
    image_loader,
    split_modalities,
)
from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.proposal_file import image_names, write_proposals
from mmxdistill.datasets.proposal_search import ProposalSearch
from mmxdistill.datasets.transforms import LoadModalities

__all__ = ['Images', 'Proposer', 'Scene', 'convert_proposals']


@dataclass(frozen=True, eq=False)
class Scene:
    """Aligned images for which to make proposals.

    Attributes:
        key: Name in the proposal file.
        info: Sample of the data set, with the paths of the images.
        loader: Transform that loads them.
    """

    key: str
    info: dict[str, Any]
    loader: Any

    def __str__(self) -> str:
        """How messages name it."""
        return self.key


@dataclass(frozen=True)
class Images:
    """Which images to search.

    Attributes:
        sources: A config (.py), or folders.
        splits: Of a config: whose images.
        modalities: Of a config: in which to search, None for those in use.
    """

    sources: Sequence[Path]
    splits: Sequence[str]
    modalities: Sequence[str] | None = None

    def scenes(self) -> list[Scene]:
        """List them."""
        if any(path.suffix == '.py' for path in self.sources):
            return scenes_of_config(self)
        return scenes_of_folders(self.sources)

    def settings(self) -> dict[str, Any]:
        """For the record."""
        return dict(
            sources=[str(path) for path in self.sources],
            split=list(self.splits),
            modalities=self.modalities and list(self.modalities),
        )


def scenes_of_config(images: Images) -> list[Scene]:
    """List the images of the data sets of a config."""
    infos: dict[str, tuple[dict[str, Any], Any]] = {}
    stock = None
    configs = dataset_configs(images.sources[0], images.splits)
    for name, config in configs.items():
        if images.modalities:
            known = config.get('modalities')
            unknown = set(images.modalities) - set(known or ())
            if unknown:
                raise ValueError(
                    f'the {name} data set has no modalities '
                    f'{sorted(unknown)}, only {list(known or ())}'
                )
            config['use'] = images.modalities
        dataset = build_dataset(config)
        loader = image_loader(dataset)
        if not isinstance(dataset, (PairedDataset, PairedCocoDataset)):
            stock = type(dataset).__name__
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            info['instances'] = []
            infos.setdefault(abspath(info['img_path']), (info, loader))
    scenes = name_scenes(list(infos.values()))
    if stock and any(scene.key.count('/') > 1 for scene in scenes):
        first, second = same_stock_name(list(infos))
        raise ValueError(
            f"'{first}' and '{second}' have the same name "
            f'({"/".join(Path(first).parts[-2:])}) to the {stock} of the '
            'config, which looks at the last folder only: use a '
            'PairedCocoDataset, or make a file for each data set'
        )
    return scenes


def name_scenes(infos: list[tuple[dict[str, Any], Any]]) -> list[Scene]:
    """Name the images apart."""
    names = image_names(info['img_path'] for info, _ in infos)
    return [
        Scene(name, info, loader)
        for name, (info, loader) in zip(names, infos, strict=True)
    ]


def same_stock_name(paths: list[str]) -> tuple[str, str]:
    """Find two images of the same name in folders of the same name."""
    seen: dict[tuple[str, ...], str] = {}
    for path in paths:
        other = seen.setdefault(Path(path).parts[-2:], path)
        if other != path:
            return other, path
    raise AssertionError('all differ')


def scenes_of_folders(folders: Sequence[Path]) -> list[Scene]:
    """List the images of the first folder, with their partners."""
    for folder in folders:
        if not folder.is_dir():
            raise ValueError(f"'{folder}' is no folder (nor a config, *.py)")
    # Two folders may have the same name: rgb/images, thermal/images.
    names = [f'{number}: {path}' for number, path in enumerate(folders, 1)]
    load_image = dict(
        type='LoadImageFromFile',
        # 16 bits are kept, to be refused and not cut down.
        color_type=cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    )
    loader = LoadModalities({name: [load_image] for name in names})
    found = [
        {source.name: source.path for source in walk(folder, IMAGE_SUFFIXES)}
        for folder in folders
    ]
    stems = [_by_stem(files) for files in found]
    if not found[0]:
        raise ValueError(f"'{folders[0]}' holds no images {IMAGE_SUFFIXES}")
    infos = []
    for name, path in found[0].items():
        paths = {
            label: str(
                files.get(name)
                or same_stem.get(name.with_suffix(''))
                or folder / name
            )
            for label, folder, files, same_stem in zip(
                names, folders, found, stems, strict=True
            )
        }
        infos.append((dict(img_path=str(path), modality_paths=paths), loader))
    return name_scenes(infos)


def _by_stem(files: dict[Path, Path]) -> dict[Path, Path]:
    """Files by their name without suffix, if it is that of one only."""
    counts = Counter(name.with_suffix('') for name in files)
    return {
        name.with_suffix(''): path
        for name, path in files.items()
        if counts[name.with_suffix('')] == 1
    }


@dataclass(frozen=True)
class Proposer:
    """Writes the proposals of a scene.

    Attributes:
        parts: Folder to write to.
        search: How.
    """

    parts: Path
    search: ProposalSearch

    def file(self, scene: Scene) -> Path:
        """Where the boxes of a scene are."""
        return self.parts / f'{scene.key}.npy'

    def __call__(self, scene: Scene) -> None:
        """Search the images of a scene."""
        set_random_seed(0)  # for pipelines that draw
        results = scene.loader(dict(scene.info))
        missing = results.get('missing_modalities', ())
        images = {
            name: image
            for name, image in split_modalities(results).items()
            if name not in missing
        }
        boxes, _ = self.search(images)
        with atomic_write(self.file(scene)) as file:
            np.save(file, boxes)


def open_parts(
    out: Path, parts: Path, content: dict[str, Any], run: RunOptions
) -> None:
    """Make the folder of what is done, for these settings only.

    Raises:
        ValueError: OUT comes from elsewhere, or was begun with other
            settings.
    """
    settings = FolderSettings(parts, content, ['.npy'])
    if run.overwrite:
        try:
            other = settings.file.exists() and (
                read_settings(settings.file) != content
            )
        except ValueError:
            other = True
        if other:
            shutil.rmtree(parts)
    elif out.exists() and not settings.file.exists():
        raise ValueError(
            f"'{out}' is there, and how it was made is not known: write to "
            'another file, or give --overwrite'
        )
    settings.check(run)
    settings.begin(())


def join(out: Path, files: dict[str, Path]) -> None:
    """Write the proposal file from its parts."""
    proposals = {}
    for key, file in files.items():
        boxes = np.load(file)
        proposals[key] = (boxes, np.linspace(1, 0, len(boxes), endpoint=False))
    write_proposals(out, proposals)
    total = sum(len(boxes) for boxes, _ in proposals.values())
    print(
        f'{out}: {len(proposals)} images, '
        f'{total / len(proposals):.0f} proposals per image'
    )


def convert_proposals(
    out: Path, images: Images, search: ProposalSearch, run: RunOptions
) -> int:
    """Make the proposals of all images.

    Args:
        out (Path): File to write, ``.pkl``.
        images (Images): Where to search.
        search (ProposalSearch): How.
        run (RunOptions): How much of it to do.

    Returns:
        int: Exit status: 1 if anything failed, else 0.

    Raises:
        ImportError: OpenCV lacks its contrib modules.
        ValueError: Images have no names of their own, or OUT was made
            differently.
    """
    search.check()  # in this process, before the others begin
    scenes = images.scenes()
    parts = out.with_suffix('.parts')
    open_parts(out, parts, images.settings() | search.settings(), run)
    proposer = Proposer(parts, search)
    converted = convert_items(
        proposer,
        scenes,
        lambda scene: proposer.file(scene).exists(),
        run,
        parts,
        'proposals',
        # What is there will not be that of these images.
        before=lambda: out.unlink(missing_ok=True),
    )
    files = {scene.key: proposer.file(scene) for scene in scenes}
    missing = [key for key, file in files.items() if not file.exists()]
    if missing:
        print(
            f'{len(missing)} of {len(files)} images have no proposals yet, '
            f'e.g. {", ".join(missing[:3])}: {out} is written by the '
            'command that finds all'
        )
    elif not converted.failures:
        join(out, files)
    return converted.status
