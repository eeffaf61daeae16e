import numpy as np
import pytest
from nyud2_files import (
    write_authors,
    write_mcg,
    write_record,
    write_segmentation,
)
from scipy.io import savemat

from mmxdistill.converters.nyud2 import AuthorsFolder, read_mcg_boxes

SPLITS = dict(train=[5003], val=[5010], trainval=[5010, 5003], test=[5001])
OBJECTS = {
    5001: [],
    5003: [('chair', (261, 56, 380, 155), 4)],
    5010: [
        ('wall', (1, 1, 560, 425), 1),
        ('garbage-bin', (1, 1, 50, 15), 2),
        ('bed', (501, 401, 560, 425), 3),
    ],
}


@pytest.fixture
def root(tmp_path):
    write_authors(tmp_path, SPLITS, OBJECTS)
    return tmp_path


def segmentation(objects):
    instances = np.zeros((425, 560), np.uint16)
    for _, (x1, y1, x2, y2), instance in objects:
        instances[y1 - 1 : y2, x1 - 1 : x2] = instance
    return instances


@pytest.mark.parametrize('below', ['', 'nyud2'])
def test_folder(root, below):
    source = AuthorsFolder(root / below)
    assert source.splits == dict(
        train=(5003,), val=(5010,), trainval=(5003, 5010), test=(5001,)
    )
    found = source.read(5010)
    assert found.size == (425, 560)
    assert found.image.name == found.hha.name == 'img_5010.png'
    assert (found.image.parent.name, found.hha.parent.name) == (
        'images',
        'hha',
    )
    # From MATLAB's first pixel 1 to ours 0; other classes are counted.
    assert [(o.category, o.instance, o.box) for o in found.objects] == [
        ('garbage-bin', 2, (0, 0, 49, 14)),
        ('bed', 3, (500, 400, 559, 424)),
    ]
    assert found.others == 1
    assert all(item.mask is None for item in found.objects)


def test_one_object_and_none(root):
    """SciPy reads struct arrays of one and no element differently."""
    source = AuthorsFolder(root)
    assert [o.box for o in source.read(5003).objects] == [(260, 55, 379, 154)]
    assert source.read(5001).objects == []


def test_masks(root):
    folder = root / 'nyud2/benchmarkData/groundTruth'
    for image_id, objects in OBJECTS.items():
        write_segmentation(
            folder / f'img_{image_id}.mat', segmentation(objects)
        )
    source = AuthorsFolder(root)
    first, second = source.read(5010).objects
    assert first.mask.sum() == 50 * 15 and first.mask[14, 49]
    assert second.mask.sum() == 60 * 25 and second.mask[424, 559]


class TestBadFolder:
    def test_other_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'nyusplits\.mat'):
            AuthorsFolder(tmp_path)

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (dict(test=[1, 2]), 'split test has 2 numbers out of 5001..6449'),
            (dict(val=[6450], trainval=[5003, 6450]), 'out of'),
            (dict(test=[5001, 5001]), '1 twice'),
            (dict(test=[5003]), 'must not overlap'),
            (dict(trainval=[5003]), 'train and val together'),
        ],
    )
    def test_splits_out_of_range(self, tmp_path, change, message):
        write_authors(tmp_path, {**SPLITS, **change}, OBJECTS)
        with pytest.raises(ValueError, match=message):
            AuthorsFolder(tmp_path)

    def test_official_splits_given(self, tmp_path):
        write_authors(tmp_path, SPLITS, OBJECTS)
        path = tmp_path / 'nyud2/benchmarkData/metadata/nyusplits.mat'
        savemat(str(path), dict(trainNdxs=[1], testNdxs=[2]))
        with pytest.raises(ValueError, match='no variable train') as error:
            AuthorsFolder(tmp_path)
        assert 'trainNdxs' in str(error.value)


