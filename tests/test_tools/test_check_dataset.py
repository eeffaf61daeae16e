import json
import os
import pickle
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pages import read_page
from PIL import Image
from warm_python import warm_python

from mmxdistill.datasets import sample_checks

TOOLS = Path(__file__).resolve().parents[2] / 'tools/analysis_tools'
SIZE = (24, 32)
CONFIG = """
data = dict(
    type='mmxdistill.PairedCocoDataset',
    data_root={root!r},
    proposal_file='p.pkl',
    metainfo=dict(classes=('box',)),
    modalities=dict(
        rgb=dict(
            path='color/{{stem}}.png',
            pipeline=[dict(type='LoadImageFromFile')],
        ),
        depth=dict(
            path='depth/{{stem}}.png',
            pipeline=[
                dict(type='mmxdistill.LoadDepthFromFile', unit={unit}),
                dict(type='mmxdistill.EncodeDisparity'),
            ],
        ),
    ),
    pipeline=[dict(type='PackDetInputs')],
)
train_dataloader = dict(dataset=dict(ann_file='train.json', **data))
val_dataloader = dict(dataset=dict(ann_file='test.json', **data))
test_dataloader = val_dataloader
"""
SPLITS = dict(train=range(6), test=range(6, 10))


class Data:
    """A good data set, to be spoilt."""

    def __init__(self, root):
        self.root = root
        rng = np.random.default_rng(0)
        for folder in ('color', 'depth'):
            (root / folder).mkdir()
        for i in range(10):
            image = rng.integers(0, 255, (*SIZE, 3), np.uint8)
            depth = rng.integers(800, 4000, SIZE, np.uint16)
            cv2.imwrite(str(root / f'color/{i}.png'), image)
            cv2.imwrite(str(root / f'depth/{i}.png'), depth)
        for split, ids in SPLITS.items():
            self.write(
                split,
                images=[
                    dict(id=i, file_name=f'{i}.png', height=24, width=32)
                    for i in ids
                ],
                annotations=[
                    dict(
                        id=i,
                        image_id=i,
                        category_id=1,
                        bbox=[0, 0, 32, 24],
                        area=768,
                        iscrowd=0,
                    )
                    for i in ids
                ],
                categories=[dict(id=1, name='box')],
            )
        box = np.float32([[0, 0, 32, 24], [5, 5, 5, 9]])
        self.proposals = {
            f'color/{i}.png': dict(bboxes=box) for i in range(10)
        }
        self.configure()

    def write(self, split, **content):
        (self.root / f'{split}.json').write_text(json.dumps(content))

    def change(self, split, change):
        path = self.root / f'{split}.json'
        content = json.loads(path.read_text())
        change(content)
        self.write(split, **content)

    def configure(self, unit=1):
        content = pickle.dumps(self.proposals)
        (self.root / 'p.pkl').write_bytes(content)
        text = CONFIG.format(root=str(self.root), unit=unit)
        (self.root / 'config.py').write_text(text)


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


@pytest.fixture
def check(data, monkeypatch, capsys):
    """Run the tool; returns the problems: data set and kind -> number."""

    def _check(*args):
        argv = ['check_dataset.py', str(data.root / 'config.py'), *args]
        monkeypatch.setattr(sys, 'argv', [*argv, '--jobs', '1'])
        monkeypatch.setattr(sys, 'path', list(sys.path))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            runpy.run_path(
                str(TOOLS / 'check_dataset.py'), run_name='__main__'
            )
        out = capsys.readouterr().out
        lines = re.findall(r'^(\S.*): ([a-z ]+): (\d+)$', out, re.M)
        found = {(name, kind): int(number) for name, kind, number in lines}
        total = int(re.search(r'problems: (\d+)', out)[1])
        assert total == sum(found.values())
        assert end.value.code == int(total > 0)
        _check.out = out
        return found

    return _check


@pytest.fixture
def checks():
    return vars(sample_checks)


