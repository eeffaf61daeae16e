"""The converters of JHMDB, MOTChallenge and UCF101 as a user runs them."""

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
from video_files import (
    CLAP,
    GOLF,
    moving_frames,
    puppet_box,
    puppet_masks,
    videos,
    write_avi,
    write_frames,
    write_jhmdb,
    write_masks,
    write_mot,
    write_splits,
    write_tubes,
)

from mmxdistill.converters import jhmdb
from mmxdistill.datasets.lists import read_list
from mmxdistill.encodings import compute_flow, encode_flow
from mmxdistill.registry import DATASETS

NAMES = [
    name for name in videos() if name.split('/')[0] in ('clap', 'golf', 'sit')
]
ANNOTATIONS = {
    f'annotations_{subset}{number}.json'
    for subset in ('train', 'test')
    for number in (1, 2, 3)
}


def load(path):
    return json.loads(path.read_text())


def lines(path):
    return path.read_text().splitlines()


def dataset_configs(name, monkeypatch, data):
    """The data sets of training and testing of a base config."""
    monkeypatch.setenv('MMXDISTILL_DATA', str(data))
    cfg = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}.py')
    splits = ('train', 'test')
    return {s: cfg[f'{s}_dataloader'].dataset.to_dict() for s in splits}


def write_proposals(path, *annotations):
    """A proposal for every image, under the keys that data sets look for."""
    box = dict(
        bboxes=np.array([[1, 2, 30, 30]], np.float32),
        scores=np.ones(1, np.float32),
    )
    names = [
        '/'.join(Path(image['file_name']).parts[-2:])
        for file in annotations
        for image in load(file)['images']
    ]
    assert len(set(names)) == len(names)
    path.write_bytes(pickle.dumps(dict.fromkeys(names, box)))


def check_flow(folder, frames):
    """Flow to the next frame; of the last, from the frame before."""
    for i, frame in enumerate(frames):
        if i + 1 < len(frames):
            flow = compute_flow(frame, frames[i + 1])
        else:
            flow = -compute_flow(frame, frames[i - 1])
        (path,) = folder.glob(f'*{i + 1}.png')
        np.testing.assert_array_equal(cv2.imread(str(path)), encode_flow(flow))


