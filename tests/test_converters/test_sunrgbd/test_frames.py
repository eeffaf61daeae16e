"""Frames and splits of SUN RGB-D."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat
from sunrgbd_files import (
    SEQUENCES,
    SIZE,
    images,
    rotate_bits,
    tilt,
    write_frame,
    write_splits,
)

from mmxdistill.converters.sunrgbd import (
    SUNRGBDFrame,
    find_root,
    find_sequences,
    read_splits,
)
from mmxdistill.encodings import encode_hha_with_diagnostics

SEQUENCE = SEQUENCES[0]


@pytest.fixture
def frame(tmp_path: Path) -> SUNRGBDFrame:
    write_frame(tmp_path, SEQUENCE, rotation=tilt(20))
    return SUNRGBDFrame(tmp_path, SEQUENCE, 1)


def test_images(frame: SUNRGBDFrame) -> None:
    found = frame.read()
    _, depth, raw = images()
    np.testing.assert_array_equal(found.depth, depth)
    np.testing.assert_array_equal(found.raw_depth, raw)
    assert found.depth.dtype == found.raw_depth.dtype == np.uint16
    assert found.color == frame.folder / 'image/0000103.jpg'


def test_every_stored_value_is_decoded(tmp_path: Path) -> None:
    """The rotation is that of the data set's toolbox, bit by bit."""
    values = np.arange(1, 8001, dtype=np.uint16).reshape(80, 100)
    stored = [
        int(f'{v:016b}'[3:] + f'{v:016b}'[:3], 2) for v in range(1, 8001)
    ]
    np.testing.assert_array_equal(rotate_bits(values).ravel(), stored)
    color = np.zeros((80, 100, 3), np.uint8)
    matrix = ((90, 0, 50), (0, 90, 40), (0, 0, 1))
    write_frame(
        tmp_path, SEQUENCE, arrays=(color, values, values), matrix=matrix
    )
    found = SUNRGBDFrame(tmp_path, SEQUENCE, 1).read()
    np.testing.assert_array_equal(found.depth, values)


def test_far_and_missing_depth(tmp_path: Path) -> None:
    """8 metres are the limit, holes get the depth beside them."""
    color, depth, raw = images()
    depth[0, :5] = raw[0, :5] = 8001
    depth[1, :5] = raw[1, :5] = 8000
    depth[40:44, 50:55] = raw[40:44, 50:55] = 0
    write_frame(tmp_path, SEQUENCE, arrays=(color, depth, raw))
    found = SUNRGBDFrame(tmp_path, SEQUENCE, 1).read()
    assert (found.depth[:2, :5] == 8000).all()
    assert not found.raw_depth[0, :5].any()
    assert (found.raw_depth[1, :5] == 8000).all()
    hole = found.depth[40:44, 50:55]
    assert not found.raw_depth[40:44, 50:55].any()
    beside = depth[39:45, 49:56]
    assert np.isin(hole, beside[beside > 0]).all()


def test_camera_and_tilt(frame: SUNRGBDFrame) -> None:
    found = frame.read()
    camera = found.camera
    expected = (55, 56, 31.5, 24.25)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == expected
    # A camera that looks down by 20 degrees sees gravity to its front.
    angle = np.radians(20)
    np.testing.assert_allclose(
        found.gravity, [0, np.cos(angle), np.sin(angle)], atol=1e-6
    )
    shutil.rmtree(frame.folder / 'extrinsics')
    assert frame.read().gravity is None


def test_intrinsics_in_one_line(frame: SUNRGBDFrame) -> None:
    path = frame.folder / 'intrinsics.txt'
    path.write_text(path.read_text().replace('\n', ''))
    assert frame.read().camera.cy == 24.25


def test_names(frame: SUNRGBDFrame) -> None:
    assert frame.name == 'kv1_NYUdata_NYU0001'
    assert frame.sensor == 'kv1'
    assert str(frame) == SEQUENCE


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace_depth(image: np.ndarray):
    return lambda path: cv2.imwrite(str(path), image)


