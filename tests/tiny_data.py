"""A few small images in the layout of every data set of the configs."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
from mmdet.datasets import CocoDataset

from mmxdistill.classes import JHMDB_CLASSES, NYUD2_CLASSES

SIZE = (48, 64)
KITCHEN_CLASSES = ('box', 'chair', 'counter', 'table', 'television')
SYNTHETIC_CLASSES = ('box', 'chair', 'lamp', 'table', 'television')
ROAD_CLASSES = ('person', 'bike', 'car')
STEMS = [f'img_{number:04d}' for number in range(5001, 5004)]
VIDEO, ACTION = 'clap/video', 'Archery/v_Archery_g01_c01'
BOX = [12, 8, 30, 30]  # x, y, width, height
# The camera of the kitchen is that of images of 640x480.
KITCHEN = 10


def write_all(root: Path) -> None:
    """Write ``root/data/<data set>`` for all of them.

    Args:
        root (Path): A folder to work in.
    """
    data = root / 'data'
    depth = ('depth/{}.png', 'depth_raw/{}.png')

    nyud2 = data / 'nyud2'
    for folder in ('', 'pairs/'):
        write_images(
            nyud2, f'{folder}images/{{}}.png', f'{folder}hha/{{}}.png'
        )
        write_images(nyud2, *(folder + path for path in depth))
    write_images(nyud2, 'superpixels/{}.png')
    for split in ('train', 'val', 'trainval', 'test'):
        write_boxes(nyud2, f'annotations_{split}.json', NYUD2_CLASSES)
    for split in ('train', 'trainval'):
        (nyud2 / f'pairs/{split}.txt').write_text('\n'.join(STEMS))
    write_proposals(nyud2 / 'proposals.pkl', 'images/{}.png')
    write_proposals(nyud2 / 'pairs/proposals.pkl', 'images/{}.png')

    coco = data / 'coco'
    (coco / 'annotations').mkdir(parents=True)
    for split in ('train2014', 'val2014'):
        write_images(coco, f'{split}/{{}}.jpg')
        file = f'annotations/instances_{split}.json'
        write_boxes(coco, file, CocoDataset.METAINFO['classes'], '{}.jpg')
        write_proposals(coco / f'proposals_{split}.pkl', split + '/{}.jpg')

    rooms = data / 'synthetic_rgbd'
    write_images(rooms, 'color/{}.jpg', *depth)
    for split in ('rgb', 'train', 'test'):
        write_boxes(rooms, f'annotations_{split}.json', SYNTHETIC_CLASSES)
    for split in ('rgb', 'train', 'test', 'pairs'):
        write_proposals(rooms / f'proposals_{split}.pkl', 'color/{}.jpg')
    (rooms / 'pairs.txt').write_text('\n'.join(STEMS))
    camera = dict(fx=60, fy=60, cx=32, cy=24)
    (rooms / 'camera.json').write_text(json.dumps(camera))

    kitchen, road = data / 'kitchen_rgbd', data / 'roadscene_rgbt'
    write_images(kitchen, 'color/{}.jpg', depth[0], scale=KITCHEN)
    write_images(road, 'visible/{}.jpg', 'thermal/{}.jpg')
    for split in ('train', 'test'):
        file = f'annotations_{split}.json'
        write_boxes(kitchen, file, KITCHEN_CLASSES, scale=KITCHEN)
        write_boxes(road, file, ROAD_CLASSES)
    write_proposals(kitchen / 'proposals.pkl', 'color/{}.jpg', KITCHEN)
    write_proposals(road / 'proposals.pkl', 'visible/{}.jpg')
    (road / 'unlabelled.txt').write_text(f'{STEMS[0]}.jpg')

    jhmdb, ucf101 = data / 'jhmdb', data / 'ucf101'
    for folder, video in ((jhmdb, VIDEO), (ucf101, ACTION)):
        write_images(
            folder, f'frames/{video}/{{}}.png', f'flow/{video}/{{}}.png'
        )
    for split in ('train', 'test'):
        file = f'annotations_{split}1.json'
        write_boxes(jhmdb, file, JHMDB_CLASSES, f'{VIDEO}/{{}}.png')
        lines = '\n'.join(f'{ACTION}/{stem}' for stem in STEMS)
        (ucf101 / f'{split}list01.txt').write_text(lines)
    write_proposals(jhmdb / 'proposals.pkl', 'video/{}.png')

    pairs, videos = data / 'mot_flow_pairs', data / 'mot_person'
    write_images(pairs, f'frames/{VIDEO}/{{}}.jpg', f'flow/{VIDEO}/{{}}.png')
    write_images(videos, f'frames/{VIDEO}/{{}}.jpg', f'flow/{VIDEO}/{{}}.png')
    for split in ('train', 'test'):
        file = f'annotations_{split}.json'
        write_boxes(pairs, file, ('person',), f'frames/{VIDEO}/{{}}.jpg')
        write_boxes(videos, file, ('person',), f'{VIDEO}/{{}}.jpg')
    more = data / 'rgbt_extra'
    write_images(more, 'pairs/visible/{}.jpg', 'pairs/thermal/{}.jpg')
    write_images(more, 'kaist/thermal_{}.jpg')
    file = 'kaist/thermal_{}.jpg'
    write_boxes(more, 'kaist_thermal134.json', ('person',), file)


def write_images(root: Path, *templates: str, scale: int = 1) -> None:
    """Write images of noise; depth of 1 to 3 metres; stripes."""
    rng = np.random.default_rng(0)
    size = tuple(scale * side for side in SIZE)
    for template in templates:
        for stem in STEMS:
            image = rng.integers(0, 255, (*size, 3), np.uint8)
            if 'depth' in template:
                image = rng.integers(1000, 3000, size, np.uint16)
            elif 'thermal' in template:
                image = image[..., 0]
            elif 'superpixels' in template:
                image = np.indices(size).sum(0).astype(np.uint16) // 16 + 1
            path = root / template.format(stem)
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)


def write_boxes(
    root: Path,
    name: str,
    classes: tuple[str, ...],
    file: str = '{}.png',
    scale: int = 1,
) -> None:
    """Write a COCO file with a box of the first classes in the images."""
    height, width = (scale * side for side in SIZE)
    box = [scale * number for number in BOX]
    x, y, w, h = box
    corners = [x, y, x + w, y, x + w, y + h, x, y + h]
    content = dict(
        images=[
            dict(
                id=number,
                file_name=file.format(stem),
                height=height,
                width=width,
                video=VIDEO,
                sequence=VIDEO,
            )
            for number, stem in enumerate(STEMS)
        ],
        annotations=[
            dict(
                id=number,
                image_id=number,
                category_id=min(number + 1, len(classes)),
                bbox=box,
                area=box[2] * box[3],
                segmentation=[corners],
                iscrowd=0,
            )
            for number in range(len(STEMS))
        ],
        categories=[
            dict(id=number, name=name)
            for number, name in enumerate(classes, 1)
        ],
    )
    (root / name).write_text(json.dumps(content))


def write_proposals(path: Path, key: str, scale: int = 1) -> None:
    """Write proposals around the box, and some that hardly meet it."""
    x, y, w, h = BOX
    near = [[x + i, y + i, x + w, y + h - i] for i in range(4)]
    far = [[i, i, x + 12 + i, y + 14] for i in range(4)]
    boxes = scale * np.array(near + far, np.float32)
    content = dict(bboxes=boxes, scores=np.ones(len(boxes), np.float32))
    path.write_bytes(
        pickle.dumps({key.format(stem): content for stem in STEMS})
    )