class TestJHMDB:
    @pytest.fixture
    def run(self, monkeypatch):
        jhmdb._tubes_in_process.cache_clear()
        return runner('jhmdb', monkeypatch)

    @pytest.fixture
    def source(self, tmp_path, monkeypatch):
        """Three of the classes, with all files."""
        monkeypatch.setattr(jhmdb, 'CLASSES', ('clap', 'golf', 'sit'))
        root = tmp_path / 'JHMDB'
        monkeypatch.setattr('video_files.CLASSES', jhmdb.CLASSES)
        write_jhmdb(root, names=NAMES)
        return root

    def test_all_splits(self, source, tmp_path, run, capsys):
        out = tmp_path / 'out'
        assert run(source, out) == 0
        flows = {
            f'flow/{name}/{i:05d}.png' for name in NAMES for i in (1, 2, 3, 4)
        }
        expected = flows | ANNOTATIONS | {'flow/settings.json', 'left_out.txt'}
        found = files(out)
        assert {n for n in found if not n.startswith('frames/')} == expected
        assert (out / 'frames').resolve() == source / 'Rename_Images'
        for number, name in enumerate(NAMES):
            frames = moving_frames(4, seed=number)
            check_flow(out / 'flow' / name, frames)
        for number in (1, 2, 3):
            seen = []
            for subset in ('train', 'test'):
                content = load(out / f'annotations_{subset}{number}.json')
                assert f'{subset} of split {number}' in str(content['info'])
                seen += content['images']
                by_id = {i['id']: i for i in content['images']}
                for annotation in content['annotations']:
                    image = by_id[annotation['image_id']]
                    name, _, file = image['file_name'].rpartition('/')
                    x1, y1, x2, y2 = puppet_box(int(Path(file).stem) - 1)
                    assert annotation['bbox'] == [x1, y1, x2 - x1, y2 - y1]
                    label = content['categories'][
                        annotation['category_id'] - 1
                    ]
                    assert name.startswith(label['name'] + '/')
                    assert image['video'] == name
            # Every frame once in each split, under the same number.
            assert sorted(image['id'] for image in seen) == list(
                range(1, 4 * len(NAMES) + 1)
            )
        tested = load(out / 'annotations_test1.json')['images']
        assert CLAP in {image['video'] for image in tested}

    def test_config_builds_and_loads(self, source, tmp_path, run, monkeypatch):
        data = tmp_path / 'data'
        assert run(source, data / 'jhmdb') == 0
        detection = dataset_configs('jhmdb_flow_detection', monkeypatch, data)
        write_proposals(
            data / 'jhmdb/proposals.pkl',
            data / 'jhmdb/annotations_train1.json',
            data / 'jhmdb/annotations_test1.json',
        )
        for subset in ('train', 'test'):
            detection[subset]['metainfo'] = dict(classes=jhmdb.CLASSES)
            dataset = DATASETS.build(detection[subset])
            assert len(dataset) == dict(train=20, test=12)[subset]
            sample = dataset[0]
            assert sample['inputs'].shape[0] == 6
            assert sample['data_samples'].modalities == ('rgb', 'flow')
            assert len(sample['data_samples'].proposals) == 1
        # Mirrored, the first column becomes the last: 39 - x.
        settings = detection['train']
        (move,) = [s for s in settings['pipeline'] if 'transforms' in s]
        corners = []
        for probability in (0.0, 1.0):
            move['transforms'][0]['prob'] = probability
            dataset = DATASETS.build(settings)
            found = dataset[0]['data_samples']
            boxes = found.gt_instances.bboxes.tensor / found.scale_factor[0]
            corners.append(boxes[0].tolist())
        (x1, y1, x2, y2), mirrored = corners
        expected = [39 - x2, y1, 39 - x1, y2]
        np.testing.assert_allclose(mirrored, expected, atol=1e-4)
        assert len(dataset) == 20
        pairs = dataset_configs('jhmdb_flow_pairs', monkeypatch, data)
        assert len(DATASETS.build(pairs['train'])) == 20

    def test_config_has_all_classes(self, monkeypatch, tmp_path):
        found = dataset_configs('jhmdb_flow_detection', monkeypatch, tmp_path)
        dataset = DATASETS.build(dict(found['test'], lazy_init=True))
        assert dataset.metainfo['classes'] == jhmdb.CLASSES
        assert len(jhmdb.CLASSES) == 21

    def test_boxes_instead_of_masks(self, source, tmp_path, run):
        shutil.rmtree(source / 'puppet_mask')
        tubes = {
            name: [(i + 1, *puppet_box(i)) for i in range(4)] for name in NAMES
        }
        write_tubes(source / 'JHMDB-GT.pkl', tubes)
        assert run(source, tmp_path / 'out') == 0
        content = load(tmp_path / 'out/annotations_train2.json')
        assert content['annotations'][0]['bbox'] == [3, 4, 9, 21]

    def test_frames_without_a_box(self, source, tmp_path, run, capsys):
        masks = puppet_masks(3)
        masks[..., 0] = 0
        path = source / 'puppet_mask' / CLAP / 'puppet_mask.mat'
        write_masks(path, masks)
        out = tmp_path / 'out'
        assert run(source, out) == 0
        content = load(out / 'annotations_test1.json')
        stems = [
            Path(image['file_name']).stem
            for image in content['images']
            if image['video'] == CLAP
        ]
        assert stems == ['00002', '00003']
        left = (out / 'left_out.txt').read_text()
        assert 'without a box, 2 frames' in left
        assert f'{CLAP}: 2 frames' in left

    def test_missing_and_damaged_videos(self, source, tmp_path, run, capsys):
        (source / 'puppet_mask' / CLAP / 'puppet_mask.mat').write_bytes(b'x')
        shutil.rmtree(source / 'Rename_Images' / GOLF)
        out = tmp_path / 'out'
        assert run(source, out) == 1
        left = (out / 'left_out.txt').read_text()
        assert '2 videos left out' in left
        assert f'{CLAP}: ValueError' in left
        assert f'{GOLF}: FileNotFoundError' in left
        for name in ANNOTATIONS:
            found = {image['video'] for image in load(out / name)['images']}
            assert found and not found & {CLAP, GOLF}

    def test_damaged_frame_keeps_the_annotations_away(
        self, source, tmp_path, run, capsys
    ):
        path = source / 'Rename_Images' / GOLF / '00003.png'
        content = path.read_bytes()
        path.write_bytes(content[:300])
        out = tmp_path / 'out'
        assert run(source, out) == 1
        captured = capsys.readouterr()
        assert '00003.png is unreadable' in captured.err
        assert 'the flow of 1 of 8 videos is not complete' in captured.out
        assert not files(out) & (ANNOTATIONS | {'left_out.txt'})
        # Mended, the same command does what is missing.
        path.write_bytes(content)
        before = snapshot(out / 'flow' / CLAP)
        assert run(source, out) == 0
        assert snapshot(out / 'flow' / CLAP) == before
        assert files(out) >= ANNOTATIONS
        # Annotations of an earlier run do not outlive a failure.
        path.write_bytes(content[:300])
        assert run(source, out, '--overwrite') == 1
        assert not files(out) & (ANNOTATIONS | {'left_out.txt'})

    def test_other_settings(self, source, tmp_path, run):
        assert run(source, tmp_path / 'out') == 0
        message = run(source, tmp_path / 'out', '--method', 'farneback')
        assert 'write to another folder, or give --overwrite' in message

    def test_shards(self, source, tmp_path, run, capsys):
        out = tmp_path / 'out'
        assert run(source, out, '--shard', '1/2') == 0
        assert 'the flow of 4 of 8 videos is not' in capsys.readouterr().out
        assert not files(out) & ANNOTATIONS
        assert run(source, out, '--shard', '2/2') == 0
        assert files(out) >= ANNOTATIONS

    def test_other_frames_in_the_output(self, source, tmp_path, run):
        (tmp_path / 'out/frames').mkdir(parents=True)
        message = run(source, tmp_path / 'out')
        assert 'is there and no link to' in message

    def test_wrong_source(self, source, tmp_path, run):
        assert 'lacks frames' in run(tmp_path, tmp_path / 'out')
        write_splits(source / 'splits', NAMES[:-1])
        shutil.rmtree(source / 'puppet_mask')
        assert 'lacks labels' in run(source, tmp_path / 'out')


