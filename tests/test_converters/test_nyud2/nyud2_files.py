"""Writers of NYUD2's files in the exact format of the published ones."""

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from mmxdistill.converters.nyud2 import CLASSES, FIRST_ID, NUM_FRAMES

# Not in alphabetical order, with names of no class and one with a space.
NAMES = (
    'book', 'wall', *(name.replace('-', ' ') for name in CLASSES), 'night',
)  # fmt: skip


def label(name):
    """Label of a name: its place in ``names``, counted from 1."""
    return NAMES.index(name) + 1


def frame(seed=0):
    """A labelled frame (480x640), as arrays in the order of images."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    image = cv2.resize(image, (640, 480), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.indices((480, 640))
    depth = (2 + rows / 400 + columns / 800).astype(np.float32)
    depth[100:200, 300:420] = 1.5
    raw = depth.copy()
    raw[150:160, 100:110] = 0
    return dict(
        images=image[..., ::-1],
        depths=depth,
        rawDepths=raw,
        labels=np.zeros((480, 640), np.uint16),
        instances=np.zeros((480, 640), np.uint8),
    )


def _cell(file, name, texts):
    """A cell array of strings (n, 1) in MATLAB, (1, n) in the file."""
    import h5py

    refs = file.require_group('#refs#')
    cells = file.create_dataset(name, (1, len(texts)), h5py.ref_dtype)
    cells.attrs['MATLAB_class'] = np.bytes_('cell')
    stored = {}
    for text in texts:
        if text not in stored:
            stored[text] = _string(refs, f'{name}{len(stored)}', text).ref
    cells[0] = np.array([stored[text] for text in texts], h5py.ref_dtype)


def _string(refs, key, text):
    if text:
        codes = np.array([ord(c) for c in text], np.uint16)[:, None]
    else:  # MATLAB stores the size of what is empty
        codes = np.zeros(2, np.uint64)
    item = refs.create_dataset(key, data=codes)
    item.attrs['MATLAB_class'] = np.bytes_('char')
    item.attrs['MATLAB_int_decode'] = np.int32(2)
    if not text:
        item.attrs['MATLAB_empty'] = np.uint8(1)
    return item


def write_labeled(
    path, frames, scenes=(), names=NAMES, num_frames=NUM_FRAMES, skip=()
):
    """``nyu_depth_v2_labeled.mat``: HDF5 of MATLAB v7.3.

    Frames that are not given are not stored: they read as zeros.
    """
    import h5py

    kinds = dict(
        images=('u1', (3, 640, 480)),
        depths=('f4', (640, 480)),
        rawDepths=('f4', (640, 480)),
        labels=('u2', (640, 480)),
        instances=('u1', (640, 480)),
    )
    with h5py.File(path, 'w', userblock_size=512) as file:
        for name, (kind, shape) in kinds.items():
            if name in skip:
                continue
            data = file.create_dataset(
                name,
                (num_frames, *shape),
                kind,
                chunks=(1, *shape),
                compression='gzip',
                compression_opts=3,
            )
            for image_id, arrays in frames.items():
                data[image_id - FIRST_ID] = arrays[name].T
        texts = dict(names=names, scenes=scenes or ['den_0001'] * num_frames)
        for name, values in texts.items():
            if name not in skip:
                _cell(file, name, values)
        file.create_dataset('accelData', (4, num_frames), 'f8')
    header = 'MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .'
    with open(path, 'r+b') as file:
        file.write(header.ljust(124).encode() + b'\x00\x02IM')


def write_record(path, objects):
    """Annotation of an image: struct ``rec`` with a struct array."""
    fields = ('instanceId', 'difficult', 'truncated', 'bbox', 'class')
    array = np.empty((1, len(objects)), [(name, 'O') for name in fields])
    for i, (category, box, instance) in enumerate(objects):
        array[0, i] = (
            float(instance),
            False,
            False,
            np.array([box], np.float64),
            category,
        )
    rec = dict(objects=array, imgsize=np.array([[425.0, 560.0]]))
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), dict(rec=rec), do_compression=True)


def write_segmentation(path, segmentation):
    """Ground truth of an image: ``groundTruth{1}.Segmentation``."""
    cell = np.empty((1, 1), object)
    cell[0, 0] = dict(
        Segmentation=segmentation.astype(np.uint16),
        SegmentationClass=np.zeros(segmentation.shape),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), dict(groundTruth=cell), do_compression=True)


def write_mcg(path, boxes):
    """Proposals: cells ``imnames`` and ``bboxes``, (y1, x1, y2, x2)."""
    names, cells = (np.empty((len(boxes), 1), object) for _ in range(2))
    for i, (name, rows) in enumerate(boxes.items()):
        names[i, 0], cells[i, 0] = name, np.array(rows, np.float64)
    savemat(str(path), dict(imnames=names, bboxes=cells), do_compression=True)


def write_authors(root, splits, frames, segmentations=()):
    """The authors' folder.

    Args:
        root (Path): Folder to write.
        splits (dict): ``nyusplits.mat``.
        frames (dict): Image number -> objects of :func:`write_record`.
        segmentations (dict): Image number -> instance per pixel.
    """
    benchmark = root / 'nyud2/benchmarkData'
    metadata = benchmark / 'metadata/nyusplits.mat'
    metadata.parent.mkdir(parents=True)
    columns = {k: np.array(v, np.float64)[:, None] for k, v in splits.items()}
    savemat(str(metadata), columns)
    for image_id, objects in frames.items():
        stem = f'img_{image_id}'
        write_record(benchmark / f'gt_box_cache_dir/{stem}.mat', objects)
        for folder in ('images', 'hha'):
            path = root / f'nyud2/data/{folder}/{stem}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image = np.full((425, 560, 3), image_id % 251, np.uint8)
            cv2.imwrite(str(path), image)
    for image_id, segmentation in dict(segmentations).items():
        path = benchmark / f'groundTruth/img_{image_id}.mat'
        write_segmentation(path, segmentation)


def write_ppm(path, image):
    """A raw colour frame; ``image`` is BGR (480, 640, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = image.shape[:2]
    head = f'P6 {width} {height} 255\n'.encode()
    path.write_bytes(head + image[..., ::-1].tobytes())


def write_pgm(path, disparity, order='<u2'):
    """A raw depth frame, the low byte first unless ``order`` says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = disparity.shape
    head = f'P5 {width} {height} 65535\n'.encode()
    path.write_bytes(head + disparity.astype(order).tobytes())


def write_video(folder: Path, color_times, depth_times, ticks=True):
    """Frames of a video; the disparity is 1000, the colours grey."""
    tail = '-{:d}' if ticks else ''
    for i, time in enumerate(color_times):
        name = f'r-{time:.6f}' + tail.format(1000 + i)
        write_ppm(folder / f'{name}.ppm', np.full((480, 640, 3), 99, np.uint8))
    for i, time in enumerate(depth_times):
        name = f'd-{time:.6f}' + tail.format(2000 + i)
        write_pgm(folder / f'{name}.pgm', np.full((480, 640), 1000))
