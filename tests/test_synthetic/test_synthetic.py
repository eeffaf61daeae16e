"""Synthetic scenes: geometry, labels, sensor, layout of the dataset."""

import hashlib
import json
import pickle
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from scipy.ndimage import find_objects

from mmxdistill.encodings.camera import PinholeCamera
from mmxdistill.synthetic import (
    CLASSES,
    RGBDFrame,
    render_scene,
    write_dataset,
)
from mmxdistill.synthetic.scene import kinect_camera
from mmxdistill.synthetic.sensor import fill_holes, simulate_kinect

SIZE = (128, 96)
SIZES = {'train': 3, 'pairs': 4}


@pytest.fixture(scope='module')
def frames() -> list[RGBDFrame]:
    """Two dozen small frames."""
    return [render_scene((5, i), SIZE) for i in range(24)]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, written by one process."""
    folder = tmp_path_factory.mktemp('synthetic') / 'data'
    assert write_dataset(folder, SIZES, image_size=SIZE, processes=1)
    return folder


def _points(frame: RGBDFrame, depth: np.ndarray) -> np.ndarray:
    """Back-projected points by the documented 1-based convention."""
    cam = frame.camera
    height, width = depth.shape
    v, u = np.mgrid[1 : height + 1, 1 : width + 1]
    return np.stack(
        [(u - cam.cx) / cam.fx * depth, (v - cam.cy) / cam.fy * depth, depth],
        -1,
    )


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.clip(high - low, 0, None), -1)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], -1) for x in (a, b))
    return inter / (area_a[:, None] + area_b - inter)


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob('*'))
        if p.is_file()
    }


def test_same_seed_same_frame_other_seed_other_frame() -> None:
    one, two = render_scene(3, SIZE), render_scene(3, SIZE)
    for name in (
        'colour',
        'depth_true',
        'depth_raw',
        'depth',
        'instances',
        'boxes',
        'proposals',
        'scores',
        'gravity',
    ):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert one.labels == two.labels
    other = render_scene(4, SIZE)
    assert (one.colour != other.colour).mean() > 0.5
    assert not np.allclose(one.gravity, other.gravity)


def test_boxes_are_extents_of_instances(frames: list[RGBDFrame]) -> None:
    for frame in frames:
        assert len(frame.boxes) == len(frame.labels) == len(frame.objects)
        slices = find_objects(frame.instances + 1)
        for box, number in zip(frame.boxes, frame.objects, strict=True):
            rows, columns = slices[number]
            assert box.tolist() == [
                columns.start,
                rows.start,
                columns.stop,
                rows.stop,
            ]
    assert {label for f in frames for label in f.labels} == set(CLASSES)


def test_floor_gives_gravity_and_camera_height(
    frames: list[RGBDFrame],
) -> None:
    for frame in frames:
        height = _points(frame, frame.depth_true) @ frame.gravity
        # Nothing is below the floor, and the floor is exactly flat.
        assert height.max() <= frame.camera_height + 1e-3
        floor = (np.abs(height - frame.camera_height) < 1e-3) & (
            frame.instances < 0
        )
        if floor.sum() < 200:
            continue
        points = _points(frame, frame.depth_true)[floor]
        normal = np.linalg.eigh(np.cov(points.T))[1][:, 0]
        assert abs(normal @ frame.gravity) > 1 - 1e-4
    tilts = [np.degrees(np.arccos(f.gravity[1])) for f in frames]
    assert np.isclose([np.linalg.norm(f.gravity) for f in frames], 1).all()
    assert min(f.camera_height for f in frames) < 1.1
    assert max(f.camera_height for f in frames) > 1.5
    assert max(tilts) > 15


def test_camera_scales_with_image() -> None:
    # 1-based: a point at image fraction f is at pixel f * size + 0.5.
    small, large = kinect_camera(112, 80), kinect_camera(224, 160)
    assert large.fx == pytest.approx(2 * small.fx)
    assert large.cx - 0.5 == pytest.approx(2 * (small.cx - 0.5))
    assert large.cy - 0.5 == pytest.approx(2 * (small.cy - 0.5))
    assert kinect_camera(560, 425) == PinholeCamera.preset('nyud2_cropped')


def test_measured_depth(frames: list[RGBDFrame]) -> None:
    holes, near, far = [], [], []
    for frame in frames:
        missing = frame.depth_raw == 0
        holes.append(missing.mean())
        assert (frame.depth > 0).all()
        np.testing.assert_array_equal(
            frame.depth[~missing], frame.depth_raw[~missing]
        )
        error = np.abs(frame.depth_raw / 1000.0 - frame.depth_true)
        near.append(error[~missing & (frame.depth_true < 2)])
        far.append(error[~missing & (frame.depth_true > 4)])
    assert 0.02 < np.mean(holes) < 0.3
    assert np.median(np.concatenate(near)) < 0.01
    assert np.median(np.concatenate(far)) > 0.015


def test_sensor_quantises_disparity() -> None:
    depth = np.full((60, 80), 3.0, np.float32)
    one, zero = np.ones_like(depth), np.zeros_like(depth)
    raw = simulate_kinect(depth, one, zero, 74.0, np.random.default_rng(0))
    values = np.unique(raw[raw > 0])
    assert 3 <= len(values) < 12
    # One step of disparity at 3 m is 3^2 / 348 m.
    np.testing.assert_allclose(np.diff(values.astype(float)), 26, atol=2)


def test_sensor_has_no_depth_in_projector_shadow_grazing_and_dark() -> None:
    depth = np.full((60, 80), 3.0, np.float32)
    depth[20:40, 30:50] = 1.0
    one, zero = np.ones_like(depth), np.zeros_like(depth)
    rng = np.random.default_rng(0)
    raw = simulate_kinect(depth, one, zero, 74.0, rng)
    # 74 * 0.075 * (1 / 1 - 1 / 3) = 3.7 px left of the near square
    assert (raw[22:38, 27:29] == 0).all()
    assert (raw[22:38, 52:55] == 0).mean() < 0.2
    flat = np.full_like(depth, 3.0)
    assert (simulate_kinect(flat, zero, zero, 74.0, rng) == 0).all()
    lost = (simulate_kinect(flat, one, zero + 0.5, 74.0, rng) == 0).mean()
    assert 0.35 < lost < 0.65


def test_fill_holes_needs_a_measurement() -> None:
    with pytest.raises(ValueError, match='without any measurement'):
        fill_holes(np.zeros((8, 8), np.uint16))


def test_proposals_recall_and_background(frames: list[RGBDFrame]) -> None:
    hit, background = [], []
    for frame in frames:
        boxes = frame.proposals
        assert 100 < len(boxes) <= 200
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert boxes.min() >= 0
        assert (boxes.max(0) <= np.tile(SIZE, 2)).all()
        assert (np.diff(frame.scores) <= 0).all()
        if len(frame.boxes):
            overlap = _iou(frame.boxes, boxes)
            hit.extend(overlap.max(1) >= 0.5)
            background.append((overlap.max(0) < 0.5).mean())
    assert 0.85 < np.mean(hit) <= 1
    assert np.mean(background) > 0.6


def test_layout_reads_back(root: Path) -> None:
    coco = COCO(str(root / 'annotations_train.json'))
    assert {
        c['name']: c['id'] for c in coco.loadCats(coco.getCatIds())
    } == CLASSES
    assert list(CLASSES) == json.loads((root / 'classes.json').read_text())
    camera = json.loads((root / 'camera.json').read_text())
    assert PinholeCamera.from_any(camera) == kinect_camera(*SIZE)
    assert len(coco.imgs) == SIZES['train']
    for image in coco.imgs.values():
        colour = cv2.imread(str(root / 'color' / image['file_name']))
        assert colour.shape == (image['height'], image['width'], 3)
        for folder in ('depth', 'depth_raw'):
            depth = cv2.imread(
                str(root / folder / image['depth_file_name']),
                cv2.IMREAD_UNCHANGED,
            )
            assert depth.dtype == np.uint16
            assert depth.shape == colour.shape[:2]
        assert np.linalg.norm(image['gravity']) == pytest.approx(1)
    assert coco.anns
    for annotation in coco.anns.values():
        x, y, w, h = annotation['bbox']
        assert 0 <= x < x + w <= SIZE[0] and 0 <= y < y + h <= SIZE[1]
        assert annotation['area'] == w * h >= annotation['visible_area'] > 0
        assert annotation['iscrowd'] == 0
        # The mask is what is seen of the object, and the box its extent.
        mask = coco.annToMask(annotation)
        assert mask.shape == SIZE[::-1]
        assert mask.sum() == annotation['visible_area']
        assert cv2.boundingRect(mask) == (x, y, w, h)
    names = (root / 'pairs.txt').read_text().split()
    assert len(names) == SIZES['pairs']
    assert not (root / 'annotations_pairs.json').exists()
    proposals = pickle.loads((root / 'proposals_pairs.pkl').read_bytes())
    assert set(proposals) == {f'color/{name}.jpg' for name in names}
    for found in proposals.values():
        assert found['bboxes'].dtype == found['scores'].dtype == np.float32
        assert found['bboxes'].shape == (len(found['scores']), 4)


def test_process_count_and_split_size_do_not_matter(
    root: Path, tmp_path: Path
) -> None:
    write_dataset(tmp_path, SIZES, image_size=SIZE, processes=2)
    assert _digest(tmp_path) == _digest(root)
    more = tmp_path / 'more'
    write_dataset(more, {'train': 4}, (), image_size=SIZE, processes=1)
    name = 'color/train_000002.jpg'
    assert (more / name).read_bytes() == (root / name).read_bytes()


def test_finished_dataset_is_left_alone(root: Path) -> None:
    times = {p: p.stat().st_mtime_ns for p in root.rglob('*')}
    assert not write_dataset(root, SIZES, image_size=SIZE, processes=1)
    assert times == {p: p.stat().st_mtime_ns for p in root.rglob('*')}


def test_other_options_are_refused(root: Path) -> None:
    with pytest.raises(FileExistsError, match=r'seed = 0 \(asked for: 1\)'):
        write_dataset(root, SIZES, image_size=SIZE, seed=1, processes=1)


def test_interrupted_dataset_is_completed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mmxdistill.synthetic import writer

    monkeypatch.setattr(writer, '_write_split', _interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, SIZES, image_size=SIZE, processes=1)
    assert not (tmp_path / 'synthetic.json').exists()
    (tmp_path / 'color' / 'train_000001.jpg').write_bytes(b'half')
    monkeypatch.undo()
    with pytest.raises(FileExistsError, match='other options'):
        write_dataset(tmp_path, SIZES, image_size=(64, 64), processes=1)
    assert write_dataset(tmp_path, SIZES, image_size=SIZE, processes=1)
    assert _digest(tmp_path) == _digest(root)


def _interrupt(*args: object) -> None:
    raise KeyboardInterrupt


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'thesis.tex').write_text('')
    with pytest.raises(FileExistsError, match='not empty'):
        write_dataset(tmp_path, SIZES, image_size=SIZE)
    assert [p.name for p in tmp_path.iterdir()] == ['thesis.tex']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(sizes={'train': 0}, unlabelled=()), "'train' = 0"),
        (dict(sizes={'a/b': 1}, unlabelled=()), "'a/b'"),
        (dict(sizes={'train': 1}), r"\['pairs'\] have no size"),
        (dict(image_size=(16, 64)), 'below 32'),
        (dict(processes=0), 'at least 1'),
    ],
)
def test_bad_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / 'new', **options)
    assert not (tmp_path / 'new').exists()


def test_command_line(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool = (
        Path(__file__).parents[2]
        / 'tools'
        / 'dataset_converters'
        / 'make_synthetic_rgbd.py'
    )
    size = [str(n) for n in SIZE]
    argv = [str(tool), str(root), '--num', 'train=3', 'pairs=4']
    argv += ['--size', *size]
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.syspath_prepend(str(tool.parent))
    with pytest.raises(SystemExit, match='0'):
        runpy.run_path(str(tool), run_name='__main__')
    assert 'already complete' in capsys.readouterr().out
    monkeypatch.setattr(sys, 'argv', [*argv, '--seed', '9'])
    with pytest.raises(SystemExit, match=r'Error: .*seed = 0'):
        runpy.run_path(str(tool), run_name='__main__')
