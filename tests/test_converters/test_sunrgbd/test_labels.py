"""Labels of SUN RGB-D."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from sunrgbd_files import SEQUENCES, write_boxes, write_polygons

from mmxdistill.converters import nyud2
from mmxdistill.converters.sunrgbd import (
    SUNRGBDLabel,
    annotate,
    category_of,
    read_boxes,
    read_polygons,
)

TRIANGLE = [(5, 4), (15, 4), (15, 24)]


@pytest.mark.parametrize(
    ('name', 'category'),
    [
        ('chair', 'chair'),
        ('Chair 2', 'chair'),
        ('chair12', 'chair'),
        ('sofa:occluded', 'sofa'),
        ('night_stand', 'night-stand'),
        ('nightstand', 'night-stand'),
        ('garbage_bin', 'garbage-bin'),
        ('trash can', 'garbage-bin'),
        ('tv', 'television'),
        ('couch', 'sofa'),
        (' book  shelf_1', 'bookshelf'),
        ('coffee_table', None),
        ('dresser_mirror', None),
        ('sofa_chair', None),
        ('', None),
    ],
)
def test_category(name: str, category: str | None) -> None:
    assert category_of(name) == category


def test_every_class_has_its_name() -> None:
    for name in nyud2.CLASSES:
        assert category_of(name) == category_of(name.replace('-', '_')) == name


@pytest.mark.parametrize('file', ['SUNRGBDMeta2DBB_v2.mat', 'SUNRGBDMeta.mat'])
def test_boxes(tmp_path: Path, file: str) -> None:
    """x, y from 1; x + width is the last column."""
    labels = {
        SEQUENCES[0]: [('bed', (1, 1, 63, 47)), ('lamp', (10.5, 3, 4, 5))],
        SEQUENCES[1]: [('chair', (2, 3, 4, 5))],
        SEQUENCES[2]: [],
        SEQUENCES[3]: [('sofa', None)],
    }
    write_boxes(tmp_path / file, labels)
    found = read_boxes(tmp_path / file)
    assert list(found) == list(labels)
    bed, lamp = found[SEQUENCES[0]]
    assert (bed.name, lamp.name) == ('bed', 'lamp')
    np.testing.assert_array_equal(bed.box, [0, 0, 63, 47])
    np.testing.assert_array_equal(lamp.box, [9.5, 2, 13.5, 7])
    np.testing.assert_array_equal(found[SEQUENCES[1]][0].box, [1, 2, 5, 7])
    assert found[SEQUENCES[2]] == []
    assert found[SEQUENCES[3]][0].problem == 'has no box'


def test_other_file_for_the_boxes(tmp_path: Path) -> None:
    path = tmp_path / 'SUNRGBDMeta2DBB_v2.mat'
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_boxes(path)
    write_boxes(path, {SEQUENCES[0]: [('bed', (1, 1, 63, 47))]})
    other = tmp_path / 'SUNRGBDMeta3DBB_v2.mat'
    other.write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match='no variable SUNRGBDMeta'):
        read_boxes(other)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match='damaged or no MATLAB file'):
        read_boxes(path)


def test_boxes_without_the_members(tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / 'SUNRGBDMeta.mat'
    meta = np.zeros((1, 2), [('sequenceName', 'O'), ('groundtruth3DBB', 'O')])
    meta['sequenceName'] = f'SUNRGBD/{SEQUENCES[0]}'
    savemat(path, dict(SUNRGBDMeta=meta))
    with pytest.raises(ValueError, match='groundtruth2DBB'):
        read_boxes(path)
    savemat(path, dict(SUNRGBDMeta=np.arange(3)))
    with pytest.raises(ValueError, match='expected structs'):
        read_boxes(path)


def test_outlines(tmp_path: Path) -> None:
    path = tmp_path / 'a/index.json'
    square = [(30, 30), (40, 30), (40, 40), (30, 40)]
    write_polygons(path, [('chair', TRIANGLE, square), ('wall', square)])
    chair, wall = read_polygons(path)
    assert (chair.name, wall.name) == ('chair', 'wall')
    for found, outline in zip(chair.polygons, (TRIANGLE, square), strict=True):
        np.testing.assert_array_equal(found, outline)


def test_stray_backslash(tmp_path: Path) -> None:
    r"""Some of the published files have names like ``"wall\"``."""
    path = tmp_path / 'a/index.json'
    write_polygons(path, [('chair', TRIANGLE), ('wall', TRIANGLE)])
    path.write_text(path.read_text().replace('"wall"', '"wall\\"'))
    with pytest.raises(json.JSONDecodeError):
        json.loads(path.read_text())
    assert [label.name for label in read_polygons(path)] == ['chair', 'wall']


