import os
import pickle
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from mmxdistill.converters.nyud2 import CROP, SPLITS, LabeledFile
from mmxdistill.converters.nyud2 import labeled as module

h5py = pytest.importorskip('h5py')
from nyud2_files import NAMES, frame, label, write_labeled  # noqa: E402


@pytest.fixture
def arrays():
    data = frame()
    labels, instances = data['labels'], data['instances']
    labels[100:200, 300:420] = label('chair')
    instances[100:200, 300:420] = 1
    labels[220:260, 300:340] = label('chair')
    instances[220:260, 300:340] = 2
    # Cut by the crop's border, and wholly outside of it.
    labels[:60, 30:90] = label('night stand')
    labels[200:300, :30] = label('bed')
    labels[400:440, 100:200] = label('wall')
    return data


def test_frame(tmp_path, arrays):
    write_labeled(tmp_path / 'l.mat', {5003: arrays})
    source = LabeledFile(tmp_path / 'l.mat')
    assert len(source) == 1449
    found = source.read(5003)
    np.testing.assert_array_equal(
        found.image, arrays['images'][CROP][..., ::-1]
    )
    assert found.image.flags.c_contiguous
    for mine, name in (
        (found.depth, 'depths'),
        (found.depth_raw, 'rawDepths'),
    ):
        expected = arrays[name][CROP].astype(np.float64) * 1000
        np.testing.assert_allclose(mine, expected, atol=0.501)
        assert mine.dtype == np.uint16 and mine.shape == (425, 560)
    assert found.scene == 'den_0001'


def test_objects(tmp_path, arrays):
    write_labeled(tmp_path / 'l.mat', {5003: arrays})
    found = LabeledFile(tmp_path / 'l.mat').read(5003).objects
    # The crop starts at column 40 and row 45.
    assert [(o.category, o.instance, o.box) for o in found] == [
        ('chair', 1, (260, 55, 379, 154)),
        ('chair', 2, (260, 175, 299, 214)),
        ('night-stand', 0, (0, 0, 49, 14)),
    ]
    for item in found:
        x1, y1, x2, y2 = item.box
        assert item.mask.sum() == (x2 - x1 + 1) * (y2 - y1 + 1)
        assert item.mask[y1 : y2 + 1, x1 : x2 + 1].all()


def test_scenes_and_empty_strings(tmp_path):
    scenes = [f'room_{i:04d}' for i in range(98)] + ['']
    write_labeled(tmp_path / 'l.mat', {}, scenes=scenes, num_frames=99)
    assert LabeledFile(tmp_path / 'l.mat').scenes == scenes


