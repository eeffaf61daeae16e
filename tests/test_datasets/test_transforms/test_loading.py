import cv2
import numpy as np
import pytest

from mmxdistill.datasets.transforms import (
    LoadDepthFromFile,
    LoadGrayImageFromFile,
    LoadModalities,
)


@pytest.fixture
def write(tmp_path):
    def _write(name, image):
        path = str(tmp_path / name)
        assert cv2.imwrite(path, image)
        return path

    return _write


class TestDepth:
    def test_millimetres_and_mask(self, write):
        stored = np.array([[0, 100], [65535, 7000]], np.uint16)
        sample = LoadDepthFromFile()(dict(img_path=write('d.png', stored)))
        np.testing.assert_array_equal(sample['img'], [[0, 100], [0, 7000]])
        np.testing.assert_array_equal(
            sample['depth_mask'], [[False, True], [False, True]]
        )
        assert sample['img'].dtype == np.uint16

    def test_unit(self, write):
        stored = np.array([[5000, 333]], np.uint16)
        sample = LoadDepthFromFile(unit=0.2)(
            dict(img_path=write('d.png', stored))
        )
        np.testing.assert_array_equal(sample['img'], [[1000, 66.6]])

    def test_sun_rgbd_bits(self, write):
        millimetres = np.array([[1234, 8001]], np.uint16)
        stored = (millimetres << 3) | (millimetres >> 13)
        sample = LoadDepthFromFile(rotated_bits=True)(
            dict(img_path=write('d.png', stored))
        )
        np.testing.assert_array_equal(sample['img'], millimetres)

    def test_raw_mask(self, write):
        filled = np.array([[900, 950]], np.uint16)
        raw = np.array([[0, 948]], np.uint16)
        sample = LoadDepthFromFile(mask='raw')(
            dict(
                img_path=write('d.png', filled),
                modality_paths=dict(raw=write('r.png', raw)),
            )
        )
        np.testing.assert_array_equal(sample['img'], filled)
        np.testing.assert_array_equal(sample['depth_mask'], [[False, True]])

    @pytest.mark.parametrize(
        ('image', 'message'),
        [
            (np.full((2, 2), 9, np.uint8), '16-bit.*uint8'),
            (np.full((2, 2, 3), 9, np.uint16), 'single-channel'),
            (np.zeros((2, 2), np.uint16), 'no measured pixel'),
        ],
    )
    def test_bad_images(self, write, image, message):
        path = write('bad.png', image)
        with pytest.raises(ValueError, match=f'bad.png.*{message}'):
            LoadDepthFromFile()(dict(img_path=path))

    def test_no_image(self, tmp_path):
        path = tmp_path / 'text.png'
        path.write_text('no image')
        with pytest.raises(ValueError, match='text.png'):
            LoadDepthFromFile()(dict(img_path=str(path)))
        with pytest.raises(FileNotFoundError, match='gone.png'):
            LoadDepthFromFile()(dict(img_path=str(tmp_path / 'gone.png')))

    def test_mask_of_other_size(self, write):
        sample = dict(
            img_path=write('d.png', np.ones((2, 2), np.uint16)),
            modality_paths=dict(raw=write('r.png', np.ones((2, 3), 'u2'))),
        )
        with pytest.raises(ValueError, match=r'r\.png.*3, 2'):
            LoadDepthFromFile(mask='raw')(sample)
        with pytest.raises(KeyError, match='no such modality'):
            LoadDepthFromFile(mask='other')(sample)


class TestGray:
    def test_eight_bits(self, write):
        image = np.arange(6, dtype=np.uint8).reshape(2, 3)
        sample = LoadGrayImageFromFile()(dict(img_path=write('t.png', image)))
        assert sample['img'].shape == (2, 3, 3)
        np.testing.assert_array_equal(sample['img'][..., 2], image)

    def test_sixteen_bits_need_a_range(self, write):
        path = write('t.png', np.array([[0, 1000, 3000, 9000]], np.uint16))
        with pytest.raises(ValueError, match=r't\.png.*value_range'):
            LoadGrayImageFromFile()(dict(img_path=path))
        sample = LoadGrayImageFromFile((1000, 5000), channels=1)(
            dict(img_path=path)
        )
        np.testing.assert_array_equal(sample['img'][0, :, 0], [0, 0, 128, 255])


class TestModalities:
    PIPELINES = dict(
        a=[dict(type='LoadImageFromFile')],
        b=dict(type='mmxdistill.LoadGrayImageFromFile', channels=1),
    )

    def sample(self, write, shape=(4, 5)):
        rng = np.random.default_rng(0)
        self.a = rng.integers(0, 255, (4, 5, 3), np.uint8)
        self.b = rng.integers(0, 255, shape, np.uint8)
        return dict(
            modality_paths=dict(
                a=write('a.png', self.a), b=write('b.png', self.b)
            )
        )

    def test_stack(self, write):
        sample = LoadModalities(self.PIPELINES)(self.sample(write))
        np.testing.assert_array_equal(sample['img'][..., :3], self.a)
        np.testing.assert_array_equal(sample['img'][..., 3], self.b)
        assert sample['modalities'] == ('a', 'b')
        assert sample['modality_channels'] == (3, 1)
        assert sample['img_shape'] == sample['ori_shape'] == (4, 5)

    def test_data_set_chooses(self, write):
        sample = self.sample(write)
        sample['modalities'] = ('b',)
        sample = LoadModalities(self.PIPELINES)(sample)
        assert sample['img'].shape == (4, 5, 1)
        assert sample['modalities'] == ('b',)

    def test_single_modality_of_a_plain_data_set(self, write):
        paths = self.sample(write)['modality_paths']
        load = LoadModalities(dict(any=self.PIPELINES['a']))
        sample = load(dict(img_path=paths['a']))
        np.testing.assert_array_equal(sample['img'], self.a)

    def test_other_size(self, write):
        sample = self.sample(write, (4, 6))
        for method in ('check', 'transform'):
            with pytest.raises(ValueError, match=r'b\.png.* is 6x4'):
                getattr(LoadModalities(self.PIPELINES), method)(sample)

    def test_unknown_modality(self, write):
        sample = self.sample(write)
        del sample['modality_paths']['b']
        with pytest.raises(KeyError, match="modality 'b'"):
            LoadModalities(self.PIPELINES)(sample)
