"""The NYUD2 converters as a user runs them, on files in the real format."""

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.structures.bbox import get_box_tensor
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from converters import ROOT, TOOLS, runner
from warm_python import warm_python

from mmxdistill.converters.kinect import NYUD2_KINECT
from mmxdistill.converters.nyud2 import CLASSES, CROP, SPLITS
from mmxdistill.converters.nyud2 import detection as nyud2_detection
from mmxdistill.encodings import encode_hha
from mmxdistill.registry import DATASETS

sys.path.insert(0, str(ROOT / 'tests/test_converters/test_nyud2'))

pytest.importorskip('h5py')
from nyud2_files import (
    frame,
    label,
    write_authors,
    write_labeled,
    write_mcg,
    write_pgm,
    write_ppm,
    write_video,
)

# A few images of every split.
FEW = dict(
    train=(5003, 5004), val=(5010,), trainval=(5003, 5004, 5010), test=(5001,)
)
FILES = [
    'annotations_test.json',
    'annotations_train.json',
    'annotations_trainval.json',
    'annotations_val.json',
]


@pytest.fixture
def detection(monkeypatch):
    """Runs the converter in this process, on a few images."""
    monkeypatch.setattr(nyud2_detection, 'SPLITS', FEW)
    return runner('nyud2_detection', monkeypatch)


@pytest.fixture
def pairs(monkeypatch):
    return runner('nyud2_pairs', monkeypatch)


def labelled_frame(seed):
    arrays = frame(seed)
    arrays['labels'][100:200, 300:420] = label('night stand')
    arrays['instances'][100:200, 300:420] = 1
    arrays['labels'][300:301, 100:200] = label('lamp')
    return arrays


@pytest.fixture
def labeled(tmp_path):
    path = tmp_path / 'nyu_depth_v2_labeled.mat'
    ids = FEW['trainval'] + FEW['test']
    write_labeled(path, {i: labelled_frame(i) for i in ids})
    return path


@pytest.fixture
def authors(tmp_path):
    root = tmp_path / 'data'
    objects = [
        ('night-stand', (261, 56, 380, 155), 1),
        ('lamp', (61, 256, 160, 256), 2),
        ('wall', (1, 1, 9, 9), 3),
        ('bed', (551, 56, 561, 155), 4),
    ]
    write_authors(
        root, FEW, dict.fromkeys(FEW['trainval'] + FEW['test'], objects)
    )
    return root


def boxes_of(ids):
    return {f'img_{i}': [[1, 1, 425, 560], [11, 21, 31, 51]] for i in ids}


def data_set(out, split, **kwargs):
    """The data set as a config builds it, loaded once."""
    load_color = [dict(type='LoadImageFromFile')]
    dataset = DATASETS.build(
        dict(
            type='mmxdistill.PairedCocoDataset',
            data_root=str(out),
            ann_file=f'annotations_{split}.json',
            metainfo=dict(classes=CLASSES),
            modalities=dict(
                rgb=dict(path='images/{stem}.png', pipeline=load_color),
                hha=dict(path='hha/{stem}.png', pipeline=load_color),
            ),
            pipeline=[
                dict(
                    type='LoadAnnotations',
                    with_bbox=True,
                    with_mask='masks' in kwargs,
                )
            ],
            test_mode=True,
            **{k: v for k, v in kwargs.items() if k != 'masks'},
        )
    )
    return dataset


