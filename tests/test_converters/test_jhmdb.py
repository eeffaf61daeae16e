"""JHMDB."""

import pickle
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

sys.path.insert(0, str(Path(__file__).parent))

from video_files import (
    CLAP,
    GOLF,
    puppet_box,
    puppet_masks,
    videos,
    write_jhmdb,
    write_masks,
    write_splits,
    write_tubes,
)

from mmxdistill.converters.jhmdb import (
    CLASSES,
    SPLITS,
    JHMDBFolder,
    read_puppet_boxes,
    read_split,
    read_tubes,
)

SIZE = (32, 40)


def test_classes() -> None:
    assert len(set(CLASSES)) == 21
    assert list(CLASSES) == sorted(CLASSES)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """All splits, but only two videos."""
    write_jhmdb(tmp_path, names=[CLAP, GOLF])
    write_splits(tmp_path / 'splits')
    return tmp_path


def test_splits(root: Path) -> None:
    found = JHMDBFolder(root)
    assert list(found.splits) == list(SPLITS)
    assert found.videos == sorted(videos())
    for split in found.splits.values():
        assert not set(split['train']) & set(split['test'])
        assert sorted(split['train'] + split['test']) == found.videos
    tested = [CLAP in split['test'] for split in found.splits.values()]
    assert tested == [True, False, False]


def test_bad_splits(root: Path) -> None:
    folder = root / 'splits'
    with pytest.raises(ValueError, match=r'splits \(1, 2, 3\), not 4'):
        read_split(folder, 4)
    path = folder / 'golf_test_split2.txt'
    lines = path.read_text().splitlines()
    for content, message in (
        (f'{lines[0]}\n{lines[0]}\n', r'line 2: .*each video once'),
        (f'{lines[0]}\nvideo.avi 3\n', r'line 2: .*found .video.avi 3'),
        (f'{lines[0]}\n{lines[1][:-3]}', 'line 2: expected'),
        ('<html>', 'line 1: expected'),
        ('', 'is empty'),
    ):
        path.write_text(content)
        with pytest.raises(ValueError, match=message):
            read_split(folder, 2)
    path.write_text(f'{lines[0]}\n')
    with pytest.raises(ValueError, match=r'split 2 has not the videos of sp'):
        JHMDBFolder(root)
    path.unlink()
    with pytest.raises(ValueError, match=r"of no class: \['golf'\]"):
        read_split(folder, 2)
    path.write_text('\n'.join(lines))
    (folder / 'cartwheel_test_split2.txt').write_text('\n'.join(lines))
    with pytest.raises(ValueError, match=r"\['cartwheel'\].*HMDB51"):
        read_split(folder, 2)


@pytest.mark.parametrize(
    ('part', 'message'),
    [
        ('Rename_Images', r'lacks frames \(Rename_Images or Frames\)'),
        ('splits', 'lacks splits:'),
        ('puppet_mask', r'lacks labels \(puppet_mask or JHMDB-GT.pkl\)'),
    ],
)
def test_missing_part(root: Path, part: str, message: str) -> None:
    (root / part).rename(root / 'elsewhere')
    with pytest.raises(FileNotFoundError, match=message):
        JHMDBFolder(root)


@pytest.mark.parametrize('name', [CLAP, GOLF])
def test_video(root: Path, name: str) -> None:
    video = JHMDBFolder(root).read(name)
    assert video.name == name
    assert video.action == name.split('/', maxsplit=1)[0]
    assert video.size == SIZE
    folder = root / 'Rename_Images' / name
    assert video.frames == tuple(folder / f'{i:05d}.png' for i in range(1, 5))
    for i, boxes in enumerate(video.boxes):
        np.testing.assert_array_equal(boxes, [puppet_box(i)])
    assert not video.skipped


def mask_file(root: Path) -> Path:
    return root / 'puppet_mask' / CLAP / 'puppet_mask.mat'


def test_frames_without_masks(root: Path) -> None:
    """Masks may be empty, and those of the last frames may be missing."""
    masks = puppet_masks(3)
    masks[..., 1] = 0
    write_masks(mask_file(root), masks)
    boxes = JHMDBFolder(root).read(CLAP).boxes
    assert [len(rows) for rows in boxes] == [1, 0, 1, 0]


def test_video_of_one_mask(root: Path) -> None:
    write_masks(mask_file(root), puppet_masks(1)[..., 0])
    boxes = JHMDBFolder(root).read(CLAP).boxes
    assert [len(rows) for rows in boxes] == [1, 0, 0, 0]


def test_thin_mask(root: Path) -> None:
    """A box of one column is none for mmdet."""
    masks = puppet_masks(4)
    masks[..., 2] = 0
    masks[5:20, 7, 2] = 1
    write_masks(mask_file(root), masks)
    video = JHMDBFolder(root).read(CLAP)
    assert [len(rows) for rows in video.boxes] == [1, 1, 0, 1]
    (message,) = video.skipped
    assert 'frame 3: 1 boxes are empty or outside' in message