def test_good_data(data, check):
    assert check() == {}
    assert 'train: 6 samples' in check.out
    assert 'val/test: 4 samples' in check.out


def test_missing_and_unreadable_files(data, check):
    (data.root / 'depth/0.png').unlink()
    (data.root / 'color/0.png').unlink()
    (data.root / 'depth/1.png').write_bytes(b'no image')
    content = (data.root / 'depth/7.png').read_bytes()
    (data.root / 'depth/7.png').write_bytes(content[:200])
    gray = cv2.imread(str(data.root / 'color/8.png'), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(data.root / 'depth/8.png'), gray)
    assert check() == {
        ('train', 'missing file'): 2,
        ('train', 'unreadable file'): 1,
        ('val/test', 'unreadable file'): 2,
    }
    for name in ('depth/0', 'color/0', 'depth/1', 'depth/7', 'depth/8'):
        assert f'{name}.png' in check.out


def test_sizes(data, check):
    depth = np.full((24, 30), 2000, np.uint16)
    cv2.imwrite(str(data.root / 'depth/2.png'), depth)
    # A pair that agrees, but not with the annotations.
    for folder, dtype in dict(color=np.uint8, depth=np.uint16).items():
        path = data.root / folder / '9.png'
        cv2.imwrite(str(path), np.full((48, 64), 200, dtype) * dtype(1))
    found = check('--depth-range', '0', '99')
    assert found == {
        ('train', 'size mismatch'): 1,
        ('val/test', 'size mismatch'): 1,
    }
    assert "depth/2.png' 30x24" in check.out
    assert check.out.count('ResizeToReference') == 1  # not of the record
    assert 'its record 32x24' in check.out


@pytest.mark.parametrize('both', [False, True])
def test_exif_of_one_image_of_a_pair(data, check, both):
    """Turned, it has another size than its partner and its record."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for folder in ('color', 'depth')[: 1 + both]:
        path = data.root / folder / '2.png'
        with Image.open(path) as image:
            image.save(path, exif=exif)
    assert check() == {
        # The box is that of the image as it is stored.
        ('train', 'size mismatch'): 1,
    }
    assert "rgb '" in check.out
    assert "color/2.png' 24x32" in check.out
    assert f"depth/2.png' {'24x32' if both else '32x24'}" in check.out
    assert 'its record 32x24' in check.out


@pytest.mark.parametrize(('unit', 'found'), [(0.001, 10), (10, 10), (1, 0)])
def test_unit_of_depth(data, check, unit, found):
    data.configure(unit)
    kinds = check()
    assert sum(kinds.values()) == found
    assert {kind for _, kind in kinds} <= {'unit of depth'}
    assert ('metres, or is unit too small' in check.out) == (unit < 1)
    assert ('is unit too large' in check.out) == (unit > 1)


def test_boxes(data, check):
    def spoil(content):
        boxes = ([3, 3, 0, 5], [3, 3, 0.5, 5], [-4, 0, 9, 9], [40, 0, 9, 9])
        for item, box in zip(content['annotations'], boxes, strict=False):
            item['bbox'] = box
        # Conventions differ by a pixel.
        content['annotations'][4]['bbox'] = [-1, 0, 33, 25]
        content['annotations'][5] |= dict(ignore=1, bbox=[0, 0, 99, 99])

    data.change('train', spoil)
    assert check() == {
        ('train', 'empty box'): 2,
        ('train', 'box outside the image'): 2,
    }
    assert '(x1, y1, x2, y2) = (40, 0, 49, 9) in 32x24' in check.out


def test_annotations(data, check):
    def spoil(content):
        content['annotations'][0]['image_id'] = 77
        content['annotations'][1]['category_id'] = 5

    data.change('test', spoil)
    assert check() == {('val/test', 'bad annotation'): 2}
    assert 'there is no image 77' in check.out
    assert 'there is no category 5' in check.out


def test_proposals(data, check):
    proposals = data.proposals
    del proposals['color/3.png']
    proposals['color/4.png'] = dict(bboxes=np.zeros((0, 4)))
    proposals['color/5.png'] = dict(bboxes=np.float32([[0, 0, np.nan, 3]]))
    proposals['color/6.png'] = dict(bboxes=np.float32([[0, 0, 35, 3]]))
    proposals['color/7.png'] = dict(bboxes=np.float32([[9, 0, 3, 3]]))
    proposals['color/8.png'] = 'boxes'
    data.configure()
    assert check() == {
        ('train', 'missing proposals'): 1,
        ('train', 'bad proposals'): 2,
        ('val/test', 'bad proposals'): 3,
    }
    assert 'color/3.png' in check.out
    (data.root / 'p.pkl').unlink()
    assert check() == {
        ('train', 'missing proposals'): 1,
        ('val/test', 'missing proposals'): 1,
    }


def test_images_that_share_an_entry_of_the_proposals(data, check):
    """mmdet's names are those of the last folder: not unique here."""
    text = (data.root / 'config.py').read_text()
    for folder in ('color', 'depth'):
        for video in ('V000', 'V001'):
            target = data.root / video / folder / '0.png'
            target.parent.mkdir(parents=True)
            number = 0 if video == 'V000' else 1
            source = data.root / folder / f'{number}.png'
            target.write_bytes(source.read_bytes())
        text = text.replace(
            f'{folder}/{{stem}}', f'{{video}}/{folder}/{{stem}}'
        )
    (data.root / 'config.py').write_text(text)

    def move(content):
        for image in content['images']:
            image.update(file_name='0.png', video=f'V00{image["id"] % 2}')
        del content['images'][2:], content['annotations'][2:]

    data.change('train', move)
    assert check()['train', 'bad proposals'] == 1
    assert "V001/color/0.png' would both get the proposals" in check.out
    for video in ('V000', 'V001'):
        entry = data.proposals['color/0.png']
        data.proposals[f'{video}/color/0.png'] = entry
    del data.proposals['color/0.png']
    (data.root / 'p.pkl').write_bytes(pickle.dumps(data.proposals))
    assert ('train', 'bad proposals') not in check()


