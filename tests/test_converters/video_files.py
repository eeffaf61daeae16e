"""Writers of JHMDB, UCF101 and MOTChallenge in their published formats."""

import pickle

import cv2
import numpy as np
from scipy.io import savemat

from mmxdistill.converters.jhmdb import CLASSES, SPLITS

# HMDB51's names begin with # and hold all kinds of characters.
CLAP = 'clap/#20_Rhythm_clap_u_nm_np1_fr_goo_5'
GOLF = 'golf/Golf(Slow)!&more_golf_f_cm_np1_ba_bad_0'


def moving_frames(count, seed=0, size=(32, 40)):
    """Colour frames of a texture that drifts."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (24, 30, 3), np.uint8)
    whole = cv2.resize(noise, (120, 96), interpolation=cv2.INTER_CUBIC)
    height, width = size
    return [
        np.ascontiguousarray(whole[i : i + height, 2 * i : 2 * i + width])
        for i in range(count)
    ]


def write_frames(folder, frames, name='{:05d}.png'):
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, 1):
        cv2.imwrite(str(folder / name.format(number)), frame)


def puppet_masks(count, size=(32, 40)):
    """Masks (height, width, frames) whose box is ``puppet_box(i)``."""
    masks = np.zeros((*size, count), np.uint8)
    for i in range(count):
        x1, y1, x2, y2 = puppet_box(i)
        # Not a full rectangle: a cross.
        masks[y1 : y2 + 1, (x1 + x2) // 2, i] = 1
        masks[(y1 + y2) // 2, x1 : x2 + 1, i] = 1
    return masks


def puppet_box(i):
    """First and last column and row in frame i, counted from 0."""
    return 3 + 2 * i, 4 + i, 12 + 2 * i, 25 + i


def write_masks(path, masks):
    """``puppet_mask.mat``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, dict(part_mask=masks), do_compression=True)


def videos():
    """Two videos of every class and one that is called like a comment."""
    names = [
        f'{action}/video_{i}_{action}_u_nm_np1_fr_goo_{i}'
        for action in CLASSES
        for i in range(2)
    ]
    return [*names, CLAP, GOLF]


def write_splits(folder, names=None):
    """Split files: of every class, video i is for testing in split i."""
    folder.mkdir(parents=True, exist_ok=True)
    for action in CLASSES:
        found = sorted(
            name.split('/')[1]
            for name in names or videos()
            if name.startswith(f'{action}/')
        )
        for split in SPLITS:
            lines = [
                f'{name}.avi {2 if i % len(SPLITS) == split - 1 else 1} '
                for i, name in enumerate(found)
            ]
            path = folder / f'{action}_test_split{split}.txt'
            path.write_text('\r\n'.join([*lines, '']))


def write_jhmdb(root, count=4, names=None):
    """Frames, masks and splits of all videos."""
    for number, name in enumerate(names or videos()):
        frames = moving_frames(count, seed=number)
        write_frames(root / 'Rename_Images' / name, frames)
        path = root / 'puppet_mask' / name / 'puppet_mask.mat'
        write_masks(path, puppet_masks(count))
    write_splits(root / 'splits', names)


def write_tubes(path, tubes):
    """``JHMDB-GT.pkl``; ``tubes`` are rows (frame, x1, y1, x2, y2)."""
    content = dict(
        labels=list(CLASSES),
        gttubes={
            name: {CLASSES.index(name.split('/')[0]): [np.array(rows)]}
            for name, rows in tubes.items()
        },
        nframes={name: len(rows) for name, rows in tubes.items()},
        train_videos=[list(tubes)],
        test_videos=[[]],
        resolution=dict.fromkeys(tubes, (32, 40)),
    )
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_avi(path, frames):
    """A video as UCF101's: XviD in an AVI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = cv2.VideoWriter.fourcc(*'XVID')
    writer = cv2.VideoWriter(str(path), codec, 25, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()


def write_mot(folder, count=4, rows=None, columns=10, seed=0):
    """A sequence; ``rows`` are the labels without what follows the box."""
    frames = moving_frames(count, seed)
    write_frames(folder / 'img1', frames, '{:06d}.jpg')
    height, width = frames[0].shape[:2]
    (folder / 'seqinfo.ini').write_text(
        f'[Sequence]\nname={folder.name}\nimDir=img1\nframeRate=25\n'
        f'seqLength={count}\nimWidth={width}\nimHeight={height}\n'
        'imExt=.jpg\n\n'
    )
    if rows is None:
        rows = [(i + 1, 1, 4 + i, 5, 12, 20) for i in range(count)]
    tail = {10: (1, -1, -1, -1), 9: (1, 1, 0.8)}[columns]
    lines = [','.join(map(str, (*row, *tail)[:columns])) for row in rows]
    (folder / 'gt').mkdir()
    (folder / 'gt/gt.txt').write_text('\n'.join([*lines, '']))
