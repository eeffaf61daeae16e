"""NYU Depth v2: facts, and readers of its published files."""

from .authors import AuthorsFolder, AuthorsFrame, read_mcg_boxes
from .classes import (
    CLASSES,
    COCO_TO_NYUD2,
    CROP,
    CROP_SIZE,
    FIRST_ID,
    NUM_FRAMES,
    SPLITS,
    category_of,
    image_stem,
)
from .coco import NYUD2Object, coco_annotations
from .labeled import LabeledFile, LabeledFrame
from .raw import (
    FramePair,
    pair_frames,
    read_color,
    read_disparity,
    read_frame_list,
    spread_evenly,
    write_frame_list,
)
from .scenes import SceneChoice, choose_scenes, find_scenes

__all__ = [
    'CLASSES',
    'COCO_TO_NYUD2',
    'CROP',
    'CROP_SIZE',
    'FIRST_ID',
    'NUM_FRAMES',
    'SPLITS',
    'AuthorsFolder',
    'AuthorsFrame',
    'FramePair',
    'LabeledFile',
    'LabeledFrame',
    'NYUD2Object',
    'SceneChoice',
    'category_of',
    'choose_scenes',
    'coco_annotations',
    'find_scenes',
    'image_stem',
    'pair_frames',
    'read_color',
    'read_disparity',
    'read_frame_list',
    'read_mcg_boxes',
    'spread_evenly',
    'write_frame_list',
]
