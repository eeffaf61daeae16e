"""All readers of the package, each with a small file of its kind."""

import contextlib
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from scipy.io import savemat

from mmxdistill.caffe.caffemodel import (
    CaffeLayer,
    CaffeModel,
    read_caffemodel,
    write_caffemodel,
)
from mmxdistill.converters.images import read_image
from mmxdistill.converters.jhmdb import read_puppet_boxes, read_tubes
from mmxdistill.converters.mot import read_sequence
from mmxdistill.converters.nyud2 import read_mcg_boxes
from mmxdistill.converters.nyud2.raw import (
    read_color,
    read_disparity,
    read_frame_list,
)
from mmxdistill.converters.sunrgbd.frames import read_splits
from mmxdistill.converters.sunrgbd.labels import read_boxes, read_polygons
from mmxdistill.datasets import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.coco_file import read_coco
from mmxdistill.datasets.image_size import read_image_size
from mmxdistill.datasets.lists import read_list
from mmxdistill.datasets.proposal_file import ProposalFile
from mmxdistill.encodings.flow_io import read_flow, write_flow
from mmxdistill.registry import TRANSFORMS

__all__ = ['READERS', 'Reader']

init_default_scope('mmdet')


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        name: Of the reader.
        make: Folder -> a file that can be read.
        read: Reads it.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]


READERS: dict[str, Reader] = {}


def _add(name: str, file: str, read: Callable[[Path], Any]) -> Any:
    """Decorator of the function that writes the file."""

    def register(write: Callable[[Path], Any]) -> None:
        def make(folder: Path) -> Path:
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path)
            return path

        READERS[name] = Reader(name, make, read)

    return register


_DRAW = np.random.default_rng(0)
_BOXES = np.float32([[1, 2, 8, 9], [0, 0, 5, 5]])
_COCO = dict(
    images=[dict(id=1, file_name='a.png', width=9, height=12)],
    annotations=[
        dict(id=1, image_id=1, category_id=3, bbox=[1, 1, 4, 3], area=12)
    ],
    categories=[dict(id=3, name='car')],
)