def test_images_in_two_splits(data, check):
    copy = (data.root / 'color/0.png').read_bytes()
    (data.root / 'color/9.png').write_bytes(copy)
    # The same within a split is nobody's fault.
    (data.root / 'color/1.png').write_bytes(copy)
    data.change(
        'test',
        lambda content: content['images'].append(
            dict(id=3, file_name='3.png', height=24, width=32)
        ),
    )
    assert check() == {
        ('between splits', 'same file in two splits'): 1,
        ('between splits', 'same content in two splits'): 1,
    }
    assert "color/3.png' is in train and val/test" in check.out


def test_data_set_that_cannot_be_built(data, check):
    (data.root / 'test.json').unlink()
    (data.root / 'color/2.png').unlink()
    assert check() == {
        ('train', 'missing file'): 1,
        ('val/test', 'data set'): 1,
    }


def test_list_of_all_problems(data, check):
    for path in (data.root / 'color').iterdir():
        path.unlink()
    check('--list', str(data.root / 'list.txt'))
    assert '... and 1 more' in check.out
    lines = (data.root / 'list.txt').read_text().splitlines()
    assert len(lines) == 10
    assert all('missing file: ' in line for line in lines)


def test_page(data, check):
    """Findings with their files and pictures, and what is wrong in them."""
    (data.root / 'depth/0.png').unlink()
    (data.root / 'depth/1.png').write_bytes(b'no <b>image</b>')
    content = (data.root / 'color/3.png').read_bytes()
    (data.root / 'color/7.png').write_bytes(content)
    box = dict(id=99, image_id=2, category_id=1, bbox=[20, 0, 90, 24])

    data.change('train', lambda content: content['annotations'].append(box))
    page = data.root / 'pages' / 'page.html'
    found = check('--html', str(page))
    read = read_page(page)
    names = 'train', 'between splits'
    assert [row[1] for row in read.rows if row and row[0] in names] == [
        *('missing file', 'unreadable file', 'box outside the image'),
        'same content in two splits',
    ]
    assert ['missing file', '1', '0', '0'] in read.rows
    assert len(found) == 4
    for name in ('color/0', 'depth/0', 'depth/1', 'color/3', 'color/7'):
        assert os.fsencode(data.root / f'{name}.png') in read.files
    # 0: color; 1: color; 2: color and depth.
    assert len(read.images) == 4
    assert 'cannot be loaded: FileNotFoundError' in read.texts
    alts = [alt for _, alt in read.images]
    assert alts.count('rgb image of color/0.png. boxes: a box') == 1
    assert alts[-1] == 'depth image of color/2.png. boxes: a box; wrong ' + (
        'boxes: a box'
    )