class TestMOT:
    @pytest.fixture
    def run(self, monkeypatch):
        return runner('mot', monkeypatch)

    @pytest.fixture
    def source(self, tmp_path):
        for seed, name in enumerate(('A', 'B', 'C')):
            write_mot(tmp_path / 'mot' / name, seed=seed)
        return tmp_path / 'mot'

    def test_all(self, source, tmp_path, run):
        out = tmp_path / 'out'
        assert run(source, out, '--test', 'B') == 0
        found = {n for n in files(out) if not n.startswith('frames/')}
        assert found == {
            *(f'flow/{n}/{i:06d}.png' for n in 'ABC' for i in (1, 2, 3, 4)),
            'flow/settings.json',
            'annotations_train.json',
            'annotations_test.json',
            'left_out.txt',
        }
        for name in 'ABC':
            folder = source / name / 'img1'
            linked = (out / 'frames' / name / '000002.jpg').resolve()
            assert linked == folder / '000002.jpg'
            frames = [
                cv2.imread(str(folder / f'{i:06d}.jpg')) for i in (1, 2, 3, 4)
            ]
            check_flow(out / 'flow' / name, frames)
        train, test = (
            load(out / f'annotations_{subset}.json')
            for subset in ('train', 'test')
        )
        assert {image['video'] for image in train['images']} == {'A', 'C'}
        assert [image['id'] for image in test['images']] == [5, 6, 7, 8]
        assert test['annotations'][1]['bbox'] == [4, 4, 12, 20]
        assert test['annotations'][1]['track'] == 1
        assert 'gt/gt.txt' in test['info']['description']

    def test_config_builds_and_loads(self, source, tmp_path, run, monkeypatch):
        """Flow turns round where the frames are mirrored."""
        data = tmp_path / 'data'
        assert run(source, data / 'mot', '--test', 'B') == 0
        groups = [
            dataset_configs(f'mot_flow_{role}', monkeypatch, data)
            for role in ('pairs', 'detection')
        ]
        write_proposals(
            data / 'mot/proposals.pkl',
            data / 'mot/annotations_train.json',
            data / 'mot/annotations_test.json',
        )
        for group in groups:
            assert len(DATASETS.build(group['test'])) == 4
        means = {}
        for probability in (0.0, 1.0):
            for group in groups:
                settings = group['train']
                for step in settings['pipeline']:
                    for child in [step, *step.get('transforms', [])]:
                        if child['type'] == 'RandomFlip':
                            child['prob'] = probability
                dataset = DATASETS.build(settings)
                assert len(dataset) == 8
                image = dataset[0]['inputs'].float()
                means.setdefault(probability, []).append(
                    image.mean(dim=(1, 2)).numpy()
                )
        for still, mirrored in zip(means[0.0], means[1.0], strict=True):
            np.testing.assert_allclose(still[:3], mirrored[:3], atol=0.5)
            # The texture moves to the left, mirrored to the right.
            assert still[3] < 120
            np.testing.assert_allclose(still[3] + mirrored[3], 256, atol=0.5)
            np.testing.assert_allclose(still[4:], mirrored[4:], atol=0.5)

    def test_ignored_boxes_are_crowds(self, source, tmp_path, run):
        (source / 'B/gt/gt.txt').write_text(
            '1,1,5,5,9,9,1,1,0.9\n1,2,5,5,9,9,0,1,0.1\n1,3,5,5,9,9,1,3,1\n'
        )
        assert run(source, tmp_path / 'out', '--test', 'B') == 0
        test = load(tmp_path / 'out/annotations_test.json')
        assert [a['iscrowd'] for a in test['annotations']] == [0, 1]

    def test_detections(self, source, tmp_path, run):
        for name in 'ABC':
            (source / name / 'det').mkdir()
            (source / name / 'det/det.txt').write_text(
                '1,-1,5,5,9,9,0.5,-1,-1,-1\n'
            )
        args = '--test', 'B', '--boxes', 'det'
        assert run(source, tmp_path / 'out', *args) == 0
        test = load(tmp_path / 'out/annotations_test.json')
        assert [a['score'] for a in test['annotations']] == [0.5]

    def test_boxes_left_out(self, source, tmp_path, run, capsys):
        (source / 'A/gt/gt.txt').write_text(
            '1,1,90,5,9,9,1,-1,-1,-1\n2,2,38,5,9,9,1,-1,-1,-1\n'
        )
        assert run(source, tmp_path / 'out', '--test', 'B') == 0
        output = capsys.readouterr().out
        assert 'A: 1 boxes outside the image or empty' in output
        assert 'A: 1 boxes cut off at the border' in output
        left = (tmp_path / 'out/left_out.txt').read_text()
        assert 'A frame 1 id 1' in left

    def test_truncated_frame(self, source, tmp_path, run, capsys):
        """OpenCV alone would fill up a JPEG file with grey."""
        path = source / 'B/img1/000003.jpg'
        path.write_bytes(path.read_bytes()[:-200])
        out = tmp_path / 'out'
        assert run(source, out, '--test', 'B') == 1
        assert '000003.jpg is unreadable' in capsys.readouterr().err
        assert not (out / 'annotations_test.json').exists()

    @pytest.mark.parametrize('names', [['D'], ['A', 'B', 'C']])
    def test_wrong_split(self, source, tmp_path, run, names):
        message = run(source, tmp_path / 'out', '--test', *names)
        assert "holds the sequences ['A', 'B', 'C']" in message

    def test_wrong_source(self, source, tmp_path, run):
        message = run(tmp_path / 'gone', tmp_path / 'out', '--test', 'B')
        assert 'is no folder' in message
        (source / 'A/gt/gt.txt').unlink()
        message = run(source, tmp_path / 'out', '--test', 'B')
        assert 'test sequences have det/det.txt only' in message