class TestDetectionFromTheOfficialFile:
    def test_everything_is_there(self, detection, labeled, tmp_path, capsys):
        write_mcg(
            tmp_path / 'nyud2_mcg_boxes.mat',
            boxes_of([*FEW['trainval'], *FEW['test'], 5002]),
        )
        out = tmp_path / 'nyud2'
        assert detection(labeled, out) == 0
        printed = capsys.readouterr().out
        assert '4 objects left out' in printed
        assert 'img_5010: lamp 0 is one pixel wide' in printed
        found = data_set(
            out, 'train', proposal_file='proposals.pkl', masks=True
        )
        assert [found.get_data_info(i)['img_id'] for i in (0, 1)] == [
            5003,
            5004,
        ]
        sample = found.prepare_data(1)
        arrays = labelled_frame(5004)
        image = arrays['images'][CROP][..., ::-1]
        np.testing.assert_array_equal(sample['img'][..., :3], image)
        depth, raw = (
            np.floor(arrays[name][CROP] * np.float32(1000) + 0.5)
            for name in ('depths', 'rawDepths')
        )
        hha = encode_hha(depth, 'nyud2_cropped', raw)
        np.testing.assert_array_equal(sample['img'][..., 3:], hha)
        for folder, mm in (('depth', depth), ('depth_raw', raw)):
            stored = cv2.imread(str(out / folder / 'img_5004.png'), -1)
            np.testing.assert_array_equal(stored, mm)
        np.testing.assert_array_equal(sample['gt_bboxes_labels'], [12])
        np.testing.assert_array_equal(
            sample['gt_bboxes'].numpy(), [[260, 55, 379, 154]]
        )
        (mask,) = sample['gt_masks'].masks
        assert mask.sum() == 120 * 100 and mask[55, 260] and mask[154, 379]
        np.testing.assert_array_equal(
            sample['proposals']['bboxes'],
            [[0, 0, 559, 424], [20, 10, 50, 30]],
        )
        everything = json.loads((out / FILES[2]).read_text())
        assert [i['id'] for i in everything['images']] == [5003, 5004, 5010]
        assert everything['images'][0]['scene'] == 'den_0001'

    def test_real_frame_gives_the_authors_hha(
        self, detection, data_root, tmp_path
    ):
        arrays = labelled_frame(0)
        folder = data_root / 'nyud2_frame_a'
        for name, file in (('depths', 'depth'), ('rawDepths', 'rawdepth')):
            depth = cv2.imread(str(folder / f'{file}.png'), -1)
            arrays[name][CROP] = depth / np.float32(1000)
        path = tmp_path / 'nyu_depth_v2_labeled.mat'
        ids = FEW['trainval'] + FEW['test']
        write_labeled(path, dict.fromkeys(ids, arrays))
        assert detection(path, tmp_path / 'out') == 0
        expected = cv2.imread(str(data_root / 'hha_golden_a/hha.png'))
        found = cv2.imread(str(tmp_path / 'out/hha/img_5010.png'))
        np.testing.assert_array_equal(found, expected)

    def test_without_hha_and_later_with(self, detection, labeled, tmp_path):
        out = tmp_path / 'out'
        assert detection(labeled, out, '--no-hha') == 0
        assert not (out / 'hha').exists()
        assert detection(labeled, out) == 0
        assert len(list((out / 'hha').iterdir())) == 4

    def test_finished_frames_are_not_done_again(
        self, detection, labeled, tmp_path, capsys
    ):
        out = tmp_path / 'out'
        assert detection(labeled, out) == 0
        files = [p for p in out.rglob('*') if p.is_file()]
        before = {p: p.stat().st_mtime_ns for p in files}
        # As after a kill between two files of a frame.
        (out / 'depth_raw/img_5010.png').unlink()
        capsys.readouterr()
        assert detection(labeled, out) == 0
        assert '1 written, 3 already there' in capsys.readouterr().out
        changed = {p.name for p in files if p.stat().st_mtime_ns != before[p]}
        assert changed == {'img_5010.png', 'img_5010.json', *FILES}
        assert detection(labeled, out, '--overwrite') == 0
        assert '4 written' in capsys.readouterr().out

    def test_damaged_record(self, detection, labeled, tmp_path):
        out = tmp_path / 'out'
        assert detection(labeled, out, '--no-hha') == 0
        (out / '.records/img_5003.json').write_text('{"im')
        message = detection(labeled, out, '--no-hha')
        assert "img_5003.json' is damaged: delete it" in message

    def test_shards(self, detection, labeled, tmp_path, capsys):
        out = tmp_path / 'out'
        assert detection(labeled, out, '--shard', '1/3') == 0
        assert '2 of 4 frames are not converted' in capsys.readouterr().out
        assert not list(out.glob('*.json'))
        assert detection(labeled, out, '--shard', '2/3') == 0
        assert detection(labeled, out, '--shard', '3/3') == 0
        assert sorted(p.name for p in out.glob('*.json')) == FILES

    def test_bad_frame_is_listed(self, detection, tmp_path, capsys):
        """The rest is done, but nothing looks complete."""
        frames = {i: labelled_frame(i) for i in (5003, 5004, 5010, 5001)}
        frames[5004]['depths'][300, 300] = np.nan
        path = tmp_path / 'nyu_depth_v2_labeled.mat'
        write_labeled(path, frames)
        out = tmp_path / 'out'
        assert detection(path, out) == 1
        captured = capsys.readouterr()
        assert 'img_5004: ValueError: depth_mm has 1 NaN' in captured.err
        assert '1 of 4 frames are not converted' in captured.out
        assert len(list((out / 'images').iterdir())) == 3
        assert not list(out.glob('*.json'))

    def test_annotations_go_while_frames_are_written_again(
        self, detection, labeled, tmp_path, monkeypatch
    ):
        out = tmp_path / 'out'
        assert detection(labeled, out) == 0

        def fail(frame):
            raise ValueError('no')

        monkeypatch.setattr(nyud2_detection, 'convert', fail)
        (out / 'images/img_5003.png').unlink()
        assert detection(labeled, out) == 1
        assert not list(out.glob('*.json'))

    def test_file_without_the_classes(self, detection, tmp_path):
        path = tmp_path / 'l.mat'
        arrays = frame()
        arrays['labels'][:] = label('wall')
        write_labeled(path, dict.fromkeys((5001, 5003, 5004, 5010), arrays))
        message = detection(path, tmp_path / 'out')
        assert 'no object of the 19 classes in split train' in message

    def test_too_few_frames(self, detection, tmp_path):
        path = tmp_path / 'l.mat'
        write_labeled(path, {}, num_frames=1000)
        message = detection(path, tmp_path / 'out')
        assert 'holds 1000 frames, but the data set 1449' in message


