"""The converter of SUN RGB-D as a user runs it."""

import json
import pickle
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from converters import ROOT, files, runner, snapshot
from sunrgbd_files import (
    MATRIX,
    SEQUENCES,
    images,
    tilt,
    write_boxes,
    write_frame,
    write_polygons,
    write_splits,
)

from mmxdistill.converters.nyud2 import CLASSES
from mmxdistill.encodings import PinholeCamera, encode_hha
from mmxdistill.registry import DATASETS

NAMES = [sequence.replace('/', '_') for sequence in SEQUENCES]
TEST, TRAIN = SEQUENCES[:2], SEQUENCES[2:]
BED = [(3, 4), (33, 4), (33, 24), (3, 24)]
WALL = [(0, 0), (63, 0), (63, 10), (0, 10)]
TILTS = (0, 10, -15, 25, 5)
SPLITS = 'SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat'
LISTS = ['pairs_train.txt', 'pairs_test.txt', 'pairs_not_nyud2.txt']
PRODUCTS = {
    *LISTS,
    'annotations_train.json',
    'annotations_test.json',
    'left_out.txt',
}


@pytest.fixture
def run(monkeypatch):
    return runner('sunrgbd', monkeypatch)


@pytest.fixture
def source(tmp_path):
    """All sensors; every camera and tilt is another."""
    root = tmp_path / 'source'
    write_splits(root / SPLITS, TEST, TRAIN)
    for i, sequence in enumerate(SEQUENCES):
        write_frame(
            root / 'SUNRGBD',
            sequence,
            seed=i,
            matrix=camera_matrix(i),
            rotation=tilt(TILTS[i]),
            objects=[('bed', BED), ('wall', WALL), ('coffee_table', BED)],
        )
    return root


def camera_matrix(i):
    matrix = np.array(MATRIX, float)
    matrix[0, 0] += 5 * i
    return matrix


def lines(path):
    return path.read_text().splitlines()


def load(path):
    return json.loads(path.read_text())


def test_all_sensors(source, tmp_path, run, capsys):
    out = tmp_path / 'out'
    assert run(source, out) == 0
    pngs = {
        f'{folder}/{name}.png'
        for name in NAMES
        for folder in ('depth', 'depth_raw', 'hha')
    }
    jpgs = {f'images/{name}.jpg' for name in NAMES}
    assert files(out) == pngs | jpgs | PRODUCTS
    for i, name in enumerate(NAMES):
        _, depth, raw = images(i)
        angle = np.radians(TILTS[i])
        hha = encode_hha(
            depth,
            PinholeCamera.from_any(camera_matrix(i)),
            raw,
            gravity=[0, np.cos(angle), np.sin(angle)],
        )
        for folder, expected in (
            ('depth', depth),
            ('depth_raw', raw),
            ('hha', hha),
        ):
            path = out / folder / f'{name}.png'
            found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            # The file's rotation has six digits.
            assert found.dtype == expected.dtype
            difference = np.abs(found.astype(int) - expected)
            assert (difference > 1).mean() < 0.01
            if folder != 'hha':
                assert not difference.any()
        original = source / 'SUNRGBD' / SEQUENCES[i] / 'image/0000103.jpg'
        copied = out / f'images/{name}.jpg'
        assert copied.read_bytes() == original.read_bytes()
    assert lines(out / 'pairs_test.txt') == [f'{n}.jpg' for n in NAMES[:2]]
    assert lines(out / 'pairs_train.txt') == [f'{n}.jpg' for n in NAMES[2:]]
    # NYUD2's own frames are not for transfer to NYUD2.
    others = lines(out / 'pairs_not_nyud2.txt')
    assert sorted(others) == sorted(f'{n}.jpg' for n in NAMES[1:])
    test = load(out / 'annotations_test.json')
    assert [c['name'] for c in test['categories']] == list(CLASSES)
    assert [image['id'] for image in test['images']] == [1, 2]
    assert test['images'][0]['sensor'] == 'kv1'
    assert test['images'][0]['sequence'] == SEQUENCES[0]
    assert [a['bbox'] for a in test['annotations']] == [[3, 4, 30, 20]] * 2
    assert all('segmentation' in a for a in test['annotations'])
    train = load(out / 'annotations_train.json')
    assert [image['id'] for image in train['images']] == [3, 4, 5]
    output = capsys.readouterr().out
    assert 'other names, of 10 objects' in output
    left = (out / 'left_out.txt').read_text()
    assert 'wall: 5' in left and 'coffee_table: 5' in left
    assert '0 frames failed' in left


