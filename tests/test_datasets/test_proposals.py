import pickle
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmdet.evaluation import bbox_overlaps

from mmxdistill.datasets.proposals import (
    StructuredEdges,
    edge_boxes,
    gradient_edges,
    merge_proposals,
    selective_search,
    sliding_windows,
)

contrib = pytest.mark.skipif(
    not hasattr(cv2, 'ximgproc'), reason='this OpenCV has no contrib modules'
)
# A structured forest of one tree, which looks at the gradient (channel 3 of
# 16x16 cells) in the middle of a patch, and says "no edge" or "a line".
FOREST = f"""%YAML:1.0
---
options:
   stride: 2
   shrinkNumber: 2
   patchSize: 32
   patchInnerSize: 16
   numberOfGradientOrientations: 4
   gradientSmoothingRadius: 0
   regFeatureSmoothingRadius: 2
   ssFeatureSmoothingRadius: 8
   gradientNormalizationRadius: 4
   selfsimilarityGridSize: 5
   numberOfTrees: 1
   numberOfTreesToEvaluate: 1
childs:
   - [ 2, 0, 0 ]
featureIds:
   - [ 904, 0, 0 ]
thresholds:
   - [ 0.02, 0., 0. ]
edgeBoundaries:
   - [ 0, 0, 0, 64 ]
edgeBins:
   - {[134, 135, 136, 137] * 16}
"""
RECTANGLE = (50, 30, 120, 90)


def picture(size=(120, 160), box=RECTANGLE, colours=(40, 200)):
    """A soft rectangle."""
    image = np.full((*size, 3), colours[0], np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = colours[1]
    return cv2.GaussianBlur(image, (0, 0), 1)


def best_overlap(found, box):
    return bbox_overlaps(
        np.float32([box]), found, use_legacy_coordinate=False
    ).max()


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
        merged, scores = merge_proposals([boxes(), boxes()], 10)
        assert merged.shape == (0, 4)
        assert scores.shape == (0,)

    @pytest.mark.parametrize('max_iou', [0.5, 0.9, 1.0])
    def test_near_duplicates_by_overlap(self, max_iou):
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, 60, (300, 2))
        found = np.hstack([corner, corner + rng.uniform(5, 40, (300, 2))])
        found = found.astype(np.float32)
        merged, _ = merge_proposals([found], 1000, max_iou)
        overlaps = bbox_overlaps(merged, merged, use_legacy_coordinate=False)
        np.fill_diagonal(overlaps, 0)
        assert overlaps.max() <= max_iou
        # Whatever is gone repeats something better.
        row = {tuple(box): i for i, box in enumerate(found)}
        kept = sorted(row[tuple(box)] for box in merged)
        assert [row[tuple(box)] for box in merged] == kept
        for gone in sorted(set(range(300)) - set(kept)):
            better = found[[i for i in kept if i < gone]]
            overlap = bbox_overlaps(
                found[gone : gone + 1], better, use_legacy_coordinate=False
            )
            assert overlap.max() > max_iou
        # The limit only cuts off the end.
        for limit in (1, 7, 40):
            some, _ = merge_proposals([found], limit, max_iou)
            np.testing.assert_array_equal(some, merged[:limit])


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

    @contrib
    def test_finds_the_object(self):
        found = selective_search(picture())
        assert best_overlap(found, RECTANGLE) > 0.8

    @contrib
    def test_image_without_structure(self):
        found = selective_search(np.zeros((50, 60, 3), np.uint8))
        assert found.shape == (len(found), 4)

    @contrib
    def test_deterministic(self):
        image = np.random.default_rng(0).integers(0, 255, (60, 80, 3))
        image = cv2.GaussianBlur(image.astype(np.uint8), (0, 0), 5)
        first = selective_search(image)
        np.testing.assert_array_equal(first, selective_search(image))
        assert len(first) > 1
        assert (first[:, 2:] > first[:, :2]).all()
        assert (first[:, 2:].max(axis=0) <= [80, 60]).all()