def test_real_frame(tmp_path, data_root):
    """The published frame comes out as its files say."""
    folder = data_root / 'nyud2_frame_a'
    image = cv2.imread(str(folder / 'image.png'))
    arrays = frame()
    arrays['images'] = np.zeros((480, 640, 3), np.uint8)
    arrays['images'][CROP] = image[..., ::-1]
    depths = {}
    for name, file in (('depths', 'depth'), ('rawDepths', 'rawdepth')):
        depths[name] = cv2.imread(str(folder / f'{file}.png'), -1)
        arrays[name][CROP] = depths[name] / np.float32(1000)
    write_labeled(tmp_path / 'l.mat', {6449: arrays})
    found = LabeledFile(tmp_path / 'l.mat').read(6449)
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.depth, depths['depths'])
    np.testing.assert_array_equal(found.depth_raw, depths['rawDepths'])


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Frames of a file of 20 take as much memory as those of 3."""
    peaks = []
    for number in (3, 20):
        frames = dict.fromkeys(range(5001, 5001 + number), frame())
        path = tmp_path / f'{number}.mat'
        write_labeled(path, frames, num_frames=number)
        tracemalloc.start()
        source = LabeledFile(path)
        for image_id in frames:
            source.read(image_id)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 20 * 480 * 640 * 4


def test_other_process_reads_the_copy(tmp_path, arrays):
    write_labeled(tmp_path / 'l.mat', {5001: arrays})
    source = LabeledFile(tmp_path / 'l.mat')
    here = source.read(5001)
    reader, writer = os.pipe()
    if not os.fork():
        copy = pickle.loads(pickle.dumps(source)).read(5001)
        same = np.array_equal(copy.depth, here.depth)
        os.write(writer, b'same' if same else b'other')
        os._exit(0)
    assert os.read(reader, 5) == b'same'
    os.wait()


class TestBadInput:
    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'l\.mat'):
            LabeledFile(tmp_path / 'l.mat')

    @pytest.mark.parametrize('content', [b'', b'<html>', b'P' * 5000])
    def test_foreign_file(self, tmp_path, content):
        (tmp_path / 'l.mat').write_bytes(content)
        with pytest.raises(ValueError, match=r'no MATLAB v7\.3 file'):
            LabeledFile(tmp_path / 'l.mat')

    def test_other_mat_file(self, tmp_path):
        savemat(str(tmp_path / 'splits.mat'), dict(trainNdxs=[1, 2]))
        with pytest.raises(ValueError, match='nyu_depth_v2_labeled'):
            LabeledFile(tmp_path / 'splits.mat')

    def test_truncated_file(self, tmp_path, arrays):
        path = tmp_path / 'l.mat'
        write_labeled(path, {5001: arrays})
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match='incomplete'):
            LabeledFile(path)

    def test_missing_members(self, tmp_path):
        path = tmp_path / 'l.mat'
        write_labeled(path, {}, skip=('instances', 'scenes'))
        with pytest.raises(ValueError, match='no instances, scenes') as error:
            LabeledFile(path)
        assert 'depths' in str(error.value)

    def test_number_of_frames_differs(self, tmp_path):
        path = tmp_path / 'l.mat'
        write_labeled(path, {}, scenes=['a'] * 7, num_frames=9)
        with pytest.raises(ValueError, match=r'images has the shape \(9, 3'):
            LabeledFile(path)

    def test_unknown_class_names(self, tmp_path):
        names = [name for name in NAMES if name not in ('sofa', 'desk')]
        write_labeled(tmp_path / 'l.mat', {}, names=names)
        with pytest.raises(ValueError, match=r"\['desk', 'sofa'\]"):
            LabeledFile(tmp_path / 'l.mat')

    @pytest.mark.parametrize('image_id', [0, 1, 5000, 6450])
    def test_frame_out_of_range(self, tmp_path, image_id):
        write_labeled(tmp_path / 'l.mat', {})
        with pytest.raises(ValueError, match=f'{image_id} is out of range'):
            LabeledFile(tmp_path / 'l.mat').read(image_id)

    def test_label_without_name(self, tmp_path, arrays):
        arrays['labels'][200, 200] = len(NAMES) + 1
        write_labeled(tmp_path / 'l.mat', {5001: arrays})
        with pytest.raises(ValueError, match='label 23 has no name'):
            LabeledFile(tmp_path / 'l.mat').read(5001)

    def test_damaged_frame(self, tmp_path, arrays):
        path = tmp_path / 'l.mat'
        write_labeled(path, {5001: arrays, 5002: arrays})
        with h5py.File(path) as file:
            chunk = file['images'].id.get_chunk_info(0)
        with path.open('r+b') as file:
            # The offset counts from the end of the user block.
            file.seek(chunk.byte_offset + 512 + 100)
            file.write(b'\x00' * 50)
        source = LabeledFile(path)
        with pytest.raises(ValueError, match='frame 1 cannot be read'):
            source.read(5001)
        assert source.read(5002).image.any()

    def test_h5py_is_not_installed(self, tmp_path, monkeypatch):
        write_labeled(tmp_path / 'l.mat', {})
        monkeypatch.setitem(sys.modules, 'h5py', None)
        with pytest.raises(ImportError, match='pip install'):
            LabeledFile(tmp_path / 'l.mat')

    def test_split_numbers_are_frames_of_the_file(self):
        ids = SPLITS['trainval'] + SPLITS['test']
        assert min(ids) == module.FIRST_ID