def test_page_of_good_data(data, check):
    page = data.root / 'page.html'
    assert check('--html', str(page), '--split', 'val') == {}
    assert 'Nothing was found: all is well.' in read_page(page).texts


def test_transfer_data_set(data, check):
    """Without boxes, proposals and records of the size."""
    path = data.root / 'config.py'
    text = path.read_text().replace('PairedCocoDataset', 'PairedDataset')
    text = re.sub('    (metainfo|proposal_file)=.*\n', '', text)
    path.write_text(text)
    assert check() == {}
    (data.root / 'depth/5.png').unlink()
    assert check() == {('train', 'missing file'): 1}


def test_partners_missing_from_folders(data, check):
    """Without a list, the folders tell what should be there."""
    path = data.root / 'config.py'
    text = path.read_text().replace('PairedCocoDataset', 'PairedDataset')
    text = re.sub('    (metainfo|proposal_file)=.*\n', '', text)
    path.write_text(re.sub(r"ann_file='train.json', ", '', text))
    (data.root / 'depth/5.png').unlink()
    assert check()['train', 'data set'] == 1
    assert "modality 'depth' (depth/{stem}.png) lacks 1" in check.out


@pytest.mark.slow
def test_processes_find_the_same(data, check):
    (data.root / 'color/2.png').write_bytes(b'')
    (data.root / 'depth/7.png').unlink()
    check()
    done = subprocess.run(
        [
            warm_python(),
            TOOLS / 'check_dataset.py',
            data.root / 'config.py',
            '--jobs',
            '2',
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    report = check.out[check.out.index('train: 6 samples') :]
    assert report in done.stdout


def test_bad_arguments(data, monkeypatch, capsys):
    tool = str(TOOLS / 'check_dataset.py')
    monkeypatch.setattr(sys, 'path', list(sys.path))
    for args, message in (
        (['config.py', '--depth-range', '3', '2'], 'smaller number first'),
        (['config.py', '--jobs', '0'], 'at least 1'),
        (['none.py'], 'none.py'),
    ):
        monkeypatch.setattr(sys, 'argv', ['check_dataset.py', *args])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(tool, run_name='__main__')
        assert end.value.code
        assert message in f'{end.value.code}{capsys.readouterr().err}'


def test_real_depth_and_its_wrong_units(data_root, checks):
    """No false alarm on any real depth map, and hardly a miss."""
    files = sorted(data_root.glob('kitchen_rgbd/depth/*.png'))[::10]
    files += sorted(data_root.glob('sunrgbd_kv2/depth/*.png'))[::3]
    files += sorted(data_root.glob('nyud2_frame_a/*depth.png'))
    assert files
    missed = total = 0
    for path in files:
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if 'sunrgbd' in path.parts[-3]:
            turned, depth = depth, (depth >> 3) | (depth << 13)
        else:
            turned = (depth << 3) | (depth >> 13)
        limits = (0.4, 12.0)
        assert checks['check_depth'](depth, str(path), limits) == []
        wrong = (turned, depth // 1000, depth // 10, depth * 10.0, depth * 5.0)
        found = [bool(checks['check_depth'](w, '', limits)) for w in wrong]
        missed += found.count(False)
        total += len(wrong)
    assert missed < 0.05 * total