def test_broken_outlines(tmp_path: Path) -> None:
    path = tmp_path / 'a/index.json'
    outlines = [TRIANGLE] * 6
    write_polygons(path, [('chair', outline) for outline in outlines])
    content = json.loads(path.read_text())
    polygons = content['frames'][0]['polygon']
    polygons[1].update(object=0)  # the one without a name
    polygons[2].update(object=99)
    polygons[3].update(x=5, y=4)
    polygons[4].update(y=[1, 2])
    del polygons[5]['object']
    path.write_text(json.dumps(content))
    labels = read_polygons(path)
    assert [len(label.polygons) for label in labels] == [1, 0, 0, 0, 0, 0]
    assert labels[0].problem is None
    annotations, skipped, others = annotate(labels, 48, 64)
    assert len(annotations) == 1 and not others
    assert len(skipped) == 5
    for text, message in zip(
        skipped,
        ['object 0 has no name', 'object 99', 'chair', 'chair', "'object'"],
        strict=True,
    ):
        assert message in text, text


@pytest.mark.parametrize(
    'content',
    [
        '',
        '<html>',
        '[]',
        '{"frames": []}',
        '{"frames": [{}]}',
        '{"objects": 3}',
    ],
)
def test_no_outlines_file(tmp_path: Path, content: str) -> None:
    path = tmp_path / 'index.json'
    path.write_text(content)
    with pytest.raises(ValueError, match='damaged or no outlines'):
        read_polygons(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_polygons(path)


def test_frame_without_objects(tmp_path: Path) -> None:
    path = tmp_path / 'index.json'
    path.write_text('{"frames": [{}], "objects": [null]}')
    assert read_polygons(path) == []


def outline(name, *polygons):
    return SUNRGBDLabel(name, polygons=tuple(map(np.array, polygons)))


def test_annotations_of_outlines() -> None:
    """Masks and boxes, cut off at the border; overlapping parts add up."""
    square = [(30, 30), (40, 30), (40, 40), (30, 40)]
    beyond = [(50, -1e6), (80, -1e6), (80, 12), (50, 12)]
    labels = [
        outline('chair', TRIANGLE, square, square),
        outline('bed', beyond),
        outline('wall', square),
    ]
    annotations, skipped, others = annotate(labels, 48, 64)
    assert not skipped
    assert others == dict(wall=1)
    chair, bed = annotations
    assert nyud2.CLASSES[chair['category_id'] - 1] == 'chair'
    assert chair['bbox'] == [5, 4, 35, 36]
    mask = coco_mask.decode(chair['segmentation'])
    expected = np.zeros((48, 64), np.uint8)
    cv2.fillPoly(expected, [np.array(TRIANGLE)], 1)
    expected[30:41, 30:41] = 1
    np.testing.assert_array_equal(mask, expected)
    assert chair['area'] == expected.sum()
    assert bed['bbox'] == [50, 0, 13, 12]
    assert bed['area'] == 14 * 13


def test_annotations_of_boxes() -> None:
    labels = [
        SUNRGBDLabel('tv', np.array([-4.0, 3, 9.5, 60])),
        SUNRGBDLabel('tv', np.array([64.0, 3, 70, 20])),
        SUNRGBDLabel('tv', np.array([9.0, 9, 5, 20])),
        SUNRGBDLabel('bed', problem='has no box'),
        SUNRGBDLabel('floor', problem='has no box'),
        SUNRGBDLabel('floor', np.array([0.0, 0, 9, 9])),
    ]
    annotations, skipped, others = annotate(labels, 48, 64)
    assert [a['bbox'] for a in annotations] == [[0, 3, 9.5, 44]]
    assert 'segmentation' not in annotations[0]
    assert others == dict(floor=2)
    assert len(skipped) == 3
    assert all('outside the 64x48' in text for text in skipped[:2])
    assert skipped[2] == 'bed has no box'


def test_real_labels(data_root: Path) -> None:
    """The published corners: a box that fills the height ends at the last."""
    path = data_root / 'sunrgbd_kv2/label_000001.txt'
    if not path.is_file():
        pytest.skip('no sample of SUN RGB-D')
    rows = [line.split() for line in path.read_text().splitlines()]
    labels = []
    for name, *values in rows:
        x, y, width, height = map(float, values[:4])
        box = np.array([x - 1, y - 1, x - 1 + width, y - 1 + height])
        labels.append(SUNRGBDLabel(name, box))
    annotations, skipped, others = annotate(labels, 530, 730)
    found = {
        nyud2.CLASSES[a['category_id'] - 1]: a['bbox'] for a in annotations
    }
    assert found['dresser'] == [0, 0, 221, 529]
    assert set(found) == {'bed', 'night-stand', 'dresser', 'lamp'}
    assert set(others) == {'ottoman', 'dresser_mirror'}
    assert not skipped
