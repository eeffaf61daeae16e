"""Readers of the package, each with a small file of its kind."""

import contextlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.fileio import get
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmxdistill.caffe.caffemodel import (
    CaffeLayer,
    CaffeModel,
    read_caffemodel,
    write_caffemodel,
)
from mmxdistill.caffe.definition import read_prototxt
from mmxdistill.datasets import PairedCocoDataset, PairedDataset
from mmxdistill.datasets.coco_file import read_coco
from mmxdistill.datasets.image_size import read_image_size
from mmxdistill.datasets.lists import read_list
from mmxdistill.datasets.proposal_file import ProposalFile
from mmxdistill.datasets.shards import ShardIndex, write_index
from mmxdistill.encodings.flow_io import read_flow, write_flow
from mmxdistill.models.networks import load_weights
from mmxdistill.registry import DATASETS, TRANSFORMS
from mmxdistill.visualization.transfer_curve import read_transfer_history

__all__ = ['COLOR', 'READERS', 'Reader', 'add', 'image', 'write']

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


def add(name: str, file: str, read: Callable[[Path], Any]) -> Any:
    """Decorator of the function that writes the file of a new reader."""

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


def write(content: bytes | str) -> Callable[[Path], Any]:
    """Writer of a file."""
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


add('coco', 'ann.json', read_coco)(write(json.dumps(_COCO)))
add('coco_data_set', 'set/ann.json', _paired)(write(json.dumps(_COCO)))
add('list', 'pairs.txt', read_list)(
    write('# pairs\na 1.jpg\tb.png\n"x ""y"".jpg"\tz,1.png\n')
)
add('list_data_set', 'set/pairs.txt', _paired)(write('a.jpg b\nc.1 d\n'))


def _proposals(path: Path) -> None:
    file = ProposalFile(path)
    for key in file.entries:
        file.boxes(key)


_ENTRY = dict(bboxes=_BOXES, scores=np.float32([1, 0.5]))
for _number in (2, 4):
    add(f'proposals_{_number}', 'proposals.pkl', _proposals)(
        write(pickle.dumps({'a/b.png': _ENTRY, 'a/c.png': _ENTRY}, _number))
    )
add('proposals_instances', 'proposals.pkl', _proposals)(
    write(pickle.dumps({'a/b.png': InstanceData(**_ENTRY)}))
)
add('proposals_list', 'proposals.pkl', _proposals)(
    write(pickle.dumps([np.ones((3, 5)), np.ones((2, 5), np.float32)]))
)
add('proposals_json', 'proposals.json', _proposals)(
    write(json.dumps({'a/b.png': dict(bboxes=_BOXES.tolist())}))
)


def _load(**transform: Any) -> Callable[[Path], Any]:
    pipeline = dict(
        type='mmxdistill.LoadModalities', modalities=dict(x=[transform])
    )
    loader = TRANSFORMS.build(pipeline)
    return lambda path: loader(dict(img_path=str(path)))


COLOR = _DRAW.integers(0, 255, (24, 32, 3)).astype(np.uint8)
_DEPTH = _DRAW.integers(500, 5000, (24, 32)).astype(np.uint16)
_load_color = _load(type='LoadImageFromFile')
_load_gray = _load(type='mmxdistill.LoadGrayImageFromFile')
_load_depth = _load(type='mmxdistill.LoadDepthFromFile')


def image(array: np.ndarray) -> Callable[[Path], Any]:
    """Writer of an image file."""
    return lambda path: cv2.imwrite(str(path), array)


for _suffix in ('jpg', 'png', 'bmp', 'tif', 'webp', 'ppm'):
    add(f'color_{_suffix}', f'color.{_suffix}', _load_color)(image(COLOR))
    add(f'size_{_suffix}', f'color.{_suffix}', read_image_size)(image(COLOR))
for _suffix in ('jpg', 'png', 'pgm'):
    add(f'gray_{_suffix}', f'gray.{_suffix}', _load_gray)(image(COLOR[..., 0]))
for _suffix in ('png', 'tif', 'pgm'):
    add(f'depth_{_suffix}', f'depth.{_suffix}', _load_depth)(image(_DEPTH))