class TestEdges:
    def test_lie_on_the_outline(self):
        strength, angle = gradient_edges(picture())
        assert strength.dtype == angle.dtype == np.float32
        assert strength.shape == angle.shape == (120, 160)
        y, x = np.nonzero(strength > 0.5)
        assert (y.min(), y.max(), x.min(), x.max()) == (29, 89, 49, 119)
        # Across the left side is along x, across the upper one along y.
        assert strength.max() == 1
        assert abs(np.cos(angle[60, 49])) == pytest.approx(1)
        assert angle[29, 80] == pytest.approx(np.pi / 2)
        assert angle.min() >= 0
        assert angle.max() < np.pi

    def test_of_a_diagonal(self):
        y, x = np.mgrid[:60, :60]
        image = np.where(x + y > 60, 200, 40).astype(np.uint8)
        strength, angle = gradient_edges(np.repeat(image[..., None], 3, 2))
        inside = np.zeros((60, 60), bool)
        inside[5:-5, 5:-5] = True
        found = angle[inside & (strength > 0.5)]
        assert len(found) > 40
        assert found == pytest.approx(np.pi / 4, abs=0.05)

    def test_come_from_the_channel_that_has_them(self):
        image = np.zeros((40, 40, 3), np.uint8)
        image[:, 20:, 2] = 200
        strength, _ = gradient_edges(image)
        assert strength[20, 18:22].max() == 1

    @pytest.mark.parametrize('level', [0, 255])
    def test_of_nothing(self, level):
        strength, _ = gradient_edges(np.full((30, 40, 3), level, np.uint8))
        assert strength.max() == 0


class TestEdgeBoxes:
    def test_without_opencv_contrib(self, monkeypatch):
        monkeypatch.delattr(cv2, 'ximgproc', raising=False)
        with pytest.raises(ImportError, match='opencv-contrib-python'):
            edge_boxes(np.zeros((8, 8, 3), np.uint8))

    @contrib
    def test_finds_the_object_and_repeats_it(self):
        found = edge_boxes(picture())
        assert best_overlap(found[:5], RECTANGLE) > 0.8
        np.testing.assert_array_equal(found, edge_boxes(picture()))
        assert found.dtype == np.float32
        assert len(edge_boxes(picture(), limit=3)) <= 3

    @contrib
    def test_small_objects_and_image_size(self):
        box = (100, 50, 112, 60)
        found = edge_boxes(picture((120, 160), box))
        assert best_overlap(found, box) > 0.5
        large = cv2.resize(picture((120, 160), box), None, fx=3, fy=3)
        found = edge_boxes(large, max_side=160)
        assert best_overlap(found, 3 * np.float32(box)) > 0.5

    @contrib
    def test_image_without_structure(self):
        found = edge_boxes(np.zeros((50, 60, 3), np.uint8))
        assert found.shape == (0, 4)


class TestStructuredEdges:
    @contrib
    def test_forest_of_a_file(self, tmp_path):
        path = tmp_path / 'model.yml'
        path.write_text(FOREST)
        detector = pickle.loads(pickle.dumps(StructuredEdges(path)))
        strength, angle = detector(picture())
        assert strength.shape == angle.shape == (120, 160)
        y, x = np.nonzero(strength > 0.5 * strength.max())
        outline = np.abs(x - 85) > 25
        outline |= np.abs(y - 60) > 20
        assert len(y) > 100
        assert outline.all()
        found = edge_boxes(picture(), detector=detector)
        assert best_overlap(found, RECTANGLE) > 0.7

    @contrib
    @pytest.mark.parametrize('text', ['hello', '', '%YAML:1.0\n---\na: 1\n'])
    def test_file_of_another_kind(self, tmp_path, text):
        path = tmp_path / 'model.yml'
        path.write_text(text)
        with pytest.raises(ValueError, match='no model of structured edges'):
            StructuredEdges(path)(picture())

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'none\.yml'):
            StructuredEdges(tmp_path / 'none.yml')
