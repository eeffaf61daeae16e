"""Facts about NYUD2: classes, image numbers, splits, crop."""

from __future__ import annotations

from itertools import chain

from mmxdistill.classes import NYUD2_CLASSES

__all__ = [
    'CLASSES',
    'COCO_TO_NYUD2',
    'CROP',
    'CROP_SIZE',
    'FIRST_ID',
    'NUM_FRAMES',
    'SPLITS',
    'category_of',
    'image_stem',
]

CLASSES = NYUD2_CLASSES

# The seven classes that both data sets have: zero-shot detection (paper,
# table 5) evaluates a COCO detector on these.
COCO_TO_NYUD2 = {
    'bed': 'bed',
    'chair': 'chair',
    'sink': 'sink',
    'couch': 'sofa',
    'dining table': 'table',
    'tv': 'television',
    'toilet': 'toilet',
}

NUM_FRAMES = 1449
# Images are numbered from here; the frame counted from 1 plus 5000.
FIRST_ID = 5001
# Rows and columns of the 480x640 frame: without the white border of the
# undistorted colour image and the part that the depth camera does not see.
CROP = (slice(45, 470), slice(40, 600))
CROP_SIZE = (425, 560)

# Gupta et al.'s halves of the official training set, counted from 1; all
# other frames are the official test set.
_TRAIN = """
3-8 19-20 44-45 58 80-83 120-124 135-136 156-166 177-179 213-219 251-263
274-278 303-309 318-324 353-354 391-394 415-429 449-461 478-507 527-530
540-548 572-578 595-602 614-616 639-643 652-655 665-667 682-685 695-696
714-716 729-730 745-758 805-809 824-832 853-856 872-905 920-925 936-944
963-964 978-990 1005-1009 1024-1031 1040-1047 1054-1056 1085-1087 1105
1120-1122 1137-1143 1168-1169 1177-1178 1197-1200 1221-1225 1236-1246
1266-1274 1296 1309-1313 1333-1334 1350-1352 1366-1367 1392-1393 1415-1420
"""
_VAL = """
10-13 22-27 48-55 64-75 92-116 130 138-152 170 203-206 223-249 265-270
286-295 313-314 336-350 365-383 398-410 436-440 467-468 514 534-536 552-554
584-590 608-611 622-632 646-649 659-662 674-675 691-692 700-705 719-723
735-742 788-799 815-820 847-849 863-868 909-916 929-931 948-958 968-969
996-1000 1013-1020 1035-1037 1050-1051 1059-1074 1097 1110-1116 1132-1134
1159-1161 1172-1173 1185-1191 1213-1215 1231-1232 1251-1253 1281-1284
1300-1301 1316-1328 1341-1346 1357-1363 1370-1383 1402-1406 1425-1429
1434-1440
"""


def _image_ids(runs: str) -> tuple[int, ...]:
    """Image numbers of runs of frames such as ``'3-8 58'``."""
    bounds = ([int(end) for end in run.split('-')] for run in runs.split())
    frames = (range(run[0], run[-1] + 1) for run in bounds)
    return tuple(FIRST_ID - 1 + frame for frame in chain(*frames))


def _splits() -> dict[str, tuple[int, ...]]:
    train, val = _image_ids(_TRAIN), _image_ids(_VAL)
    trainval = tuple(sorted(train + val))
    everything = range(FIRST_ID, FIRST_ID + NUM_FRAMES)
    test = tuple(sorted(set(everything) - set(trainval)))
    return dict(train=train, val=val, trainval=trainval, test=test)


# Image numbers of train (381), val (414), trainval (795) and test (654).
SPLITS = _splits()


def category_of(name: str) -> str | None:
    """Detection class of one of the 894 label names, None if it is none.

    Args:
        name (str): As in ``nyu_depth_v2_labeled.mat`` (``'night stand'``) or
            in the authors' files (``'night-stand'``).

    Returns:
        str | None: One of :data:`CLASSES`.
    """
    name = name.replace(' ', '-')
    return name if name in CLASSES else None


def image_stem(image_id: int) -> str:
    """File name of an image without its suffix."""
    return f'img_{image_id:04d}'