@pytest.mark.parametrize(
    ('member', 'damage', 'message'),
    [
        ('image/0000103.jpg', Path.unlink, 'image.* holds no .jpg'),
        ('image/0000103.jpg', truncate, r'0103\.jpg.* truncated'),
        ('depth_bfx/0000103.png', Path.unlink, 'depth_bfx.* holds no .png'),
        ('depth_bfx/0000103.png', truncate, r'depth_bfx/0000103\.png'),
        (
            'depth_bfx/0000103.png',
            replace_depth(np.zeros(SIZE, np.uint8)),
            '16-bit',
        ),
        (
            'depth_bfx/0000103.png',
            replace_depth(np.full((48, 63), 80, np.uint16)),
            r"0000103_abs\.png' has size \(64, 48\)",
        ),
        ('depth/0000103_abs.png', Path.unlink, "depth' holds no .png"),
        ('depth/0000103_abs.png', truncate, r'depth/0000103_abs\.png'),
        ('intrinsics.txt', Path.unlink, r"intrinsics\.txt' does not exist"),
        ('intrinsics.txt', truncate, 'must hold the 3 x 3 intrinsics: 9'),
        (
            'intrinsics.txt',
            lambda path: path.write_text('<html> not found </html>'),
            'must hold the 3 x 3 intrinsics: 9',
        ),
        (
            'intrinsics.txt',
            lambda path: path.write_text('529.5 0 365 0 529.5 265 0 0 1'),
            'intrinsics.txt.*not near the middle of the 64x48',
        ),
        (
            'extrinsics/20150922010143.txt',
            lambda path: path.write_text('1 0 0 0 0 2 0 0 0 0 1 0'),
            'holds no rotation',
        ),
        (
            'extrinsics/20150922010143.txt',
            lambda path: path.write_text('-1 0 0 0 0 1 0 0 0 0 1 0'),
            'holds no rotation',
        ),
        (
            'extrinsics/20150922010143.txt',
            truncate,
            'must hold the 3 x 4 extrinsics',
        ),
    ],
)
def test_bad_member(frame, member, damage, message) -> None:
    damage(frame.folder / member)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        frame.read()


def test_colour_of_another_size(frame: SUNRGBDFrame) -> None:
    image = np.zeros((40, 64, 3), np.uint8)
    cv2.imwrite(str(frame.folder / 'image/0000103.jpg'), image)
    with pytest.raises(ValueError, match=r'jpg. is 64x40, but .* 64x48'):
        frame.read()


def test_no_such_frame(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='img_7. does not exist'):
        SUNRGBDFrame(tmp_path, 'kv1/b3dodata/img_7', 1).read()


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='none of kv1, kv2'):
        find_root(tmp_path)
    root = tmp_path / 'SUNRGBD'
    for sequence in SEQUENCES:
        write_frame(root, sequence)
    assert find_root(tmp_path) == find_root(root) == root
    assert find_sequences(root) == set(SEQUENCES)


def test_splits(tmp_path: Path) -> None:
    path = tmp_path / 'allsplit.mat'
    write_splits(path, SEQUENCES[:2], SEQUENCES[2:])
    found = read_splits(path)
    assert found == dict(test=list(SEQUENCES[:2]), train=list(SEQUENCES[2:]))
    assert list(found) == ['test', 'train']  # the order of the numbers


def test_bad_splits(tmp_path: Path) -> None:
    path = tmp_path / 'allsplit.mat'
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_splits(path)
    savemat(path, dict(other=1))
    with pytest.raises(ValueError, match='no variable alltest, alltrain'):
        read_splits(path)
    write_splits(path, SEQUENCES[:2], SEQUENCES[1:])
    with pytest.raises(ValueError, match=r"twice, e\.g\. \['kv1/b3dodata"):
        read_splits(path)
    write_splits(path, ['kv1/../../x'], SEQUENCES)
    with pytest.raises(ValueError, match='alltest: .* no path of a frame'):
        read_splits(path)
    write_splits(path, SEQUENCES[:2], SEQUENCES[2:])
    truncate(path)
    with pytest.raises(ValueError, match='damaged or no MATLAB file'):
        read_splits(path)


@pytest.mark.parametrize('name', ['align_kv2', 'b3do_kv1'])
def test_real_frames(data_root: Path, tmp_path: Path, name: str) -> None:
    """Their tilt makes the floor flat."""
    sample = data_root / 'sunrgbd_samples' / name
    if not sample.is_dir():
        pytest.skip('no sample of SUN RGB-D')
    folder = tmp_path / 'kv2/sample/1'
    for place, member in {
        'image': 'image.jpg',
        'depth': 'depth_raw.png',
        'depth_bfx': 'depth.png',
        'extrinsics': 'extrinsics.txt',
    }.items():
        (folder / place).mkdir(parents=True)
        shutil.copy(sample / member, folder / place)
    shutil.copy(sample / 'intrinsics.txt', folder)
    found = SUNRGBDFrame(tmp_path, 'kv2/sample/1', 1).read()
    assert 500 < found.depth.min() and found.depth.max() <= 8000
    holes = (found.raw_depth == 0).mean()
    assert 0.1 < holes < 0.4
    # Where they see it, surfaces agree: an estimate from there stays there.
    _, estimate = encode_hha_with_diagnostics(
        found.depth,
        found.camera,
        found.raw_depth,
        initial_gravity=found.gravity,
    )
    cosine = estimate.gravity @ found.gravity
    assert np.degrees(np.arccos(cosine)) < 3
    assert estimate.tilt_degrees > 8