add('depth_npy', 'depth.npy', _load_depth)(
    lambda path: np.save(path, _DEPTH / 1.5)
)
_FLOW = _DRAW.normal(size=(6, 8, 2)).astype(np.float32)
for _suffix in ('flo', 'png'):
    add(f'flow_{_suffix}', f'flow.{_suffix}', read_flow)(
        lambda path: write_flow(path, _FLOW)
    )
add(
    'camera',
    'camera.json',
    lambda path: TRANSFORMS.build(
        dict(type='mmxdistill.EncodeHHA', camera=str(path))
    ),
)(write(json.dumps(dict(fx=500.0, fy=500, cx=16, cy=12))))


@add('caffemodel', 'net.caffemodel', read_caffemodel)
def _caffemodel(path: Path) -> None:
    blobs = (_FLOW[..., 0].copy(), np.ones(6, np.float32))
    layer = CaffeLayer('conv1', 'Convolution', blobs=blobs)
    with contextlib.suppress(TypeError):
        write_caffemodel(path, CaffeModel('net', (layer,)))


add('prototxt', 'train.prototxt', read_prototxt)(
    write(
        'name: "net"\nlayer { name: "conv1" type: "Convolution" '
        'bottom: "data" top: "conv1" '
        'convolution_param { num_output: 6 kernel_size: 3 } }\n'
    )
)
_load_flow = _load(type='mmxdistill.LoadFlowFromFile')
for _suffix in ('flo', 'png'):
    add(f'flow_loader_{_suffix}', f'flow.{_suffix}', _load_flow)(
        lambda path: write_flow(path, _FLOW)
    )


def _build(name: str, **paths: Path) -> None:
    kwargs = {key: str(path) for key, path in paths.items()}
    TRANSFORMS.build(dict(type=f'mmxdistill.{name}', **kwargs))


add('matrix', 'h.json', lambda path: _build('WarpToReference', matrix=path))(
    write(json.dumps([[1, 0, 2], [0, 1.0, 3], [0, 0, 1]]))
)
add('maps', 'maps.npz', lambda path: _build('RemapToReference', maps=path))(
    lambda path: np.savez_compressed(path, x=_FLOW[..., 0], y=_FLOW[..., 1])
)
add(
    'log',
    'work/run/vis_data/scalars.json',
    lambda p: read_transfer_history(p.parents[2]),
)(write('{"loss": 1.5, "step": 1}\n{"loss": 0.5, "step": 2}\n'))


def _voc(path: Path) -> None:
    (path.parents[1] / 'test.txt').write_text('a\n')
    path.write_text(
        '<annotation><size><width>32</width><height>24</height></size>'
        '<object><name>car</name><difficult>0</difficult><bndbox>'
        '<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9.5</ymax>'
        '</bndbox></object></annotation>'
    )


def _read_voc(path: Path) -> None:
    root = path.parents[1]
    DATASETS.build(
        dict(
            type='XMLDataset',
            data_root=str(root),
            ann_file='test.txt',
            data_prefix=dict(sub_data_root=''),
            metainfo=dict(classes=('car',)),
            pipeline=[],
        )
    )


add('voc_xml', 'voc/Annotations/a.xml', _read_voc)(_voc)


def _shards(path: Path) -> None:
    with tarfile.open(path.with_name('pairs.tar'), 'w') as tar:
        for name in ('1.rgb.png', '1.x.png', '2.rgb.png', '2.x.png'):
            member = tarfile.TarInfo(name)
            member.size = 20
            tar.addfile(member, io.BytesIO(name.ljust(20).encode()))
    write_index(path.parent)


def _read_shards(path: Path) -> None:
    if path.suffix == '.tar':
        write_index(path.parent)
    for sample in ShardIndex(path.parent):
        for place in sample.values():
            get(place)


for _name in ('pairs.tar', 'index.json', 'index.npy'):
    add(f'shards_{_name}', f'shards/{_name}', _read_shards)(_shards)
_NETWORK = torch.nn.Sequential(torch.nn.Linear(2, 2))
add(
    'checkpoint',
    'net.pth',
    lambda path: load_weights(_NETWORK, str(path), 'network'),
)(lambda path: torch.save(dict(state_dict=_NETWORK.state_dict()), path))
