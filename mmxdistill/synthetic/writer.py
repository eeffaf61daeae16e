"""Writing synthetic frames in the layout of the real RGB-D data."""

import json
import os
import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from mmxdistill.atomic import atomic_write
from mmxdistill.parallel import map_parallel

from .frame import RGBDFrame, render_scene
from .furniture import CLASSES
from .scene import kinect_camera

# Raise it with every change that alters a single pixel, box or proposal.
VERSION = 3
MANIFEST = 'synthetic.json'
DEFAULT_SIZES = {'rgb': 600, 'pairs': 800, 'train': 150, 'test': 150}


@dataclass(frozen=True)
class _Task:
    split: str
    index: int

    @property
    def name(self) -> str:
        return f'{self.split}_{self.index:06d}'

    def __str__(self) -> str:
        return self.name


def write_dataset(
    root: str | os.PathLike[str],
    sizes: Mapping[str, int] | None = None,
    unlabelled: Sequence[str] = ('pairs',),
    *,
    image_size: tuple[int, int] = (224, 160),
    num_proposals: int = 200,
    seed: int = 0,
    processes: int = 2,
) -> bool:
    """Write a synthetic RGB-D detection dataset.

    ::

        ROOT/color/<id>.jpg            BGR as JPEG, quality 95
        ROOT/depth/<id>.png            uint16 millimetres, holes inpainted
        ROOT/depth_raw/<id>.png        uint16 millimetres, 0 = missing
        ROOT/camera.json               fx, fy, cx, cy (first pixel at 1)
        ROOT/classes.json              class names, in order of their ids
        ROOT/annotations_<split>.json  COCO boxes and masks (run lengths) of
                                       a labelled split
        ROOT/<split>.txt               ids of an unlabelled split
        ROOT/proposals_<split>.pkl     {'color/<id>.jpg': {bboxes, scores}}
        ROOT/synthetic.json            options; written last

    Every frame depends on ``seed``, its split and its number only, so it is
    the same for any number of processes and any size of the splits. A
    finished dataset with the same options is left as it is; an interrupted
    one is written again.

    Args:
        root (str or PathLike): Folder of the dataset.
        sizes (Mapping[str, int], optional): Number of frames of each split.
            Default: ``DEFAULT_SIZES``.
        unlabelled (Sequence[str]): Splits without annotations.
        image_size (tuple[int, int]): Width and height, pixels.
        num_proposals (int): Region proposals of each frame.
        seed (int): Seed of the dataset.
        processes (int): Number of processes.

    Returns:
        bool: True if the dataset was written, False if it was there.

    Raises:
        ValueError: If an option makes no sense.
        FileExistsError: If ``root`` holds other files, or a dataset that was
            made with other options.
    """
    sizes = dict(DEFAULT_SIZES if sizes is None else sizes)
    _check(sizes, unlabelled, image_size, num_proposals, processes)
    options = dict(
        version=VERSION,
        seed=seed,
        sizes=sizes,
        unlabelled=sorted(unlabelled),
        image_size=list(image_size),
        num_proposals=num_proposals,
    )
    root = Path(root)
    manifest = root / MANIFEST
    started = root / f'{MANIFEST}.part'
    if _is_finished(root, manifest, started, options):
        return False
    for folder in ('color', 'depth', 'depth_raw'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    _write_json(started, options)
    camera = asdict(kinect_camera(*image_size))
    _write_json(root / 'camera.json', camera)
    _write_json(root / 'classes.json', list(CLASSES))

    tasks = [_Task(split, i) for split, n in sizes.items() for i in range(n)]
    work = partial(
        _write_frame,
        root=root,
        seed=seed,
        image_size=image_size,
        num_proposals=num_proposals,
    )
    outcomes = map_parallel(work, tasks, processes, 'frames', chunk_size=4)
    records = [o.result for o in outcomes if o.result is not None]
    failures = [o for o in outcomes if o.result is None]
    if failures:
        raise RuntimeError(
            f'{len(failures)} of {len(tasks)} frames could not be written, '
            f'e.g. {failures[0].item.name}: {failures[0].error}'
        )
    by_split: dict[str, list[dict[str, Any]]] = {s: [] for s in sizes}
    for task, record in zip(tasks, records, strict=True):
        by_split[task.split].append(record)
    for split, frames in by_split.items():
        _write_split(root, split, frames, split in unlabelled)
    os.replace(started, manifest)
    return True


def _check(
    sizes: Mapping[str, int],
    unlabelled: Sequence[str],
    image_size: tuple[int, int],
    num_proposals: int,
    processes: int,
) -> None:
    unknown = sorted(set(unlabelled) - set(sizes))
    if unknown:
        raise ValueError(
            f'Unlabelled split(s) {unknown} have no size; the '
            f'splits are {sorted(sizes)}.'
        )
    for split, number in sizes.items():
        if not split.isidentifier() or number < 1:
            raise ValueError(
                f'Split {split!r} = {number}: write a name of '
                'letters, digits and _, and at least 1 frame.'
            )
    if min(image_size) < 32:
        raise ValueError(f'Image size {image_size} is below 32 pixels.')
    if num_proposals < 1 or processes < 1:
        raise ValueError(
            f'num_proposals ({num_proposals}) and processes ({processes}) '
            'must be at least 1.'
        )


def _is_finished(
    root: Path, manifest: Path, started: Path, options: dict[str, Any]
) -> bool:
    """Whether the folder holds this dataset; raises if it holds another."""
    for path in (manifest, started):
        if not path.exists():
            continue
        found = json.loads(path.read_text())
        other = [
            f'{key} = {found.get(key)!r} (asked for: {value!r})'
            for key, value in options.items()
            if found.get(key) != value
        ]
        if other:
            raise FileExistsError(
                f'{path} belongs to a dataset with other options: '
                f'{"; ".join(other)}. Delete {root} or choose another '
                'folder.'
            )
        return path == manifest
    if root.exists() and any(root.iterdir()):
        raise FileExistsError(
            f'{root} is not empty and has no {MANIFEST}, so it is no '
            'synthetic dataset. Choose another folder.'
        )
    return False


def _write_frame(
    task: _Task,
    root: Path,
    seed: int,
    image_size: tuple[int, int],
    num_proposals: int,
) -> dict[str, Any]:
    """Render and write one frame; returns what the split files need.

    That is plain numbers: the bytes of a pickled array would depend on
    whether the array came from another process.
    """
    frame = render_scene(
        (seed, zlib.crc32(task.split.encode()), task.index),
        image_size,
        num_proposals,
    )
    _write_image(
        root / 'color' / f'{task.name}.jpg',
        frame.colour,
        [cv2.IMWRITE_JPEG_QUALITY, 95],
    )
    _write_image(root / 'depth' / f'{task.name}.png', frame.depth)
    _write_image(root / 'depth_raw' / f'{task.name}.png', frame.depth_raw)
    return dict(
        name=task.name,
        size=image_size,
        gravity=frame.gravity.tolist(),
        camera_height=frame.camera_height,
        annotations=_annotations(frame),
        proposals=frame.proposals.tolist(),
        scores=frame.scores.tolist(),
    )


def _annotations(frame: RGBDFrame) -> list[dict[str, Any]]:
    out = []
    height, width = frame.instances.shape
    edge = np.array([0, 0, width, height])
    for box, label, number in zip(
        frame.boxes, frame.labels, frame.objects, strict=True
    ):
        x0, y0, x1, y1 = box.tolist()
        seen = frame.instances == number
        run_lengths = coco_mask.encode(np.asfortranarray(seen, np.uint8))
        out.append(
            dict(
                category_id=CLASSES[label],
                bbox=[x0, y0, x1 - x0, y1 - y0],
                area=(x1 - x0) * (y1 - y0),
                iscrowd=0,
                segmentation=dict(
                    size=run_lengths['size'],
                    counts=run_lengths['counts'].decode(),
                ),
                visible_area=int(seen.sum()),
                truncated=int((box == edge).any()),
            )
        )
    return out


def _write_split(
    root: Path, split: str, frames: list[dict[str, Any]], unlabelled: bool
) -> None:
    proposals = {
        f'color/{f["name"]}.jpg': {
            'bboxes': np.array(f['proposals'], np.float32).reshape(-1, 4),
            'scores': np.array(f['scores'], np.float32),
        }
        for f in frames
    }
    _write(root / f'proposals_{split}.pkl', pickle.dumps(proposals))
    if unlabelled:
        text = ''.join(f'{f["name"]}\n' for f in frames)
        _write(root / f'{split}.txt', text.encode())
        return
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, frame in enumerate(frames, 1):
        width, height = frame['size']
        images.append(
            dict(
                id=number,
                file_name=f'{frame["name"]}.jpg',
                depth_file_name=f'{frame["name"]}.png',
                width=width,
                height=height,
                gravity=frame['gravity'],
                camera_height=frame['camera_height'],
            )
        )
        for annotation in frame['annotations']:
            annotations.append(
                dict(id=len(annotations) + 1, image_id=number, **annotation)
            )
    _write_json(
        root / f'annotations_{split}.json',
        dict(
            info=dict(description='Synthetic RGB-D scenes'),
            images=images,
            annotations=annotations,
            categories=[dict(id=i, name=name) for name, i in CLASSES.items()],
        ),
    )


def _write_image(
    path: Path, image: np.ndarray, options: Sequence[int] = ()
) -> None:
    ok, data = cv2.imencode(path.suffix, image, options)
    if not ok:
        raise OSError(f'OpenCV cannot encode {path}.')
    path.write_bytes(data.tobytes())


def _write_json(path: Path, content: object) -> None:
    _write(path, json.dumps(content).encode())


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)
