r"""Make region proposals for the images of a config or of folders.

    python tools/dataset_converters/generate_proposals.py mine.pkl CONFIG \
        --modalities rgb hha --method selective_search edge_boxes

The proposals of all modalities and methods are united, best of each first,
without near-duplicates. The file is what ``LoadProposals`` reads. A run that
was stopped goes on where it was: what is done lies in ``<OUT>.parts``, which
may be deleted once OUT is there.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass
from os.path import abspath
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path[:0] = [
    str(Path(__file__).resolve().parents[2]),
    str(Path(__file__).resolve().parent),
]

from mmengine.fileio import load
from mmengine.runner import set_random_seed

from mmxdistill.atomic import atomic_write
from mmxdistill.converters.work_list import (
    add_run_arguments,
    check_settings,
    report,
    run_all,
    take_shard,
    walk,
)
from mmxdistill.datasets.configured import (
    SPLITS,
    build_dataset,
    dataset_configs,
    image_loader,
    split_modalities,
)
from mmxdistill.datasets.paired import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.proposal_file import image_names, write_proposals
from mmxdistill.datasets.proposals import (
    StructuredEdges,
    edge_boxes,
    gradient_edges,
    merge_proposals,
    require_contrib,
    selective_search,
    sliding_windows,
)
from mmxdistill.datasets.transforms import LoadModalities

METHODS = ('selective_search', 'edge_boxes', 'windows')
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp')


def parse_args() -> argparse.Namespace:
    """Parse and check the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'out', type=Path, metavar='OUT', help='file to write, OUT.pkl'
    )
    parser.add_argument(
        'sources',
        nargs='+',
        type=Path,
        metavar='SOURCE',
        help='a config (.py): the images of its data sets, as their pipelines '
        'load and encode them; or a folder of 8-bit images, and further '
        'folders with the same names, whose images are aligned to them',
    )
    parser.add_argument(
        '--split',
        nargs='+',
        choices=SPLITS,
        default=list(SPLITS),
        help='of a config: whose images (default: all)',
    )
    parser.add_argument(
        '--modalities',
        nargs='+',
        help='of a config: in which images to search (default: in those the '
        'data set uses)',
    )
    parser.add_argument(
        '--method',
        nargs='+',
        choices=METHODS,
        default=['selective_search'],
        help='one or several (default: selective_search)',
    )
    parser.add_argument(
        '--edge-model',
        type=Path,
        metavar='FILE',
        help="OpenCV's model.yml.gz of structured edges for edge_boxes "
        "(default: edges by Canny's rule, which needs no model)",
    )
    parser.add_argument(
        '--max-num', type=int, default=2000, help='proposals per image'
    )
    parser.add_argument(
        '--max-side',
        type=int,
        default=400,
        help='longer side in pixels at which the image is searched',
    )
    parser.add_argument(
        '--max-iou',
        type=float,
        default=0.9,
        help='a box that overlaps a better one by more is left out '
        '(default: %(default)s)',
    )
    add_run_arguments(parser)
    args = parser.parse_args()
    if args.out.suffix != '.pkl':
        parser.error(f'{args.out}: the file name must end with .pkl')
    if args.max_num < 1 or args.max_side < 1:
        parser.error('--max-num and --max-side must be at least 1')
    if not 0 < args.max_iou <= 1:
        parser.error('--max-iou must be above 0 and at most 1')
    if args.edge_model and 'edge_boxes' not in args.method:
        parser.error('--edge-model is for --method edge_boxes')
    if is_config(args) and len(args.sources) > 1:
        parser.error('give one config, or folders')
    if args.modalities and not is_config(args):
        parser.error('--modalities is for a config')
    return args


def is_config(args: argparse.Namespace) -> bool:
    """Whether the images are those of a config."""
    return any(path.suffix == '.py' for path in args.sources)


@dataclass(frozen=True)
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


def scenes_of_config(args: argparse.Namespace) -> list[Scene]:
    """List the images of the data sets of a config."""
    infos: dict[str, tuple[dict[str, Any], Any]] = {}
    stock = None
    configs = dataset_configs(args.sources[0], args.split)
    for name, config in configs.items():
        if args.modalities:
            known = config.get('modalities')
            unknown = set(args.modalities) - set(known or ())
            if unknown:
                raise ValueError(
                    f'the {name} data set has no modalities '
                    f'{sorted(unknown)}, only {list(known or ())}'
                )
            config['use'] = args.modalities
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


