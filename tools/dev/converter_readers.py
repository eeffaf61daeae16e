"""Readers of published data sets, each with a small file of its kind."""

import argparse
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from readers import COLOR, add, image, write
from scipy.io import savemat

from mmxdistill.classes import JHMDB_CLASSES
from mmxdistill.converters import jhmdb, ucf101
from mmxdistill.converters.arguments import find_camera
from mmxdistill.converters.clips import find_clips
from mmxdistill.converters.images import read_image
from mmxdistill.converters.mot import read_sequence
from mmxdistill.converters.nyud2 import (
    CLASSES,
    FIRST_ID,
    AuthorsFolder,
    LabeledFile,
    labeled,
    read_mcg_boxes,
)
from mmxdistill.converters.nyud2.detection import read_record
from mmxdistill.converters.nyud2.raw import (
    read_color,
    read_disparity,
    read_frame_list,
)
from mmxdistill.converters.settings import read_settings
from mmxdistill.converters.sunrgbd.frames import SUNRGBDFrame, read_splits
from mmxdistill.converters.sunrgbd.labels import read_boxes, read_polygons

add('converter_image', 'image.jpg', read_image)(image(COLOR))


def _mat(**variables: Any) -> Callable[[Path], Any]:
    return lambda path: savemat(path, variables, do_compression=True)


def _cells(*items: Any) -> np.ndarray:
    cells = np.empty((len(items), 1), object)
    for index, item in enumerate(items):
        cells[index, 0] = item
    return cells


add('mcg', 'mcg.mat', read_mcg_boxes)(
    _mat(imnames=_cells('img_5001'), bboxes=_cells(np.ones((2, 4))))
)
add(
    'puppet', 'puppet_mask.mat', lambda p: jhmdb.read_puppet_boxes(p, (24, 32))
)(_mat(part_mask=np.ones((24, 32, 3), np.uint8)))
add('sunrgbd_boxes', 'SUNRGBDMeta2DBB_v2.mat', read_boxes)(
    _mat(
        SUNRGBDMeta2DBB=[
            dict(
                sequenceName='SUNRGBD/kv1/NYUdata/NYU0001',
                groundtruth2DBB=[
                    dict(classname='chair', gtBb2D=np.ones((1, 4)))
                ],
            )
        ]
    )
)
add('sunrgbd_splits', 'allsplit.mat', read_splits)(
    _mat(
        alltest=_cells('SUNRGBD/kv1/NYUdata/NYU0001'),
        alltrain=_cells('SUNRGBD/kv1/NYUdata/NYU0002'),
    )
)
add('sunrgbd_outlines', 'index.json', read_polygons)(
    write(
        json.dumps(
            dict(
                frames=[
                    dict(polygon=[dict(object=0, x=[1, 2, 3], y=[1, 5, 3])])
                ],
                objects=[dict(name='chair')],
            )
        )
    )
)
add('tubes', 'JHMDB-GT.pkl', jhmdb.read_tubes)(
    write(pickle.dumps(dict(gttubes={'a/b': {0: [np.ones((3, 5))]}}), 2))
)


def _sequence(path: Path) -> None:
    """Frames and both files of a MOT sequence."""
    root = path.parents[path.parent.name == 'gt']
    (root / 'img1').mkdir(parents=True, exist_ok=True)
    (root / 'gt').mkdir(exist_ok=True)
    for number in (1, 2):
        cv2.imwrite(str(root / f'img1/{number:06d}.jpg'), COLOR)
    (root / 'gt/gt.txt').write_text('1,1,3,4,9,9,1\n2,1,3,4,9.5,9,1\n')
    (root / 'seqinfo.ini').write_text(
        '[Sequence]\nname=a\nseqLength=2\nimWidth=32\nimHeight=24\n'
    )


add('mot_boxes', 's/gt/gt.txt', lambda p: read_sequence(p.parents[1]))(
    _sequence
)
add('mot_info', 's/seqinfo.ini', lambda p: read_sequence(p.parent))(_sequence)
add('nyud2_color', 'r-1.ppm', read_color)(image(cv2.resize(COLOR, (640, 480))))
add('nyud2_depth', 'd-1.pgm', read_disparity)(
    image(np.full((480, 640), 700, np.uint16))
)
add(
    'nyud2_frames',
    'frames.txt',
    lambda path: read_frame_list(path, {'s': Path('s')}),
)(write('# frames\na s/r-1.ppm s/d-1.pgm\nb s/r-2.ppm s/d-2.pgm\n'))
add('settings', 'out/settings.json', read_settings)(
    write(json.dumps(dict(encoding='hha', camera='nyud2_cropped', unit=1.0)))
)
add('record', 'records/img_5001.json', read_record)(
    write(json.dumps(dict(source='LabeledFile', image=dict(annotations=[]))))
)
add('ucf101', 'mine.txt', ucf101.read_split)(
    write('A/v_A_g01_c01.avi 1\nA/v_A_g01_c02.avi 1\r\nB/v_B_g25_c01.avi 2\n')
)
add('ucf101_video', 'v_A_g01_c01.avi', ucf101.check_avi)(
    write(b'RIFF' + (40).to_bytes(4, 'little') + b'AVI ' + bytes(36))
)


def _camera(path: Path) -> None:
    try:
        find_camera(str(path))
    except argparse.ArgumentTypeError as error:  # as argparse wants it
        raise ValueError(*error.args) from error