def _write(content: bytes | str) -> Callable[[Path], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def _paired(path: Path) -> None:
    kwargs = dict(
        data_root=str(path.parent),
        ann_file=path.name,
        modalities=dict(rgb='c/{stem}.png', x='{file_name}'),
        pipeline=[],
        check_pairs=False,
    )
    PairedDataset(**kwargs)
    if path.suffix == '.json':
        PairedCocoDataset(metainfo=dict(classes=('car',)), **kwargs)


_add('coco', 'ann.json', read_coco)(_write(json.dumps(_COCO)))
_add('coco_data_set', 'set/ann.json', _paired)(_write(json.dumps(_COCO)))
_add('list', 'pairs.txt', read_list)(
    _write('# pairs\na 1.jpg\tb.png\n"x ""y"".jpg"\tz,1.png\n')
)
_add('list_data_set', 'set/pairs.txt', _paired)(_write('a.jpg b\nc.1 d\n'))


def _proposals(path: Path) -> None:
    file = ProposalFile(path)
    for key in file.entries:
        file.boxes(key)


_ENTRY = dict(bboxes=_BOXES, scores=np.float32([1, 0.5]))
for _number in (2, 4):
    _add(f'proposals_{_number}', 'proposals.pkl', _proposals)(
        _write(pickle.dumps({'a/b.png': _ENTRY, 'a/c.png': _ENTRY}, _number))
    )
_add('proposals_instances', 'proposals.pkl', _proposals)(
    _write(pickle.dumps({'a/b.png': InstanceData(**_ENTRY)}))
)
_add('proposals_list', 'proposals.pkl', _proposals)(
    _write(pickle.dumps([np.ones((3, 5)), np.ones((2, 5), np.float32)]))
)
_add('proposals_json', 'proposals.json', _proposals)(
    _write(json.dumps({'a/b.png': dict(bboxes=_BOXES.tolist())}))
)


def _load(**transform: Any) -> Callable[[Path], Any]:
    pipeline = dict(
        type='mmxdistill.LoadModalities', modalities=dict(x=[transform])
    )
    loader = TRANSFORMS.build(pipeline)
    return lambda path: loader(dict(img_path=str(path)))


_COLOR = _DRAW.integers(0, 255, (24, 32, 3)).astype(np.uint8)
_DEPTH = _DRAW.integers(500, 5000, (24, 32)).astype(np.uint16)
_load_color = _load(type='LoadImageFromFile')
_load_gray = _load(type='mmxdistill.LoadGrayImageFromFile')
_load_depth = _load(type='mmxdistill.LoadDepthFromFile')


def _image(array: np.ndarray) -> Callable[[Path], Any]:
    return lambda path: cv2.imwrite(str(path), array)


for _suffix in ('jpg', 'png', 'bmp', 'tif', 'webp', 'ppm'):
    _add(f'color_{_suffix}', f'color.{_suffix}', _load_color)(_image(_COLOR))
    _add(f'size_{_suffix}', f'color.{_suffix}', read_image_size)(
        _image(_COLOR)
    )
for _suffix in ('jpg', 'png', 'pgm'):
    _add(f'gray_{_suffix}', f'gray.{_suffix}', _load_gray)(
        _image(_COLOR[..., 0])
    )
for _suffix in ('png', 'tif', 'pgm'):
    _add(f'depth_{_suffix}', f'depth.{_suffix}', _load_depth)(_image(_DEPTH))
_add('depth_npy', 'depth.npy', _load_depth)(
    lambda path: np.save(path, _DEPTH / 1.5)
)
_add('converter_image', 'image.jpg', read_image)(_image(_COLOR))
_FLOW = _DRAW.normal(size=(6, 8, 2)).astype(np.float32)
for _suffix in ('flo', 'png'):
    _add(f'flow_{_suffix}', f'flow.{_suffix}', read_flow)(
        lambda path: write_flow(path, _FLOW)
    )
_add(
    'camera',
    'camera.json',
    lambda path: TRANSFORMS.build(
        dict(type='mmxdistill.EncodeHHA', camera=str(path))
    ),
)(_write(json.dumps(dict(fx=500.0, fy=500, cx=16, cy=12))))


@_add('caffemodel', 'net.caffemodel', read_caffemodel)
def _caffemodel(path: Path) -> None:
    blobs = (_FLOW[..., 0].copy(), np.ones(6, np.float32))
    layer = CaffeLayer('conv1', 'Convolution', blobs=blobs)
    with contextlib.suppress(TypeError):
        write_caffemodel(path, CaffeModel('net', (layer,)))


def _mat(**variables: Any) -> Callable[[Path], Any]:
    return lambda path: savemat(path, variables, do_compression=True)


def _cells(*items: Any) -> np.ndarray:
    cells = np.empty((len(items), 1), object)
    for index, item in enumerate(items):
        cells[index, 0] = item
    return cells


_add('mcg', 'mcg.mat', read_mcg_boxes)(
    _mat(imnames=_cells('img_5001'), bboxes=_cells(_BOXES + 1.0))
)
_add('puppet', 'puppet_mask.mat', lambda p: read_puppet_boxes(p, (24, 32)))(
    _mat(part_mask=np.ones((24, 32, 3), np.uint8))
)
_add('sunrgbd_boxes', 'SUNRGBDMeta2DBB_v2.mat', read_boxes)(
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
_add('sunrgbd_splits', 'allsplit.mat', read_splits)(
    _mat(
        alltest=_cells('SUNRGBD/kv1/NYUdata/NYU0001'),
        alltrain=_cells('SUNRGBD/kv1/NYUdata/NYU0002'),
    )
)
_add('sunrgbd_outlines', 'index.json', read_polygons)(
    _write(
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
_add('tubes', 'JHMDB-GT.pkl', read_tubes)(
    _write(pickle.dumps(dict(gttubes={'a/b': {0: [np.ones((3, 5))]}}), 2))
)


def _sequence(path: Path) -> None:
    """Frames and both files of a MOT sequence."""
    root = path.parents[path.parent.name == 'gt']
    (root / 'img1').mkdir(parents=True, exist_ok=True)
    (root / 'gt').mkdir(exist_ok=True)
    for number in (1, 2):
        cv2.imwrite(str(root / f'img1/{number:06d}.jpg'), _COLOR)
    (root / 'gt/gt.txt').write_text('1,1,3,4,9,9,1\n2,1,3,4,9.5,9,1\n')
    (root / 'seqinfo.ini').write_text(
        '[Sequence]\nname=a\nseqLength=2\nimWidth=32\nimHeight=24\n'
    )


_add('mot_boxes', 's/gt/gt.txt', lambda p: read_sequence(p.parents[1]))(
    _sequence
)
_add('mot_info', 's/seqinfo.ini', lambda p: read_sequence(p.parent))(_sequence)
_add('nyud2_color', 'r-1.ppm', read_color)(
    _image(cv2.resize(_COLOR, (640, 480)))
)
_add('nyud2_depth', 'd-1.pgm', read_disparity)(
    _image(np.full((480, 640), 700, np.uint16))
)
_add(
    'nyud2_frames',
    'frames.txt',
    lambda path: read_frame_list(path, {'s': Path('s')}),
)(_write('# frames\na s/r-1.ppm s/d-1.pgm\nb s/r-2.ppm s/d-2.pgm\n'))