class TestUCF101:
    VIDEOS = (
        'YoYo/v_YoYo_g08_c01.avi',
        'YoYo/v_YoYo_g08_c02.avi',
        'Archery/v_Archery_g09_c01.avi',
        'Archery/v_Archery_g01_c01.avi',
    )

    @pytest.fixture
    def run(self, monkeypatch):
        return runner('ucf101_pairs', monkeypatch)

    @pytest.fixture
    def source(self, tmp_path):
        """Videos of 12, 4, 12 and 12 frames; the last is for testing."""
        root = tmp_path / 'UCF-101'
        for seed, name in enumerate(self.VIDEOS):
            count = 4 if seed == 1 else 12
            write_avi(root / name, moving_frames(count, seed))
        (tmp_path / 'train.txt').write_text(
            ''.join(f'{name} 101\r\n' for name in self.VIDEOS[:3])
        )
        (tmp_path / 'test.txt').write_text(f'{self.VIDEOS[3]}\r\n')
        return root

    def test_split(self, source, tmp_path, run, capsys):
        out = tmp_path / 'out'
        split = tmp_path / 'train.txt'
        assert run(source, out, '--split', split) == 0
        expected = [
            *(f'{self.VIDEOS[0][:-4]}/{i:06d}' for i in (1, 3, 5, 7, 9)),
            *(f'{self.VIDEOS[1][:-4]}/{i:06d}' for i in (0, 1, 2)),
            *(f'{self.VIDEOS[2][:-4]}/{i:06d}' for i in (1, 3, 5, 7, 9)),
        ]
        assert sorted(lines(out / 'train.txt')) == sorted(expected)
        assert {n for n in files(out) if n.endswith('.png')} == {
            f'{folder}/{name}.png'
            for folder in ('flow', 'frames')
            for name in expected
        }
        left = (out / 'left_out.txt').read_text()
        assert '0 videos left out\n1 short videos' in left
        assert 'v_YoYo_g08_c02: 3 of 5 pairs' in left
        # The test split goes beside it.
        before = snapshot(out / 'flow/YoYo')
        assert run(source, out, '--split', tmp_path / 'test.txt') == 0
        assert len(lines(out / 'test.txt')) == 5
        assert sorted(lines(out / 'train.txt')) == sorted(expected)
        assert snapshot(out / 'flow/YoYo') == before

    def test_config_builds_and_loads(self, source, tmp_path, run, monkeypatch):
        data = tmp_path / 'data'
        for split in ('train', 'test'):
            args = '--split', tmp_path / f'{split}.txt'
            assert run(source, data / 'ucf101', *args) == 0
            (data / f'ucf101/{split}.txt').rename(
                data / f'ucf101/{split}list01.txt'
            )
        pairs = dataset_configs('ucf101_flow_pairs', monkeypatch, data)
        for split, number in (('train', 13), ('test', 5)):
            dataset = DATASETS.build(pairs[split])
            assert len(dataset) == number
            sample = dataset[0]
            assert sample['inputs'].shape[0] == 6
            assert sample['data_samples'].modalities == ('rgb', 'flow')

    def test_any_folder(self, tmp_path, run):
        write_avi(tmp_path / 'in/run/a.avi', moving_frames(12))
        write_avi(tmp_path / 'in/b c.avi', moving_frames(12))
        out = tmp_path / 'out'
        assert run(tmp_path / 'in', out, '--pairs-per-video', 2) == 0
        pairs = ['b c/000002', 'b c/000008', 'run/a/000002', 'run/a/000008']
        assert read_list(out / 'pairs.txt') == [[name] for name in pairs]
        assert (out / 'flow/b c/000002.png').is_file()

    def test_missing_and_damaged_videos(self, source, tmp_path, run, capsys):
        (source / self.VIDEOS[0]).unlink()
        path = source / self.VIDEOS[1]
        path.write_bytes(path.read_bytes()[:-1])
        out = tmp_path / 'out'
        assert run(source, out, '--split', tmp_path / 'train.txt') == 1
        comments = lines(out / 'train.txt')[:2]
        assert 'v_YoYo_g08_c01.avi' in comments[0]
        assert 'does not exist' in comments[0]
        assert 'v_YoYo_g08_c02.avi' in comments[1]
        assert 'is truncated' in comments[1]
        assert len(lines(out / 'train.txt')) == 7

    def test_video_of_one_frame(self, source, tmp_path, run, capsys):
        write_avi(source / self.VIDEOS[0], moving_frames(1))
        out = tmp_path / 'out'
        assert run(source, out, '--split', tmp_path / 'train.txt') == 1
        assert 'flow needs at least 2' in capsys.readouterr().err
        assert 'v_YoYo_g08_c01: no pair' in lines(out / 'train.txt')[0]

    def test_shards(self, source, tmp_path, run, capsys):
        out = tmp_path / 'out'
        args = source, out, '--split', tmp_path / 'train.txt', '--shard'
        assert run(*args, '2/2') == 0
        assert '1 of 2 shards are not done' in capsys.readouterr().out
        assert not (out / 'train.txt').exists()
        assert run(*args, '1/2') == 0
        assert len(lines(out / 'train.txt')) == 13

    def test_wrong_arguments(self, source, tmp_path, run):
        out = tmp_path / 'out'
        assert run(source, out, '--pairs-per-video', 0) == 2
        message = run(source, out, '--split', source / self.VIDEOS[0])
        assert "g08_c01.avi' line 1 is not UTF-8" in message
        message = run(tmp_path / 'gone', out)
        assert 'is no folder of videos' in message
        empty = tmp_path / 'empty'
        empty.mkdir()
        assert 'holds none of 0 videos' in run(empty, out)
        message = run(empty, out, '--split', tmp_path / 'train.txt')
        assert 'holds none of 3 videos, e.g. YoYo' in message
        assert not out.exists()