def test_published_boxes(source, tmp_path, run, capsys):
    path = source / 'SUNRGBDMeta2DBB_v2.mat'
    labels = {name: [('chair', (2, 3, 10, 20))] for name in SEQUENCES[:-1]}
    labels[SEQUENCES[0]].append(('sofa', (70, 3, 10, 20)))
    labels[SEQUENCES[1]] = []
    write_boxes(path, labels)
    out = tmp_path / 'out'
    assert run(source, out, '--boxes', path) == 0
    test = load(out / 'annotations_test.json')
    assert [a['bbox'] for a in test['annotations']] == [[1, 2, 10, 20]]
    assert len(test['images']) == 2  # one without objects, but labelled
    train = load(out / 'annotations_train.json')
    assert len(train['images']) == 2
    assert 'segmentation' not in train['annotations'][0]
    left = (out / 'left_out.txt').read_text()
    assert f'{SEQUENCES[-1]}: no labels' in left
    assert f'{SEQUENCES[0]}: sofa is empty, outside' in left
    # Other labels need no other images.
    before = snapshot(out / 'hha')
    assert run(source, out) == 0
    assert snapshot(out / 'hha') == before
    test = load(out / 'annotations_test.json')
    assert [a['bbox'] for a in test['annotations']] == [[3, 4, 30, 20]] * 2


def test_config_builds_and_loads(source, tmp_path, run, monkeypatch):
    """The data sets of the config read what the converter writes."""
    data = tmp_path / 'data'
    assert run(source, data / 'sunrgbd') == 0
    monkeypatch.setenv('MMXDISTILL_DATA', str(data))
    proposals = dict(
        bboxes=np.array([[1, 2, 30, 40]], np.float32),
        scores=np.ones(1, np.float32),
    )
    (data / 'sunrgbd/proposals.pkl').write_bytes(
        pickle.dumps({f'images/{name}.jpg': proposals for name in NAMES})
    )
    folder = ROOT / 'configs/_base_/datasets'
    for name, modalities in (
        ('pairs', ('rgb', 'hha')),
        ('detection', ('rgb', 'hha')),
        ('detection_rgb', ('rgb',)),
        ('detection_hha', ('hha',)),
    ):
        cfg = Config.fromfile(folder / f'sunrgbd_{name}.py')
        assert tuple(cfg.data_preprocessor.modalities) == modalities
        for split, number in (('train', 3), ('test', 2)):
            dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert len(dataset) == number
            sample = dataset[0]
            assert sample['inputs'].shape[0] == 3 * len(modalities)
            assert min(sample['inputs'].shape[1:]) == 688
            assert sample['data_samples'].modalities == modalities
    assert dataset.metainfo['classes'] == CLASSES
    truth = sample['data_samples'].gt_instances
    assert CLASSES[truth.labels[0]] == 'bed'
    pairs = Config.fromfile(folder / 'sunrgbd_pairs.py').train_dataloader
    both = DATASETS.build(dict(pairs.dataset, ann_file='pairs_not_nyud2.txt'))
    assert len(both) == 4


def test_a_run_goes_on(source, tmp_path, run, capsys):
    out = tmp_path / 'out'
    assert run(source, out) == 0
    before = snapshot(out / 'hha')
    (out / f'hha/{NAMES[2]}.png').unlink()
    assert run(source, out) == 0
    assert '1 written, 4 already there' in capsys.readouterr().out
    after = snapshot(out / 'hha')
    changed = [path for path in before if after[path] != before[path]]
    assert [path.stem for path in changed] == [NAMES[2]]
    assert run(source, out, '--overwrite') == 0
    assert '5 written, 0 already there' in capsys.readouterr().out


def test_shards(source, tmp_path, run, capsys):
    """The lists appear when all frames are there."""
    out = tmp_path / 'out'
    assert run(source, out, '--shard', '1/2') == 0
    assert '2 of 5 frames are left to other shards' in capsys.readouterr().out
    assert not files(out) & PRODUCTS
    assert run(source, out, '--shard', '2/2') == 0
    assert files(out) >= PRODUCTS


