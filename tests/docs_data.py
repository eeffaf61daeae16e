"""Small files of the layouts that the commands of the pages name."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import tiny_data
from docs_blocks import ROOT

sys.path += [
    str(Path(__file__).parent / 'test_converters'),
    str(Path(__file__).parent / 'test_converters/test_sunrgbd'),
]

import sunrgbd_files
import video_files

# Stands for $MMXDISTILL_DATA.
SHARED = 'shared'
VIDEO = 'Archery/v_Archery_g01_c01.avi'


def write(root: Path) -> None:
    """Write everything below a folder.

    Args:
        root (Path): The folder.
    """
    data, shared = root / 'data', root / SHARED
    (root / 'configs').symlink_to(ROOT / 'configs')
    tiny_data.write_all(root)
    for made in ('jhmdb', 'ucf101', 'mot_flow_pairs/flow', 'mot_person'):
        shutil.rmtree(data / made)  # by commands
    (data / 'nyud2/pairs/proposals.pkl').unlink()
    shared.mkdir()
    for name in ('kitchen_rgbd', 'roadscene_rgbt', 'mot_flow_pairs'):
        (shared / name).symlink_to(f'../data/{name}')
    for split in ('train', 'test'):  # no image is in both
        for name in ('kitchen_rgbd', 'roadscene_rgbt'):
            _keep(data / name / f'annotations_{split}.json', split == 'test')
    for name in ('kitchen_rgbd', 'roadscene_rgbt'):
        file = data / name / 'proposals.pkl'
        for stem in ('ss_rgb', 'ss_both', 'eb_rgb', 'all_both'):
            shutil.copy(file, file.with_stem(stem))
    (data / 'roadscene_rgbt/proposals.pkl').unlink()
    for name in ('visible', 'thermal'):
        (root / name).mkdir()
    _write_own(data / 'mine')
    _write_videos(root)
    _write_sunrgbd(root / 'downloads/sunrgbd')
    for number in (1, 2, 3):
        result = root / f'work_dirs/jhmdb_split{number}/1/1.json'
        result.parent.mkdir(parents=True)
        ap = {'voc/mAP': 0.1 * number, 'voc/AP_clap': 0.5}
        result.write_text(json.dumps(ap))


def _keep(path: Path, last: bool) -> None:
    """Keep the last image of an annotation file, or the others."""
    content = json.loads(path.read_text())
    images = content['images']
    content['images'] = images[-1:] if last else images[:-1]
    ids = {image['id'] for image in content['images']}
    content['annotations'] = [
        box for box in content['annotations'] if box['image_id'] in ids
    ]
    path.write_text(json.dumps(content))


def _write_own(root: Path) -> None:
    """The reader's: colour, thermal, a floor and a wall in depth."""
    tiny_data.write_images(root, 'color/{}.jpg', 'thermal/{}.jpg')
    rows = np.arange(480)[:, None] - 239.5 + np.zeros((1, 640))
    depth = np.minimum(4000, 500 * 525 / np.maximum(rows, 1)).astype(np.uint16)
    depth[100:150, 60:200] = 0
    small = np.maximum(depth[::10, ::10], 900)
    for path, image in (
        (root / 'depth/0.png', small),
        (root / 'depth_raw/0.png', depth[::10, ::10]),
        (root / 'color/0.jpg', np.full((48, 64, 3), 99, np.uint8)),
        (root / 'thermal/0.jpg', np.full((48, 64), 99, np.uint8)),
        (root.parent / 'kinect/depth/0.png', depth),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    camera = dict(fx=52.5, fy=52.5, cx=32, cy=24)
    (root / 'camera.json').write_text(json.dumps(camera))


def _write_videos(root: Path) -> None:
    downloads, frames = root / 'downloads', video_files.moving_frames(6)
    for folder in (downloads / 'UCF-101', root / 'data/ucf101/videos'):
        video_files.write_avi(folder / VIDEO, frames)
    lists = downloads / 'ucfTrainTestlist'
    lists.mkdir()
    for name in ('trainlist01.txt', 'testlist01.txt'):
        (lists / name).write_text(f'{VIDEO} 1\n')
    names = [name for name in video_files.videos() if '/video_0' in name]
    video_files.write_jhmdb(downloads / 'JHMDB', count=2, names=names)
    for folder in (downloads / 'MOT15/train', root / SHARED / 'mot_person'):
        for seed, name in enumerate(
            ('PETS09-S2L1', 'TUD-Campus', 'TUD-Stadtmitte')
        ):
            video_files.write_mot(folder / name, count=2, seed=seed)


def _write_sunrgbd(root: Path) -> None:
    bed = [(3, 4), (33, 4), (33, 24), (3, 24)]
    sequences = sunrgbd_files.SEQUENCES
    for seed, sequence in enumerate(sequences):
        sunrgbd_files.write_frame(
            root / 'SUNRGBD',
            sequence,
            seed=seed,
            rotation=sunrgbd_files.tilt(5),
            objects=[('bed', bed)],
        )
    split = root / 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'
    sunrgbd_files.write_splits(split, sequences[:2], sequences[2:])
    sunrgbd_files.write_boxes(
        root / 'SUNRGBDMeta2DBB_v2.mat',
        {name: [('bed', (4, 5, 30, 20))] for name in sequences},
    )