@pytest.mark.slow
def test_real_sequences(data_root, tmp_path, monkeypatch):
    """People move, the rest of these scenes does not."""
    source = data_root / 'mot_person'
    if not source.is_dir():
        pytest.skip('no sample of MOTChallenge')
    # A few frames of each sequence, in its format.
    for folder in source.glob('*/img1'):
        frames = [
            cv2.imread(str(path)) for path in sorted(folder.glob('*'))[:4]
        ]
        short = tmp_path / 'mot' / folder.parent.name
        write_frames(short / 'img1', frames, '{:06d}.jpg')
        (short / 'gt').mkdir()
        rows = lines(folder.parent / 'gt/gt.txt')
        (short / 'gt/gt.txt').write_text(
            '\n'.join(row for row in rows if int(row.split(',')[0]) <= 4)
        )
    name = min(path.name for path in (tmp_path / 'mot').iterdir())
    run = runner('mot', monkeypatch)
    out = tmp_path / 'out'
    assert run(tmp_path / 'mot', out, '--test', name) == 0
    for subset in ('train', 'test'):
        content = load(out / f'annotations_{subset}.json')
        for video in {image['video'] for image in content['images']}:
            inside, outside = [], []
            for image in content['images']:
                if image['video'] != video:
                    continue
                path = Path(image['file_name']).with_suffix('.png')
                flow = cv2.imread(str(out / 'flow' / path))[..., 2]
                people = np.zeros(flow.shape, bool)
                for annotation in content['annotations']:
                    if annotation['image_id'] == image['id']:
                        x, y, w, h = map(round, annotation['bbox'])
                        people[y : y + h, x : x + w] = True
                inside.append(flow[people].mean() - 128)
                outside.append(flow[~people].mean() - 128)
            assert np.mean(inside) > 3 * np.mean(outside), video