def test_damaged_and_missing_frames(source, tmp_path, run, capsys):
    """They are listed and left out everywhere; the rest is written."""
    folder = source / 'SUNRGBD' / SEQUENCES[2]
    depth = folder / 'depth_bfx/0000103.png'
    depth.write_bytes(depth.read_bytes()[:200])
    shutil.rmtree(source / 'SUNRGBD' / SEQUENCES[3])
    out = tmp_path / 'out'
    assert run(source, out) == 1
    error = capsys.readouterr().err
    assert f'{SEQUENCES[2]}: ValueError' in error
    assert f'{SEQUENCES[3]}: FileNotFoundError' in error
    left = (out / 'left_out.txt').read_text()
    assert '2 frames failed' in left
    for number in (2, 3):
        assert not [name for name in files(out) if NAMES[number] in name]
        assert SEQUENCES[number] in left
    *comments, name = lines(out / 'pairs_train.txt')
    assert [text.split(':')[1] for text in comments] == [
        f' {SEQUENCES[2]}',
        f' {SEQUENCES[3]}',
    ]
    assert name == f'{NAMES[4]}.jpg'
    (image,) = load(out / 'annotations_train.json')['images']
    assert image['id'] == 5
    # Made again with what is there now, all of it is left out.
    assert run(source, out, '--overwrite') == 1
    assert lines(out / 'pairs_train.txt')[-1] == name


def test_missing_sensors_and_unknown_frames(source, tmp_path, run, capsys):
    shutil.rmtree(source / 'SUNRGBD/xtion')
    write_frame(source / 'SUNRGBD', 'kv2/kinect2data/extra')
    out = tmp_path / 'out'
    assert run(source, out) == 0
    output = capsys.readouterr().out
    assert 'xtion: no such folder, its frames are left out' in output
    assert '1 frames of no split are left out, e.g. kv2/kin' in output
    assert len(lines(out / 'pairs_train.txt')) == 2


def test_frames_without_labels(source, tmp_path, run, capsys):
    """They are pairs, but in no annotations."""
    path = source / 'SUNRGBD' / SEQUENCES[0] / 'annotation2Dfinal/index.json'
    path.write_text('{"frames"')
    out = tmp_path / 'out'
    assert run(source, out) == 0
    assert len(lines(out / 'pairs_test.txt')) == 2
    assert len(load(out / 'annotations_test.json')['images']) == 1
    left = (out / 'left_out.txt').read_text()
    assert f'{SEQUENCES[0]}: ' in left and 'is damaged or no outlines' in left
    for sequence in SEQUENCES:
        folder = source / 'SUNRGBD' / sequence / 'annotation2Dfinal'
        shutil.rmtree(folder)
    assert run(source, out) == 0
    assert 'is not written: there are no labels' in capsys.readouterr().out
    assert not (out / 'annotations_test.json').exists()
    assert len(lines(out / 'pairs_test.txt')) == 2


def test_no_tilt(source, tmp_path, run, capsys):
    shutil.rmtree(source / 'SUNRGBD' / SEQUENCES[0] / 'extrinsics')
    assert run(source, tmp_path / 'out') == 0
    output = capsys.readouterr().out
    assert '1 frames without tilt: gravity was estimated' in output


def test_labels_of_something_else(source, tmp_path, run):
    for sequence in SEQUENCES:
        folder = source / 'SUNRGBD' / sequence
        write_polygons(folder / 'annotation2Dfinal/index.json', [('dog', BED)])
    out = tmp_path / 'out'
    message = run(source, out)
    assert 'no object of the 19 classes in the labels of 5 frames' in message
    assert not files(out) & PRODUCTS


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (
            lambda source: shutil.rmtree(source / 'SUNRGBD'),
            'holds none of kv1, kv2, realsense, xtion',
        ),
        (
            lambda source: (source / SPLITS).unlink(),
            'give --splits FILE, the allsplit.mat',
        ),
        (
            lambda source: (source / SPLITS).write_text('<html>'),
            'is damaged or no MATLAB file',
        ),
        (
            lambda source: write_splits(source / SPLITS, [], []),
            'lists 0 frames',
        ),
    ],
)
def test_bad_source(source, tmp_path, run, damage, message):
    damage(source)
    assert message in run(source, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_output_inside_the_source(source, run):
    assert 'write to another folder' in run(source, source / 'SUNRGBD/out')