class TestBadFrame:
    @pytest.mark.parametrize('folder', ['images', 'hha'])
    def test_image_is_missing_or_truncated(self, root, folder):
        path = root / f'nyud2/data/{folder}/img_5003.png'
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3])
        source = AuthorsFolder(root)
        with pytest.raises(ValueError, match='truncated'):
            source.read(5003)
        path.unlink()
        with pytest.raises(FileNotFoundError, match=f'{folder}/img_5003'):
            source.read(5003)

    def test_sizes_differ(self, root):
        import cv2

        path = root / 'nyud2/data/hha/img_5003.png'
        cv2.imwrite(str(path), np.zeros((480, 640, 3), np.uint8))
        with pytest.raises(ValueError, match=r'560x425, but .* 640x480'):
            AuthorsFolder(root).read(5003)

    @pytest.mark.parametrize('share', [0, 0.3, 0.7, 0.99])
    def test_truncated_boxes(self, root, share):
        path = root / 'nyud2/benchmarkData/gt_box_cache_dir/img_5010.mat'
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match='damaged or no MATLAB file'):
            AuthorsFolder(root).read(5010)

    def test_segmentation_given_as_boxes(self, root):
        path = root / 'nyud2/benchmarkData/gt_box_cache_dir/img_5010.mat'
        write_segmentation(path, np.zeros((425, 560)))
        with pytest.raises(ValueError, match='no variable rec, only'):
            AuthorsFolder(root).read(5010)

    def test_record_without_classes(self, root):
        path = root / 'nyud2/benchmarkData/gt_box_cache_dir/img_5010.mat'
        savemat(str(path), dict(rec=dict(objects=dict(bbox=[1, 2, 3, 4]))))
        with pytest.raises(ValueError, match='class'):
            AuthorsFolder(root).read(5010)

    def test_segmentation_of_another_image(self, root):
        folder = root / 'nyud2/benchmarkData/groundTruth'
        path = folder / 'img_5003.mat'
        write_segmentation(path, segmentation(OBJECTS[5010]))
        with pytest.raises(ValueError, match='belongs to other boxes'):
            AuthorsFolder(root).read(5003)
        write_segmentation(path, np.zeros((480, 640)))
        with pytest.raises(ValueError, match=r'\(480, 640\)'):
            AuthorsFolder(root).read(5003)
        write_record(path, [])
        with pytest.raises(ValueError, match='no variable groundTruth'):
            AuthorsFolder(root).read(5003)


class TestMCG:
    def test_columns_and_origin(self, tmp_path):
        """(y1, x1, y2, x2) from 1 become (x1, y1, x2, y2) from 0."""
        path = tmp_path / 'm.mat'
        write_mcg(
            path,
            dict(
                img_5001=[[1, 1, 425, 560], [11, 21, 31, 51]],
                img_5002=[[2, 3, 4, 5]],
            ),
        )
        found = read_mcg_boxes(path)
        assert list(found) == ['img_5001', 'img_5002']
        np.testing.assert_array_equal(
            found['img_5001']['bboxes'], [[0, 0, 559, 424], [20, 10, 50, 30]]
        )
        np.testing.assert_array_equal(
            found['img_5002']['bboxes'], [[2, 1, 4, 3]]
        )
        np.testing.assert_array_equal(found['img_5001']['scores'], [1, 0.5])
        for item in found.values():
            assert item['bboxes'].dtype == item['scores'].dtype == np.float32

    def test_single_image(self, tmp_path):
        write_mcg(tmp_path / 'm.mat', dict(img_5001=[[1, 1, 9, 9]] * 4))
        (found,) = read_mcg_boxes(tmp_path / 'm.mat').values()
        assert found['bboxes'].shape == (4, 4)

    @pytest.mark.parametrize(
        ('boxes', 'message'),
        [
            ([[1, 2, 3, 4, 5]], 'expected \\(n, 4\\)'),
            ([[0, 1, 5, 5], [1, 1, 5, 5]], '1 boxes of img_5001 are no'),
            ([[5, 1, 4, 5]], '1 boxes'),
            ([[np.nan, 1, 4, 5]], '1 boxes'),
        ],
    )
    def test_bad_boxes(self, tmp_path, boxes, message):
        path = tmp_path / 'm.mat'
        write_mcg(path, dict(img_5001=boxes, img_5002=[[1, 1, 2, 2]]))
        with pytest.raises(ValueError, match=message):
            read_mcg_boxes(path)

    def test_wrong_file(self, tmp_path):
        write_record(tmp_path / 'm.mat', [])
        with pytest.raises(ValueError, match='no variable imnames, bboxes'):
            read_mcg_boxes(tmp_path / 'm.mat')
        (tmp_path / 'm.mat').write_bytes(b'MATLAB 5.0 MAT-file' + b' ' * 200)
        with pytest.raises(ValueError, match='damaged'):
            read_mcg_boxes(tmp_path / 'm.mat')
        with pytest.raises(FileNotFoundError):
            read_mcg_boxes(tmp_path / 'none.mat')

    def test_numbers_of_names_and_boxes_differ(self, tmp_path):
        cells = np.empty((3, 1), object)
        cells[:, 0] = [np.ones((2, 4))] * 3
        names = np.array(['img_5001', 'img_5002'], object)[:, None]
        path = tmp_path / 'm.mat'
        savemat(str(path), dict(imnames=names, bboxes=cells))
        with pytest.raises(ValueError, match='2 imnames .* 3 bboxes'):
            read_mcg_boxes(path)
