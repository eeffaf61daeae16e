from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.evaluation import bbox_overlaps

from mmxdistill.datasets.proposals import (
    merge_proposals,
    selective_search,
    sliding_windows,
)


def boxes(*corners):
    return np.float32(corners).reshape(-1, 4)


class TestMerge:
    def test_best_of_each_source_first(self):
        a = boxes([0, 0, 9, 9], [1, 1, 9, 9], [2, 2, 9, 9])
        b = boxes([5, 5, 9, 9])
        merged, scores = merge_proposals([a, b], 10)
        np.testing.assert_array_equal(merged, np.stack([a[0], b[0], *a[1:]]))
        np.testing.assert_allclose(scores, [1, 0.75, 0.5, 0.25])
        assert merged.dtype == scores.dtype == np.float32

    def test_duplicates_keep_the_better_rank(self):
        a = boxes([0, 0, 9, 9], [4, 4, 8, 8])
        b = boxes([4.2, 3.9, 8, 8], [0, 0, 9, 9], [1, 0, 9, 9])
        merged, _ = merge_proposals([a, b], 10)
        np.testing.assert_array_equal(merged, np.stack([a[0], b[0], b[2]]))

    def test_limit_counts_what_is_kept(self):
        a = boxes([0, 0, 9, 9], [0, 0, 9, 9], [1, 1, 9, 9], [2, 2, 9, 9])
        merged, scores = merge_proposals([a], 2)
        np.testing.assert_array_equal(merged, a[[0, 2]])
        np.testing.assert_allclose(scores, [1, 0.5])

    def test_source_without_proposals(self):
        a = boxes([0, 0, 9, 9])
        merged, _ = merge_proposals([boxes(), a], 10)
        np.testing.assert_array_equal(merged, a)


class TestWindows:
    @pytest.mark.parametrize(
        'size', [(64, 96), (160, 224), (300, 400), (200, 700), (333, 77)]
    )
    def test_cover_every_box(self, size):
        """Sides from 32 pixels on, aspect ratios from 1/2 to 2."""
        windows = sliding_windows(*size)
        rng = np.random.default_rng(0)
        side = np.exp(rng.uniform(np.log(32), np.log(max(size)), 3000))
        ratio = 2 ** rng.uniform(-1, 1, 3000)
        extent = np.stack([side / ratio**0.5, side * ratio**0.5], 1)
        extent = extent[(extent <= size[::-1]).all(1)][:400]
        corner = rng.uniform(0, np.array(size[::-1]) - extent)
        found = bbox_overlaps(
            np.hstack([corner, corner + extent]).astype(np.float32),
            windows,
            use_legacy_coordinate=False,
        )
        assert len(extent) > 100
        assert found.max(axis=1).min() > 0.5

    def test_lie_in_the_image_largest_first(self):
        windows = sliding_windows(160, 224)
        np.testing.assert_array_equal(windows[0], [0, 0, 224, 160])
        assert windows.dtype == np.float32
        assert windows[:, :2].min() >= 0
        assert (windows[:, 2:].max(axis=0) <= [224, 160]).all()
        width, height = (windows[:, 2:] - windows[:, :2]).T
        assert width.min() == pytest.approx(16 / 2**0.5, rel=1e-5)
        area = width * height
        assert (area[1:] <= area[:-1] * 1.001).all()

    def test_image_smaller_than_the_smallest_window(self):
        np.testing.assert_array_equal(sliding_windows(9, 12), [[0, 0, 12, 9]])


class TestSelectiveSearch:
    def test_without_opencv_contrib(self, monkeypatch):
        monkeypatch.delattr(cv2, 'ximgproc', raising=False)
        with pytest.raises(ImportError, match='opencv-contrib-python') as e:
            selective_search(np.zeros((8, 8, 3), np.uint8))
        assert "'windows'" in str(e.value)

    def test_boxes_are_in_pixels_of_the_image(self, monkeypatch):
        """A stand-in for OpenCV's search tells what it was given."""

        class Search:
            def setBaseImage(self, image):
                self.shape = image.shape

            def switchToSelectiveSearchFast(self):
                pass

            def process(self):
                height, width = self.shape[:2]
                return np.int32([[0, 0, width, height], [2, 4, 10, 20]])

        segmentation = SimpleNamespace(
            createSelectiveSearchSegmentation=Search
        )
        monkeypatch.setattr(
            cv2,
            'ximgproc',
            SimpleNamespace(segmentation=segmentation),
            raising=False,
        )
        image = np.zeros((75, 200, 3), np.uint8)
        expected = [[0, 0, 200, 75], [4, 8, 24, 48]]
        found = selective_search(image, max_side=100)
        np.testing.assert_array_equal(found, expected)
        expected = [[0, 0, 200, 75], [2, 4, 12, 24]]
        found = selective_search(image, max_side=1000)
        np.testing.assert_array_equal(found, expected)

    @pytest.mark.skipif(
        not hasattr(cv2, 'ximgproc'),
        reason='this OpenCV has no contrib modules',
    )
    def test_deterministic(self):
        image = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
        image = cv2.GaussianBlur(image.astype(np.uint8), (0, 0), 5)
        first = selective_search(image)
        np.testing.assert_array_equal(first, selective_search(image))
        assert len(first) > 1
        assert (first[:, 2:] > first[:, :2]).all()
        assert (first[:, 2:].max(axis=0) <= [80, 60]).all()
