"""Writers of SUN RGB-D's files in the exact format of the published ones."""

import json
import shutil

import cv2
import numpy as np
from scipy.io import savemat

# A frame of every sensor, two of them of folders with one level more.
SEQUENCES = (
    'kv1/NYUdata/NYU0001',
    'kv1/b3dodata/img_0063',
    'kv2/align_kv2/2014-12-18_11-31-54_260595134347',
    'realsense/lg/2014_10_21-17_39_58-1311000073',
    'xtion/sun3ddata/home_ac/home_ac_scan1_2012_aug_22/0000007-000000253440',
)
SIZE = (48, 64)  # height, width
MATRIX = ((55, 0, 31.5), (0, 56, 24.25), (0, 0, 1))


def rotate_bits(millimetres):
    """As stored: the 16 bits rotated left by 3."""
    depth = np.asarray(millimetres, np.uint16)
    return (depth << 3) | (depth >> 13)


def tilt(degrees):
    """Rotation to the upright camera of one that looks down."""
    angle = np.radians(degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])


def images(seed=0):
    """Colour, depth without holes, depth with holes (millimetres)."""
    rng = np.random.default_rng(seed)
    color = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    color = cv2.resize(color, SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    rows, columns = np.indices(SIZE)
    depth = (3000 + 20 * rows + 7 * columns + seed).astype(np.uint16)
    depth[10:30, 20:40] = 1500
    raw = depth.copy()
    raw[:, -3:] = 0
    raw[12:15, 18:23] = 0
    return color, depth, raw


def text(matrix):
    lines = (' '.join(f'{value:.6f}' for value in row) for row in matrix)
    return ''.join(f'{line} \n' for line in lines)


def write_frame(
    root,
    sequence,
    seed=0,
    arrays=None,
    matrix=MATRIX,
    rotation=None,
    objects=(),
):
    """A frame's folder; ``objects`` are (name, outline, ...)."""
    color, depth, raw = arrays or images(seed)
    folder = root / sequence
    shutil.rmtree(folder, ignore_errors=True)
    for name in ('image', 'depth', 'depth_bfx', 'fullres'):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / 'image/0000103.jpg'), color)
    cv2.imwrite(str(folder / 'depth/0000103_abs.png'), rotate_bits(raw))
    cv2.imwrite(str(folder / 'depth_bfx/0000103.png'), rotate_bits(depth))
    (folder / 'intrinsics.txt').write_text(text(matrix))
    (folder / 'fullres/intrinsics.txt').write_text('0 0 0')
    (folder / 'scene.txt').write_text('office')
    if rotation is not None:
        (folder / 'extrinsics').mkdir()
        # The last counts.
        for name, turn in (('2014', np.eye(3)), ('2015', rotation)):
            path = folder / f'extrinsics/{name}0922010143.txt'
            path.write_text(text(np.hstack([turn, np.zeros((3, 1))])))
    write_polygons(folder / 'annotation2Dfinal/index.json', objects)
    return folder


def write_polygons(path, objects):
    """Objects with an unnamed one between them, as the published have."""
    names = [None]
    polygons = []
    for name, *outlines in objects:
        for outline in outlines:
            x, y = np.transpose(outline).tolist()
            polygons.append(
                dict(x=x, y=y, object=len(names), annotator='1.2.3.4')
            )
        names.append(dict(name=name))
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps(
            dict(
                date='Sun,15Feb2015',
                name='index.json',
                frames=[dict(polygon=polygons)],
                objects=names,
                conflictList=[None],
                fileList=['0000103.jpg'],
            )
        )
    )


def _cell(sequences):
    cell = np.empty((1, len(sequences)), object)
    for i, sequence in enumerate(sequences):
        # Some of the published paths end with a slash.
        cell[0, i] = f'/n/fs/sun3d/data/SUNRGBD/{sequence}' + '/' * (i % 2)
    return cell


def write_splits(path, test, train):
    """``allsplit.mat``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = np.array([(_cell(train)[:, :1], _cell(train)[:, 1:])], 'O,O')
    half.dtype.names = ('train', 'val')
    savemat(
        path,
        dict(alltest=_cell(test), alltrain=_cell(train), trainvalsplit=half),
    )


def write_boxes(path, labels):
    """``SUNRGBDMeta2DBB_v2.mat`` or ``SUNRGBDMeta.mat``."""
    names = [
        'sequenceName',
        'groundtruth2DBB',
        'depthpath',
        'rgbpath',
        'valid',
    ]
    meta = np.zeros((1, len(labels)), [(name, 'O') for name in names])
    for i, (sequence, boxes) in enumerate(labels.items()):
        truth = np.zeros(
            (1, len(boxes)),
            [(n, 'O') for n in ('objid', 'gtBb2D', 'classname', 'has3dbox')],
        )
        for j, (name, box) in enumerate(boxes):
            row = np.array([box] if box is not None else [])
            truth[0, j] = (j + 1, row, name, 1)
        place = f'/n/fs/sun3d/data/SUNRGBD/{sequence}'
        meta[0, i] = (f'SUNRGBD/{sequence}', truth, place, place, 1)
    variable = 'SUNRGBDMeta2DBB' if '2DBB' in path.name else 'SUNRGBDMeta'
    savemat(path, {variable: meta})