add('camera_option', 'camera.json', _camera)(
    write(json.dumps(dict(fx=500.0, fy=500, cx=16, cy=12)))
)


@add(
    'jhmdb_split',
    'splits/clap_test_split1.txt',
    lambda path: jhmdb.read_split(path.parent, 1),
)
def _jhmdb_split(path: Path) -> None:
    for action in JHMDB_CLASSES:
        file = path.with_name(f'{action}_test_split1.txt')
        file.write_text('a.avi 1\nb.avi 2\n')


def _video(path: Path) -> None:
    fourcc = cv2.VideoWriter.fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), fourcc, 25, COLOR.shape[1::-1])
    for _ in range(3):
        writer.write(COLOR)
    writer.release()


def _read_video(path: Path) -> None:
    (clip,) = find_clips(path, None)
    try:
        for _, frame in clip.read(range(clip.length())):
            if isinstance(frame, Exception):
                raise frame
    except ValueError as error:
        raise ValueError(f'{clip}: {error}') from error


add('video', 'clip.avi', _read_video)(_video)


def _authors(path: Path) -> None:
    root = path.parents[[p.name for p in path.parents].index('nyud2')]
    for folder in ('data/images', 'data/hha'):
        (root / folder).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / folder / f'img_{FIRST_ID}.png'), COLOR)
    ids = dict(
        train=[[FIRST_ID]],
        val=[[FIRST_ID + 1]],
        trainval=[[FIRST_ID], [FIRST_ID + 1]],
        test=[[FIRST_ID + 2]],
    )
    box = np.float64([[2, 3, 9, 12]])
    mask = np.zeros(COLOR.shape[:2], np.uint16)
    mask[2:12, 1:9] = 7
    found = {'class': 'chair', 'instanceId': 7.0, 'bbox': box}
    rec = dict(rec=dict(objects=[found]))
    truth = dict(groundTruth=_cells(dict(Segmentation=mask)))
    for name, content in (
        ('metadata/nyusplits', ids),
        (f'gt_box_cache_dir/img_{FIRST_ID}', rec),
        (f'groundTruth/img_{FIRST_ID}', truth),
    ):
        file = root / f'benchmarkData/{name}.mat'
        file.parent.mkdir(parents=True, exist_ok=True)
        savemat(file, content, do_compression=True)


def _read_authors(path: Path) -> None:
    root = path.parents[[p.name for p in path.parents].index('nyud2')]
    AuthorsFolder(root).read(FIRST_ID)


for _name in (
    'metadata/nyusplits',
    f'gt_box_cache_dir/img_{FIRST_ID}',
    f'groundTruth/img_{FIRST_ID}',
):
    add(
        f'authors_{_name.partition("/")[0]}',
        f'nyud2/benchmarkData/{_name}.mat',
        _read_authors,
    )(_authors)


def _read_labeled(path: Path) -> None:
    LabeledFile(path).read(FIRST_ID)
    # Kept open for the next frame, which is another file here.
    labeled._open_in_process.cache_clear()


@add('nyud2_labeled', 'nyu_depth_v2_labeled.mat', _read_labeled)
def _labeled(path: Path) -> None:
    size = (640, 480)
    with h5py.File(path, 'w') as file:
        for name, kind, shape in (
            ('images', 'u1', (3, *size)),
            ('depths', 'f4', size),
            ('rawDepths', 'f4', size),
            ('labels', 'u2', size),
            ('instances', 'u1', size),
        ):
            values = np.ones((1, *shape), kind)
            file.create_dataset(
                name, data=values, chunks=values.shape, compression='gzip'
            )
        texts = dict(names=('wall', *CLASSES), scenes=('den_0001',))
        for name, words in texts.items():
            cells = file.create_dataset(name, (1, len(words)), h5py.ref_dtype)
            for index, word in enumerate(words):
                codes = np.array([[ord(letter)] for letter in word], 'u2')
                text = file.create_dataset(f'#refs#/{name}{index}', data=codes)
                cells[0, index] = text.ref


def _sunrgbd(path: Path) -> None:
    root = path.parents[[p.name for p in path.parents].index('frame')]
    depth = np.full(COLOR.shape[:2], 2000 << 3, np.uint16)
    for name, pixels in (
        ('image/1.jpg', COLOR),
        ('depth/1.png', depth),
        ('depth_bfx/1.png', depth),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), pixels)
    (root / 'extrinsics').mkdir(exist_ok=True)
    (root / 'extrinsics/1.txt').write_text('1 0 0 0\n0 1 0 0\n0 0 1 0\n')
    (root / 'intrinsics.txt').write_text('30 0 16 0 30 12 0 0 1\n')


def _read_sunrgbd(path: Path) -> None:
    root = path.parents[[p.name for p in path.parents].index('frame')]
    SUNRGBDFrame(root.parent, 'frame', 1).read()


for _name in ('intrinsics.txt', 'extrinsics/1.txt', 'depth_bfx/1.png'):
    add(f'sunrgbd_{_name.split("/")[0]}', f'frame/{_name}', _read_sunrgbd)(
        _sunrgbd
    )


@add('mot_labels', 's/gt/labels.txt', lambda p: read_sequence(p.parents[1]))
def _labels(path: Path) -> None:
    _sequence(path)
    path.write_text('pedestrian\ncar\n')
    path.with_name('gt.txt').write_text(
        '1,1,3,4,9,9,1,1,1\n2,1,3,4,9,9,1,2,1\n'
    )