class TestDetectionFromTheAuthorsFolder:
    def test_everything_is_there(self, detection, authors, tmp_path, capsys):
        write_mcg(authors / 'nyud2_mcg_boxes.mat', boxes_of(FEW['trainval']))
        out = tmp_path / 'out'
        message = detection(authors, out)
        assert 'no boxes for 1 of 4 images' in message
        write_mcg(
            authors / 'nyud2_mcg_boxes.mat',
            boxes_of(FEW['trainval'] + FEW['test']),
        )
        assert detection(authors / 'nyud2', out) == 0
        printed = capsys.readouterr().out
        assert '4 objects of other classes' in printed
        assert 'img_5001: bed 4 lies outside the 560x425 image' in printed
        found = data_set(out, 'test', proposal_file='proposals.pkl')
        sample = found.prepare_data(0)
        assert sample['img'].shape == (425, 560, 6)
        assert (sample['img'] == 5001 % 251).all()
        np.testing.assert_array_equal(
            sample['gt_bboxes'].numpy(), [[260, 55, 379, 154]]
        )
        assert (
            (out / 'hha/img_5003.png')
            .resolve()
            .is_relative_to(authors.resolve())
        )

    def test_truncated_image_is_listed(
        self, detection, authors, tmp_path, capsys
    ):
        path = authors / 'nyud2/data/hha/img_5010.png'
        path.write_bytes(path.read_bytes()[:50])
        out = tmp_path / 'out'
        assert detection(authors, out) == 1
        captured = capsys.readouterr()
        assert 'hha/img_5010.png' in captured.err
        assert '1 failed' in captured.out
        assert not list(out.glob('*.json'))

    def test_other_source_in_the_same_folder(
        self, detection, authors, labeled, tmp_path
    ):
        out = tmp_path / 'out'
        assert detection(authors, out) == 0
        message = detection(labeled, out)
        assert 'choose another folder' in message

    def test_proposals_outside_the_image(self, detection, authors, tmp_path):
        """As with the columns of another order."""
        boxes = {
            name: [[x1, y1, x2, y2] for y1, x1, y2, x2 in rows]
            for name, rows in boxes_of([5001, 5003, 5004, 5010]).items()
        }
        write_mcg(tmp_path / 'mcg.mat', boxes)
        out = tmp_path / 'out'
        message = detection(authors, out, '--mcg', tmp_path / 'mcg.mat')
        assert '1 boxes of img_5003 leave the 560x425 image' in message
        assert not (out / 'proposals.pkl').exists()


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('nyud2_data.tgz', b'1', 'is an archive: unpack it first'),
        ('l.mat', b'<html>', r'no MATLAB v7.3 file'),
        ('none', None, 'does not exist'),
        ('.', None, 'lacks'),
    ],
)
def test_source_is_something_else(detection, tmp_path, name, content, message):
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    assert message in detection(path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_missing_mcg_file_is_told_first(detection, labeled, tmp_path):
    out = tmp_path / 'out'
    assert 'does not exist' in detection(labeled, out, '--mcg', 'none.mat')
    assert not out.exists()


# Place of the labelled frames by their split.
PLACES = dict(train='den_0001', val='loft_0002', test='pub_0003')


@pytest.fixture(scope='module')
def labeled_scenes(tmp_path_factory):
    """The labelled file as far as it says which video is of which split."""
    scenes = [''] * 1449
    for split, place in PLACES.items():
        for image_id in SPLITS[split]:
            scenes[image_id - 5001] = place
    path = tmp_path_factory.mktemp('scenes') / 'l.mat'
    write_labeled(path, {}, scenes=scenes)
    return path


@pytest.fixture
def raw(tmp_path, labeled_scenes):
    """Videos of all splits, and the labelled file that knows them."""
    shutil.copy(labeled_scenes, tmp_path)
    root = tmp_path / 'raw'
    times = [100 + i / 30 for i in range(10)]
    for name in ('den_0001', 'part1/loft_0002', 'pub_0003', 'bar_0001'):
        write_video(root / name, times, [t + 0.01 for t in times])
    (root / 'den_0001/a-100.0-1.dump').write_bytes(b'1')
    return root


def convert_pairs(pairs, raw, out, *args, split='train'):
    labeled = raw.parent / 'l.mat'
    return pairs(raw, out, '--labeled', labeled, '--split', split, *args)


class TestPairs:
    def test_pairs_of_the_split(self, pairs, raw, tmp_path, capsys):
        out = tmp_path / 'pairs'
        assert convert_pairs(pairs, raw, out, '--per-scene', 3) == 0
        printed = capsys.readouterr().out
        assert '4 videos: 1 of train, 1 of test refused, 1 of val' in printed
        assert '1 of unknown split left out: bar_0001' in printed
        assert '10 pairs; files left out: 1 not a frame' in printed
        names = [path.stem for path in sorted((out / 'hha').iterdir())]
        assert [name.rpartition('-')[2] for name in names] == [
            '1001',
            '1005',
            '1008',
        ]
        assert all(name.startswith('den_0001-') for name in names)
        dataset = DATASETS.build(
            dict(
                type='mmxdistill.PairedDataset',
                data_root=str(out),
                ann_file='train.txt',
                modalities={
                    folder: dict(
                        path=f'{folder}/{{stem}}.png',
                        pipeline=[dict(type='LoadImageFromFile')],
                    )
                    for folder in ('images', 'hha')
                },
            )
        )
        assert len(dataset) == 3
        assert dataset[0]['img'].shape == (425, 560, 6)

    def test_trainval(self, pairs, raw, tmp_path):
        out = tmp_path / 'pairs'
        args = ['--per-scene', 2, '--no-hha']
        assert convert_pairs(pairs, raw, out, *args, split='trainval') == 0
        lines = (out / 'trainval.txt').read_text().splitlines()
        assert [line.split('-')[0] for line in lines[1:]] == [
            'den_0001',
            'den_0001',
            'loft_0002',
            'loft_0002',
        ]
        assert not (out / 'hha').exists()

    @pytest.mark.parametrize('split', ['test', 'val'])
    def test_split_for_testing(self, pairs, raw, tmp_path, split):
        message = convert_pairs(pairs, raw, tmp_path / 'out', split=split)
        assert 'train or trainval only' in message

    def test_only_test_videos(self, pairs, raw, tmp_path, capsys):
        shutil.rmtree(raw / 'den_0001')
        message = convert_pairs(pairs, raw, tmp_path / 'out')
        assert 'has no video of train' in message
        assert '1 of test refused' in capsys.readouterr().out
        assert not (tmp_path / 'out').exists()

    def test_repeated_from_the_list(self, pairs, raw, tmp_path):
        first, second = tmp_path / 'first', tmp_path / 'second'
        assert convert_pairs(pairs, raw, first, '--per-scene', 4) == 0
        # More frames would be chosen otherwise; the data is elsewhere.
        write_video(raw / 'den_0001', [99.0, 99.5], [99.0, 99.5])
        moved = tmp_path / 'elsewhere'
        shutil.copytree(raw, moved / 'again')
        (tmp_path / 'l.mat').rename(tmp_path / 'elsewhere/l.mat')
        args = ['--frames', first / 'train.txt']
        assert convert_pairs(pairs, moved / 'again', second, *args) == 0
        for path in filter(Path.is_file, first.rglob('*')):
            again = second / path.relative_to(first)
            assert again.read_bytes() == path.read_bytes()

    def test_list_with_a_test_video(self, pairs, raw, tmp_path):
        path = tmp_path / 'list.txt'
        path.write_text('a pub_0003/r-1.ppm pub_0003/d-1.pgm\n')
        message = convert_pairs(pairs, raw, tmp_path / 'out', '--frames', path)
        assert "['pub_0003']" in message

    def test_bad_frames_are_listed(self, pairs, raw, tmp_path, capsys):
        folder = raw / 'den_0001'
        frames = sorted(folder.glob('d-*.pgm'))
        frames[0].write_bytes(b'')
        frames[4].write_bytes(b'x' * frames[4].stat().st_size)
        write_pgm(frames[7], np.full((480, 640), 2047))
        out = tmp_path / 'out'
        assert convert_pairs(pairs, raw, out, '--per-scene', 40) == 1
        captured = capsys.readouterr()
        assert '1 truncated' in captured.out
        assert '1 without a partner' in captured.out
        assert f'{frames[4].name}' in captured.err
        assert 'has no measured pixel' in captured.err
        text = (out / 'train.txt').read_text()
        comments = [line for line in text.splitlines() if line[0] == '#']
        assert sum('left out' in line for line in comments) == 2
        assert len(text.splitlines()) - len(comments) == 7
        assert len(list((out / 'images').iterdir())) == 7

    def test_failed_again_is_not_complete(self, pairs, raw, tmp_path):
        """Files of an earlier run do not hide that a pair failed."""
        out = tmp_path / 'out'
        assert convert_pairs(pairs, raw, out, '--per-scene', 2) == 0
        first = (out / 'train.txt').read_text().splitlines()[1]
        frame = raw / first.split()[2]
        frame.write_bytes(b'x' * frame.stat().st_size)
        again = ['--per-scene', 2, '--overwrite']
        assert convert_pairs(pairs, raw, out, *again) == 1
        lines = (out / 'train.txt').read_text().splitlines()
        assert sum(line[0] != '#' for line in lines) == 1

    def test_shards_and_resume(self, pairs, raw, tmp_path, capsys):
        out = tmp_path / 'out'
        args = ['--per-scene', 5]
        assert convert_pairs(pairs, raw, out, *args, '--shard', '2/2') == 0
        assert '3 of 5 pairs are left' in capsys.readouterr().out
        assert not (out / 'train.txt').exists()
        assert convert_pairs(pairs, raw, out, *args) == 0
        assert '3 written, 2 already there' in capsys.readouterr().out
        assert (out / 'train.txt').is_file()

    def test_other_number_of_frames_later(self, pairs, raw, tmp_path):
        """Names tell the frames, so nothing is taken for another."""
        out = tmp_path / 'out'
        assert convert_pairs(pairs, raw, out, '--per-scene', 2) == 0
        assert convert_pairs(pairs, raw, out, '--per-scene', 3) == 0
        lines = (out / 'train.txt').read_text().splitlines()[1:]
        assert [line.split()[0][-4:] for line in lines] == [
            '1001',
            '1005',
            '1008',
        ]

    def test_images_are_registered(self, pairs, raw, tmp_path):
        """A box that OpenCV draws into both images lies on itself."""
        corners = np.float64(
            [[-0.3, -0.3, 2], [0.5, -0.3, 2], [0.5, 0.4, 2], [-0.3, 0.4, 2]]
        )
        near = round(1092.5 - 351.3 / 2)
        k = NYUD2_KINECT
        depth = np.full((480, 640), 1000)
        color = np.full((480, 640, 3), 40, np.uint8)
        for image, value, camera in (
            (depth, near, (np.eye(3), np.zeros(3), k.depth_matrix)),
            (color, 250, (k.rotation, k.translation, k.color_matrix)),
        ):
            turn, shift, matrix = camera
            lens = k.color_distortion if image is color else k.depth_distortion
            pixels = cv2.projectPoints(
                corners, cv2.Rodrigues(turn)[0], shift, matrix, lens
            )[0]
            mask = np.zeros((480, 640), np.uint8)
            cv2.fillPoly(mask, [np.rint(pixels[:, 0]).astype(int)], 1)
            image[mask > 0] = value
        shutil.rmtree(raw)
        write_ppm(raw / 'den_0001/r-1.0-5.ppm', color)
        write_pgm(raw / 'den_0001/d-1.0-5.pgm', depth)
        out = tmp_path / 'out'
        assert convert_pairs(pairs, raw, out) == 0
        (path,) = (out / 'images').iterdir()
        bright = cv2.imread(str(path))[..., 1] > 145
        found = {
            folder: cv2.imread(str(out / folder / path.name), -1)
            for folder in ('depth', 'depth_raw', 'hha')
        }
        close = np.abs(found['depth'].astype(int) - 2000) < 20
        overlap = np.count_nonzero(bright & close)
        assert overlap > 0.97 * np.count_nonzero(bright | close) > 20000
        assert found['depth'].all() and not found['depth_raw'].all()
        # The shadow of the box: what only the colour camera sees.
        shadow = np.count_nonzero(found['depth_raw'] == 0)
        assert 100 < shadow < 20000
        np.testing.assert_array_equal(
            found['hha'],
            encode_hha(found['depth'], 'nyud2_cropped', found['depth_raw']),
        )

    def test_wrong_labelled_file(self, pairs, raw, tmp_path):
        (tmp_path / 'l.mat').write_bytes(b'no')
        message = convert_pairs(pairs, raw, tmp_path / 'out')
        assert 'no MATLAB v7.3 file' in message
        write_labeled(tmp_path / 'l.mat', {}, num_frames=5)
        message = convert_pairs(pairs, raw, tmp_path / 'out')
        assert 'holds 5 frames' in message


def test_config_reads_what_is_written(
    detection, pairs, raw, tmp_path, monkeypatch
):
    """configs/_base_/datasets/nyud2*.py, from the files to the network."""
    ids = FEW['trainval'] + FEW['test']
    path = tmp_path / 'nyu_depth_v2_labeled.mat'
    write_labeled(path, {i: labelled_frame(i) for i in ids})
    write_mcg(tmp_path / 'nyud2_mcg_boxes.mat', boxes_of(ids))
    out = tmp_path / 'nyud2'
    assert detection(path, out) == 0
    args = ['--per-scene', 2]
    for split in ('train', 'trainval'):
        assert (
            convert_pairs(pairs, raw, out / 'pairs', *args, split=split) == 0
        )
    monkeypatch.setenv('MMXDISTILL_DATA', str(tmp_path))
    folder = ROOT / 'configs/_base_/datasets'
    cfg = Config.fromfile(folder / 'nyud2_pairs.py')
    assert list(cfg.data_preprocessor.modalities) == ['rgb', 'hha']
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    for settings, size in (
        (train, 2),
        (dict(train, ann_file='pairs/trainval.txt'), 4),
        (val, 1),
        (dict(val, ann_file='annotations_test.json'), 1),
    ):
        dataset = DATASETS.build(settings)
        assert len(dataset) == size
        assert dataset[0]['inputs'].shape == (6, 688, 907)
    for suffix, channels in (('', 6), ('_rgb', 3), ('_hha', 3)):
        cfg = Config.fromfile(folder / f'nyud2_detection{suffix}.py')
        train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
        for ann_file, size in (('train', 2), ('trainval', 3)):
            train.dataset.ann_file = f'annotations_{ann_file}.json'
            check_boxes(DATASETS.build(train), 2 * size, channels, 688 / 425)
        for ann_file in ('val', 'test'):
            val.ann_file = f'annotations_{ann_file}.json'
            check_boxes(DATASETS.build(val), 1, channels, 1)


def check_boxes(dataset, size, channels, scale):
    assert dataset.metainfo['classes'] == CLASSES
    assert len(dataset) == size
    sample = dataset[0]
    assert sample['inputs'].shape == (channels, 688, 907)
    found = sample['data_samples']
    assert len(found.proposals) == 2
    ((x1, _, x2, _),) = get_box_tensor(found.gt_instances.bboxes)
    assert float(x2 - x1) == pytest.approx(119 * scale, rel=1e-5)
    assert found.gt_instances.labels.tolist() == [12]


@pytest.mark.slow
def test_commands_with_processes(raw, authors, tmp_path):
    """In processes of their own; the authors' file names the images."""
    write_mcg(
        authors / 'nyud2_mcg_boxes.mat',
        boxes_of(FEW['trainval'] + FEW['test']),
    )
    for command in (
        ['nyud2_detection.py', authors, tmp_path / 'out'],
        [
            'nyud2_pairs.py',
            raw,
            tmp_path / 'out/pairs',
            '--labeled',
            tmp_path / 'l.mat',
            '--split=train',
        ],
    ):
        done = subprocess.run(
            [warm_python(), TOOLS / command[0], *command[1:], '--jobs=2'],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
    proposals = pickle.loads((tmp_path / 'out/proposals.pkl').read_bytes())
    assert len(proposals) == 4
    lines = (tmp_path / 'out/pairs/train.txt').read_text().splitlines()
    assert len(lines) == 11