def test_bad_masks(root: Path) -> None:
    path = mask_file(root)
    write_masks(path, puppet_masks(5))
    with pytest.raises(ValueError, match=r'labels of 5 frames .* there are 4'):
        JHMDBFolder(root).read(CLAP)
    write_masks(path, puppet_masks(4, (32, 41)))
    with pytest.raises(ValueError, match=r'\(32, 41, 4\), expected \(32, 40'):
        read_puppet_boxes(path, SIZE)
    savemat(path, dict(pos_img=np.zeros((2, 15, 4))))
    with pytest.raises(ValueError, match='no variable part_mask'):
        read_puppet_boxes(path, SIZE)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='puppet_mask.mat'):
        JHMDBFolder(root).read(CLAP)


def test_bad_frames(root: Path) -> None:
    folder = root / 'Rename_Images' / CLAP
    (folder / '00002.png').unlink()
    with pytest.raises(ValueError, match=r'1 are missing: \[2\]'):
        JHMDBFolder(root).read(CLAP)
    (folder / '00001.png').write_bytes(b'\x89PNG')
    cv2.imwrite(str(folder / '00002.png'), np.zeros((32, 40, 3), np.uint8))
    with pytest.raises(ValueError, match=r'00001\.png. is truncated'):
        JHMDBFolder(root).read(CLAP)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        JHMDBFolder(root).read('wave/gone')


@pytest.fixture
def boxes_root(root: Path) -> Path:
    """As action-tube detectors are distributed: Frames and a pickle."""
    (root / 'puppet_mask').rename(root / 'elsewhere')
    (root / 'Rename_Images').rename(root / 'Frames')
    rows = [(i + 1, *puppet_box(i)) for i in range(4)]
    write_tubes(root / 'JHMDB-GT.pkl', {CLAP: rows, GOLF: rows[1:]})
    return root


def test_boxes(boxes_root: Path) -> None:
    source = JHMDBFolder(boxes_root)
    for name, first in ((CLAP, 0), (GOLF, 1)):
        video = source.read(name)
        assert [len(rows) for rows in video.boxes[:first]] == [0] * first
        for i in range(first, 4):
            np.testing.assert_array_equal(video.boxes[i], [puppet_box(i)])


def test_several_actors_and_boxes_outside(boxes_root: Path) -> None:
    rows = [
        (1, 2, 3, 12, 13),
        (1, 20, 3, 60, 13),
        (3, 50, 3, 60, 13),
        (3, 2, 3, 2, 13),
    ]
    write_tubes(boxes_root / 'JHMDB-GT.pkl', {GOLF: rows})
    read_tubes_again(boxes_root)
    video = JHMDBFolder(boxes_root).read(GOLF)
    np.testing.assert_array_equal(
        video.boxes[0], [(2, 3, 12, 13), (20, 3, 39, 13)]
    )
    assert [len(rows) for rows in video.boxes] == [2, 0, 0, 0]
    (message,) = video.skipped
    assert 'frame 3: 2 boxes are empty or outside the 40x32' in message


def read_tubes_again(root: Path) -> None:
    from mmxdistill.converters import jhmdb

    jhmdb._tubes_in_process.cache_clear()


def test_boxes_of_more_frames(boxes_root: Path) -> None:
    rows = [(i, 2, 3, 12, 13) for i in range(1, 8)]
    write_tubes(boxes_root / 'JHMDB-GT.pkl', {CLAP: rows})
    read_tubes_again(boxes_root)
    with pytest.raises(ValueError, match='labels of 7 frames'):
        JHMDBFolder(boxes_root).read(CLAP)


def test_corners_between_pixels(tmp_path: Path) -> None:
    path = tmp_path / 'JHMDB-GT.pkl'
    write_tubes(path, {CLAP: [(1, 2.5, 3, 12, 13)]})
    found = read_tubes(path)
    np.testing.assert_array_equal(found[CLAP][1], [(2.5, 3, 12, 13)])


class Evil:
    def __reduce__(self):
        return print, ('executed',)


def test_bad_pickles(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / 'JHMDB-GT.pkl'
    with pytest.raises(FileNotFoundError):
        read_tubes(path)
    for content in (
        b'',
        b'<html>',
        pickle.dumps([]),
        pickle.dumps(dict(labels=[])),
        pickle.dumps(dict(gttubes={CLAP: {0: [np.ones((3, 4))]}})),
        pickle.dumps(dict(gttubes={CLAP: {0: [np.zeros((3, 5))]}})),
        pickle.dumps(dict(gttubes={CLAP: Evil()})),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'JHMDB-GT\.pkl'):
            read_tubes(path)
    assert 'executed' not in capsys.readouterr().out