def scenes_of_folders(folders: list[Path]) -> list[Scene]:
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
        {source.name: source.path for source in walk(folder, SUFFIXES)}
        for folder in folders
    ]
    stems = [
        {name.with_suffix(''): path for name, path in files.items()}
        for files in found
    ]
    if not found[0]:
        raise ValueError(f"'{folders[0]}' holds no images {SUFFIXES}")
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


class Proposer:
    """Writes the proposals of a scene.

    Args:
        args (argparse.Namespace): The command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.parts = args.out.with_suffix('.parts')
        self.methods = args.method
        self.max_num = args.max_num
        self.max_side = args.max_side
        self.max_iou = args.max_iou
        self.edges: Any = gradient_edges
        if args.edge_model:
            self.edges = StructuredEdges(args.edge_model)
            # A wrong file shows before the work begins.
            self.edges(np.zeros((64, 64, 3), np.uint8))

    def file(self, scene: Scene) -> Path:
        """Where the boxes of a scene are."""
        return self.parts / f'{scene.key}.npy'

    def __call__(self, scene: Scene) -> None:
        """Search the images of a scene."""
        set_random_seed(0)  # for pipelines that draw
        images = split_modalities(scene.loader(dict(scene.info)))
        sources = []
        for name, image in images.items():
            if image.dtype != np.uint8 or image.shape[2] not in (1, 3):
                raise ValueError(
                    f"modality '{name}' is {image.dtype} with "
                    f'{image.shape[2]} channels, but the search needs 8-bit '
                    'grey or colour: give a config whose pipeline encodes it '
                    '(EncodeHHA, EncodeDisparity, ...), or encode the files '
                    'first (encode_depth.py)'
                )
            colour = np.repeat(image, 3 // image.shape[2], axis=2)
            sources += self._search(np.ascontiguousarray(colour))
        if 'windows' in self.methods:
            sources.append(sliding_windows(*colour.shape[:2]))
        boxes, _ = merge_proposals(sources, self.max_num, self.max_iou)
        with atomic_write(self.file(scene)) as file:
            np.save(file, boxes)

    def _search(self, image: np.ndarray) -> list[np.ndarray]:
        found = []
        if 'selective_search' in self.methods:
            found.append(selective_search(image, self.max_side))
        if 'edge_boxes' in self.methods:
            found.append(
                edge_boxes(image, self.max_side, self.max_num, self.edges)
            )
        return found


def open_parts(args: argparse.Namespace, parts: Path) -> None:
    """Make the folder of what is done, for these settings only.

    Raises:
        ValueError: OUT comes from elsewhere.
        SystemExit: It was begun with other settings.
    """
    settings = {
        key: getattr(args, key)
        for key in ('split', 'modalities', 'method', 'max_num', 'max_side')
    }
    settings |= dict(
        sources=[str(path) for path in args.sources],
        max_iou=args.max_iou,
        edge_model=args.edge_model and str(args.edge_model),
    )
    file = parts / 'settings.json'
    if not args.overwrite and args.out.exists() and not file.exists():
        raise ValueError(
            f"'{args.out}' is there, and how it was made is not known: write "
            'to another file, or give --overwrite'
        )
    if args.overwrite and file.exists() and load(file) != settings:
        shutil.rmtree(parts)
    check_settings(parts, settings, args.overwrite)


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


def run(args: argparse.Namespace) -> int:
    """Make the proposals; returns the exit status."""
    if set(args.method) != {'windows'}:
        require_contrib()
    if is_config(args):
        scenes = scenes_of_config(args)
    else:
        scenes = scenes_of_folders(args.sources)
    proposer = Proposer(args)
    open_parts(args, proposer.parts)
    mine = take_shard(scenes, args.shard)
    todo = [
        scene
        for scene in mine
        if args.overwrite or not proposer.file(scene).exists()
    ]
    if todo:  # what is there will not be that of these images
        args.out.unlink(missing_ok=True)
    done, failures = run_all(proposer, todo, args.jobs, 'proposals')
    status = report(proposer.parts, len(done), len(mine) - len(todo), failures)
    files = {scene.key: proposer.file(scene) for scene in scenes}
    missing = [key for key, file in files.items() if not file.exists()]
    if missing:
        print(
            f'{len(missing)} of {len(files)} images have no proposals yet, '
            f'e.g. {", ".join(missing[:3])}: {args.out} is written by the '
            'command that finds all'
        )
    elif not failures:
        join(args.out, files)
    return status


def main() -> None:
    """Make the proposals, or say what is wrong."""
    args = parse_args()
    try:
        status = run(args)
    except (ImportError, KeyError, OSError, ValueError) as error:
        raise SystemExit(f'Error: {error}') from None
    raise SystemExit(status)


if __name__ == '__main__':
    main()
